"""Answers of vision-language models in words, read strictly: what cannot be read for certain counts as wrong."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flawshot.evaluation.language_questions import AskedQuestion

__all__ = ["BOX_UNITS", "JudgedAnswer", "judge_answer", "overlap"]

# In what a model states boxes: shares from 0 to 1, thousandths, or pixels of the image.
BOX_UNITS = ("share", "thousandth", "pixel")
# A size is right if it differs by no more than this share of the true one.
CLOSE = 0.25
HALF = 0.5

YES_NO = re.compile(r"\W*(yes|no)\b(?!\s*(?:/|or\b)\s*(?:yes|no)\b)", re.IGNORECASE)
NUMBER = r"[0-9]+(?:\.[0-9]+)?"
BOX = re.compile(rf"[\[(]\s*(-?{NUMBER})\s*,\s*(-?{NUMBER})\s*,\s*(-?{NUMBER})\s*,\s*(-?{NUMBER})\s*[\])]")
PERCENT = re.compile(rf"(?<![\w.,-])({NUMBER})\s*(?:%|per\s?cent\b)", re.IGNORECASE)
WHOLE = re.compile(r"(?<![\w.,-])[0-9]+(?!\w|\s*%|[.,][0-9])")
# "2-3" may be either, or something between.
SPAN = re.compile(r"[0-9%]\s*[-–]\s*[0-9]")
COUNTS = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
    )
} | {"none": 0, "no": 0}
ROWS = {"upper": "upper", "top": "upper", "lower": "lower", "bottom": "lower"}
COLUMNS = {"left": "left", "right": "right"}
CENTERS = frozenset({"centre", "center", "middle", "central"})
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
    found = YES_NO.match(text)
    if found is None:
        raise _UnreadableError("does not begin with yes or no")
    yes = found[1].lower() == "yes"
    return JudgedAnswer(question, right=yes == question.flawshot.present, said_yes=yes)


def _judge_what(question: AskedQuestion, text: str) -> JudgedAnswer:
    choices = question.flawshot.choices
    exact = [choice for choice in choices if choice.casefold() == text.strip().strip(".").casefold()]
    named = exact if len(exact) == 1 else _named(text, choices)
    if not named:
        raise _UnreadableError("names no category of the question")
    if len(named) > 1:
        raise _UnreadableError(f"names several categories: {', '.join(named)}")
    return JudgedAnswer(question, right=named[0] == question.flawshot.category)


def _named(text: str, choices: Sequence[str]) -> list[str]:
    """The choices whose words a text contains, without those that are part of a longer one there."""
    words = _words(text)
    found: list[tuple[int, int, str]] = []
    for choice in choices:
        own = _words(choice)
        found += [
            (start, start + len(own), choice)
            for start in range(len(words) - len(own) + 1)
            if own and words[start : start + len(own)] == own
        ]
    whole = [
        choice
        for start, end, choice in found
        if not any(a <= start and end <= b and b - a > end - start for a, b, _ in found)
    ]
    return list(dict.fromkeys(whole))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text).casefold())


def _judge_part(question: AskedQuestion, text: str) -> JudgedAnswer:
    words = set(_words(text))
    rows = {ROWS[word] for word in words if word in ROWS}
    columns = {COLUMNS[word] for word in words if word in COLUMNS}
    center = bool(words & CENTERS)
    if len(rows) > 1 or len(columns) > 1 or not (rows or columns or center):
        raise _UnreadableError("names no single ninth of the image")
    if rows and columns and not center:
        said = f"{rows.pop()} {columns.pop()}"
    elif center and not (rows and columns):
        said = f"{rows.pop()} centre" if rows else f"centre {columns.pop()}" if columns else "centre"
    else:
        raise _UnreadableError("names no single ninth of the image")
    return JudgedAnswer(question, right=said == question.flawshot.part)


def _judge_count(question: AskedQuestion, text: str) -> JudgedAnswer:
    numbers = {int(digits) for digits in WHOLE.findall(text) if len(digits) <= MOST_DIGITS}
    numbers |= {COUNTS[word] for word in _words(text) if word in COUNTS}
    if len(numbers) != 1 or SPAN.search(text):
        raise _UnreadableError("contains several numbers" if numbers else "contains no whole number")
    error = abs(numbers.pop() - (question.flawshot.count or 0))
    return JudgedAnswer(question, right=not error, measures={"absolute_error": float(error)})


def _judge_size(question: AskedQuestion, text: str) -> JudgedAnswer:
    numbers = {float(number) for number in PERCENT.findall(text)}
    if len(numbers) != 1 or SPAN.search(text):
        raise _UnreadableError("contains several percentages" if numbers else "contains no percentage")
    truth = question.flawshot.percent or 1.0
    error = abs(numbers.pop() - truth) / truth
    return JudgedAnswer(question, right=error <= CLOSE, measures={"relative_error": error})


def _judge_box(question: AskedQuestion, text: str, unit: str) -> JudgedAnswer:
    found = set(BOX.findall(text))
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
