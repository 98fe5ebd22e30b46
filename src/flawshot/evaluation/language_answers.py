"""Answers of vision-language models in words, read strictly: what cannot be read for certain counts as wrong."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.evaluation.answer_words import (
    HEDGES,
    NEGATIONS,
    NOTHING,
    NUMBERS,
    OF_PERSONS,
    ORDINARY,
    RELATIVE,
    TENS,
    UNCERTAIN,
    UNCERTAIN_SIZES,
    UNITS,
    directions_of,
    ninth_of,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flawshot.evaluation.language_questions import AskedQuestion

__all__ = ["BOX_UNITS", "JudgedAnswer", "judge_answer", "overlap"]

# In what a model states boxes: shares from 0 to 1, thousandths, or pixels of the image.
BOX_UNITS = ("share", "thousandth", "pixel")
# A size is right if it differs by no more than this share of the true one.
CLOSE = 0.25
HALF = 0.5

YES_NO = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
NUMBER = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
BOX_NUMBER = r"(-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
BOX = re.compile(rf"[\[(]\s*{BOX_NUMBER}\s*,\s*{BOX_NUMBER}\s*,\s*{BOX_NUMBER}\s*,\s*{BOX_NUMBER}\s*[\])]")
PERCENT = re.compile(rf"(?<![\w.,-])({NUMBER})\s*(?:%|per\s?cent\b)", re.IGNORECASE)
WHOLE = re.compile(r"(?<![\w.,-])[0-9]+(?!\w|[.,][0-9])")
DIGITS = re.compile(r"\d[\d.,]*")
# Signs that change a number, ranges such as "2-3", and minus signs.
CHANGED = re.compile(r"[+−~≈<>≥≤±×^/=]|[0-9%]\s*[-–—]\s*[0-9]|(?<!\w)[-–—]\s*\.?[0-9]")
MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """An answer compared with the truth.

    Attributes:
        question: The question.
        answered: Whether there is an answer.
        problem: Why the answer cannot be read; empty if it can.
        right: Whether it is right, by the measure of its kind.
        said_yes: Whether it says yes, if it is asked whether there is any.
        measures: Further measures by name, of answers that can be read.
    """

    question: AskedQuestion
    answered: bool = True
    problem: str = ""
    right: bool = False
    said_yes: bool = False
    measures: Mapping[str, float] = field(default_factory=dict)


class _UnreadableError(Exception):
    """An answer that cannot be read for certain."""


def judge_answer(question: AskedQuestion, text: str | None, *, boxes: str = "share") -> JudgedAnswer:
    """Compare an answer with the annotations.

    Args:
        question: The question.
        text: The model's answer; None if there is none.
        boxes: In what the model states boxes, one of :data:`BOX_UNITS`.

    Raises:
        FlawshotError: If ``boxes`` is not one of these.
    """
    if boxes not in BOX_UNITS:
        raise FlawshotError(f"{argument('boxes', boxes)}: must be one of {', '.join(BOX_UNITS)}")
    if text is None:
        return JudgedAnswer(question, answered=False, problem="is missing")
    try:
        if question.flawshot.kind == "where":
            return _judge_box(question, text, boxes)
        return JUDGES[question.flawshot.kind](question, text)
    except _UnreadableError as error:
        return JudgedAnswer(question, problem=str(error))


def _judge_any(question: AskedQuestion, text: str) -> JudgedAnswer:
    found, words = YES_NO.match(text), words_of(text)
    if found is None:
        raise _UnreadableError("does not begin with yes or no")
    yes = found[1].lower() == "yes"
    if {"yes", "no"} <= set(words) or words.count("no") > 1:
        raise _UnreadableError("says both yes and no, or no twice")
    directly = re.match(r"\s+\w", text[found.end() :])
    if HEDGES & set(words) or (not yes and directly and not _means_none(words, 0, question)):
        raise _UnreadableError("is not certainly yes or no")
    return JudgedAnswer(question, right=yes == question.flawshot.present, said_yes=yes)


def _means_none(words: Sequence[str], place: int, question: AskedQuestion) -> bool:
    """Whether "no" at a place says that there is no defect, and not "no idea" or "no doubt"."""
    if place + 1 == len(words):
        return True
    own = words_of(question.flawshot.category)
    following = words[place + 1]
    return following in NOTHING or any(following in {word, f"{word}s", f"{word}es"} for word in own)


def _judge_what(question: AskedQuestion, text: str) -> JudgedAnswer:
    choices = question.flawshot.choices
    named = _exact(text, choices)
    if not named:
        named = _named(text, choices)
        rest = Counter(words_of(text))
        for choice in named:
            rest.subtract(words_of(choice))
        if named and any(rest[word] > 0 for word in NEGATIONS | HEDGES):
            raise _UnreadableError("says what it is not, or may")
    if not named:
        raise _UnreadableError("names no category of the question")
    if len(named) > 1:
        raise _UnreadableError(f"names several categories: {', '.join(named)}")
    return JudgedAnswer(question, right=named[0] == question.flawshot.category)


def _exact(text: str, choices: Sequence[str]) -> list[str]:
    """The choices that are the whole text: as they are, without signs around it, or in other spelling."""
    bare = text.strip().strip("*\"'`. ")
    composed = unicodedata.normalize("NFC", bare)
    for same in (
        [choice for choice in choices if choice == text],
        [choice for choice in choices if unicodedata.normalize("NFC", choice) == composed],
        [choice for choice in choices if unicodedata.normalize("NFC", choice).casefold() == composed.casefold()],
    ):
        if same:
            return same
    return []


def _named(text: str, choices: Sequence[str]) -> list[str]:
    """The choices whose words a text contains, without those that are part of a longer one there.

    Choices that consist of ordinary words, such as "the", are not among them.
    """
    words = words_of(text)
    found: list[tuple[int, int, str]] = []
    for choice in choices:
        own = words_of(choice)
        found += [
            (start, start + len(own), choice)
            for start in range(len(words) - len(own) + 1)
            if words[start : start + len(own)] == own and not ORDINARY.issuperset(own)
        ]
    whole = [
        choice
        for start, end, choice in found
        if not any(a <= start and end <= b and b - a > end - start for a, b, _ in found)
    ]
    return list(dict.fromkeys(whole))


def _judge_part(question: AskedQuestion, text: str) -> JudgedAnswer:
    runs = directions_of(text)
    said = {ninth_of(run) for run in runs}
    if (NEGATIONS | RELATIVE) & set(words_of(text)) or len(said) != 1 or "" in said:
        raise _UnreadableError("names no single ninth of the image")
    return JudgedAnswer(question, right=said == {question.flawshot.part})


def _changed(text: str) -> bool:
    """Whether signs beside a number may change it, or there are numbers in other characters, such as ½."""
    return bool(CHANGED.search(text)) or any(letter.isnumeric() and not letter.isascii() for letter in text)


def _judge_count(question: AskedQuestion, text: str) -> JudgedAnswer:
    numbers = {int(digits) for digits in WHOLE.findall(text) if len(digits) <= MOST_DIGITS}
    words, place = words_of(text), 0
    if _changed(text) or "%" in text or UNCERTAIN & set(words):
        raise _UnreadableError("contains no certain number")
    while place < len(words):
        word, after = words[place], words[place + 1 : place + 2]
        if word in TENS and after and after[0] in UNITS:
            numbers.add(TENS[word] + UNITS[after[0]])
            place += 1
        elif word == "one" and OF_PERSONS.intersection(after):
            raise _UnreadableError("contains no certain number")
        elif word in NUMBERS:
            numbers.add(NUMBERS[word])
        elif word == "none":
            numbers.add(0)
        elif word == "no":
            if not _means_none(words, place, question):
                raise _UnreadableError("contains no certain number")
            numbers.add(0)
        place += 1
    if len(numbers) != 1 or len(DIGITS.findall(text)) != len(WHOLE.findall(text)):
        raise _UnreadableError("contains several numbers" if numbers else "contains no whole number")
    error = abs(numbers.pop() - (question.flawshot.count or 0))
    return JudgedAnswer(question, right=not error, measures={"absolute_error": float(error)})


def _judge_size(question: AskedQuestion, text: str) -> JudgedAnswer:
    found = PERCENT.findall(text)
    numbers = {float(number) for number in found}
    others = len(DIGITS.findall(text)) != len(found) or (UNCERTAIN_SIZES | set(NUMBERS)) & set(words_of(text))
    if len(numbers) != 1 or others or _changed(text):
        raise _UnreadableError("contains more than one percentage" if numbers else "contains no percentage")
    truth = question.flawshot.percent or 1.0
    error = abs(numbers.pop() - truth) / truth
    return JudgedAnswer(question, right=error <= CLOSE, measures={"relative_error": error})


def _judge_box(question: AskedQuestion, text: str, unit: str) -> JudgedAnswer:
    found = set(BOX.findall(text))
    if NEGATIONS & set(words_of(text)):
        raise _UnreadableError("says where it is not, or may")
    if len(found) != 1:
        raise _UnreadableError("contains several boxes" if found else "contains no box [x1, y1, x2, y2]")
    truth = question.flawshot
    sides = {"share": (1.0, 1.0), "thousandth": (1000.0, 1000.0), "pixel": (truth.width, truth.height)}[unit]
    x0, y0, x1, y1 = (float(number) / sides[place % 2] for place, number in enumerate(found.pop()))
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise _UnreadableError(f"has a box that is empty or outside the image, if its numbers are {unit}s")
    iou = overlap((x0, y0, x1, y1), truth.box)
    return JudgedAnswer(question, right=iou >= HALF, measures={"iou": iou})


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """The intersection of two boxes (x0, y0, x1, y1) as a share of their union.

    >>> overlap((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


JUDGES: dict[str, Callable[[AskedQuestion, str], JudgedAnswer]] = {
    "any": _judge_any,
    "what": _judge_what,
    "part": _judge_part,
    "count": _judge_count,
    "size": _judge_size,
}
