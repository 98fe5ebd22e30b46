"""Scores of a model's answers in words, by kind of question, product and category, with intervals over images."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from flawshot.evaluation.estimates import estimate_share
from flawshot.evaluation.intervals import draws
from flawshot.evaluation.language_answers import JudgedAnswer, judge_answer
from flawshot.evaluation.language_results import LanguageResults, LanguageRun, LanguageScore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from flawshot.evaluation.language_questions import AskedQuestion

__all__ = ["evaluate_answers", "fixed_answers"]

KINDS = ("any", "what", "count", "where", "part", "size")
# What the share of right answers is called.
RIGHT = {"any": "accuracy", "what": "accuracy", "count": "accuracy", "part": "accuracy", "where": "iou_50"}
RIGHT["size"] = "within_25_percent"


def evaluate_answers(
    questions: Sequence[AskedQuestion],
    answers: Mapping[str, str],
    *,
    boxes: str = "share",
    provenance: Mapping[str, object] | None = None,
) -> LanguageResults:
    """Score a model's answers against the annotations.

    A missing answer, and one that cannot be read for certain, counts as wrong; both are named.

    Args:
        questions: The questions.
        answers: The model's answers, by question id.
        boxes: In what the model states boxes: ``share``, ``thousandth`` or ``pixel``.
        provenance: What is recorded with the results.

    Raises:
        FlawshotError: If ``boxes`` is none of these.
    """
    judged = [judge_answer(question, answers.get(question.id), boxes=boxes) for question in questions]
    fixed = fixed_answers(questions)
    reference = [judge_answer(question, fixed[question.id]) for question in questions]
    runs = [
        _run(product, kind, category, [judged[place] for place in places], [reference[place] for place in places])
        for product, kind, category, places in _groups(questions)
    ]
    known = {question.id for question in questions}
    return LanguageResults(
        runs=tuple(runs),
        missing=tuple(each.question.id for each in judged if not each.answered),
        foreign=tuple(identifier for identifier in answers if identifier not in known),
        unread={each.question.id: each.problem for each in judged if each.answered and each.problem},
        provenance=dict(provenance or {}) | {"boxes": boxes},
    )


def fixed_answers(questions: Sequence[AskedQuestion]) -> dict[str, str]:
    """Answers that do not look at the image, by question id.

    They are always yes; the product's most frequent category, ninth and number; the whole image; and the product's
    median size.
    """
    by_group: dict[tuple[str, str], list[AskedQuestion]] = {}
    for question in questions:
        by_group.setdefault((question.flawshot.product, question.flawshot.kind), []).append(question)
    made: dict[str, str] = {}
    for (_, kind), own in by_group.items():
        text = _fixed(kind, own)
        made |= {question.id: text for question in own}
    return made


def _fixed(kind: str, own: Sequence[AskedQuestion]) -> str:
    if kind == "any":
        return "yes"
    if kind == "where":
        return "[0, 0, 1, 1]"
    if kind == "size":
        return f"{statistics.median(each.flawshot.percent or 0.0 for each in own):.15f} %"
    field = {"what": "category", "part": "part", "count": "count"}[kind]
    counts = Counter(str(getattr(each.flawshot, field)) for each in own)
    return min(counts, key=lambda value: (-counts[value], value))


def _groups(questions: Sequence[AskedQuestion]) -> Iterator[tuple[str | None, str, str | None, list[int]]]:
    """Product, kind and category of each row of the results, with the places of its questions."""
    places: dict[tuple[str | None, str, str | None], list[int]] = {}
    for place, question in enumerate(questions):
        truth = question.flawshot
        for key in ((None, truth.kind, None), (truth.product, truth.kind, None)):
            places.setdefault(key, []).append(place)
        if truth.category:
            places.setdefault((truth.product, truth.kind, truth.category), []).append(place)
    order = sorted(places, key=lambda key: (key[0] is not None, key[0] or "", KINDS.index(key[1]), key[2] or ""))
    for product, kind, category in order:
        yield product, kind, category, places[product, kind, category]


def _run(
    product: str | None,
    kind: str,
    category: str | None,
    judged: Sequence[JudgedAnswer],
    reference: Sequence[JudgedAnswer],
) -> LanguageRun:
    images = [each.question.flawshot.source for each in judged]
    numbers = {image: number for number, image in enumerate(dict.fromkeys(images))}
    unit = np.array([numbers[image] for image in images], np.intp)
    key = f"language {product} {kind} {category}"
    scores: dict[str, LanguageScore] = {}
    others = {name: (top, bottom) for name, top, bottom in _shares(kind, reference)}
    for name, share in _estimated(list(_shares(kind, judged)), unit, key).items():
        scores[name] = share.model_copy(update={"reference": _ratio(*others[name])})
    for name, measure, summary in MEASURES.get(kind, ()):
        values = [each.measures[measure] for each in judged if measure in each.measures]
        if values:
            other = [each.measures[measure] for each in reference if measure in each.measures]
            scores[name] = LanguageScore(
                mean=float(summary(values)),
                ci95=None,
                n=len(values),
                reference=float(summary(other)) if other else None,
            )
    return LanguageRun(
        product=product,
        kind=kind,
        category=category,
        n_questions=len(judged),
        n_images=len(numbers),
        n_answered=sum(each.answered for each in judged),
        n_read=sum(not each.problem for each in judged),
        scores=scores,
    )


MEASURES: dict[str, tuple[tuple[str, str, Callable[[Sequence[float]], float]], ...]] = {
    "count": (("mean_absolute_error", "absolute_error", statistics.fmean),),
    "size": (("median_relative_error", "relative_error", statistics.median),),
}
Values = np.ndarray[tuple[int], np.dtype[np.float64]]


def _shares(kind: str, judged: Sequence[JudgedAnswer]) -> Iterator[tuple[str, Values, Values]]:
    """The scores that are shares: name, and numerator and denominator of each answer."""
    every = np.ones(len(judged))
    right = np.array([each.right for each in judged], np.float64)
    yield RIGHT[kind], right, every
    if kind == "where":
        yield "mean_iou", np.array([each.measures.get("iou", 0.0) for each in judged]), every
    if kind == "any":
        yes = np.array([each.said_yes for each in judged], np.float64)
        present = np.array([bool(each.question.flawshot.present) for each in judged], np.float64)
        yield "precision", yes * present, yes
        yield "recall", yes * present, present
        yield "yes_share", yes, every
        yield "yes_share_true", present, every


def _ratio(top: Values, bottom: Values) -> float | None:
    return float(top.sum() / bottom.sum()) if bottom.sum() else None


def _estimated(
    shares: Sequence[tuple[str, Values, Values]], unit: np.ndarray[tuple[int], np.dtype[np.intp]], key: str
) -> dict[str, LanguageScore]:
    """Shares with their intervals over images, by name; the answers about an image stay together."""
    units = int(unit.max()) + 1
    sums = {
        name: tuple(np.bincount(unit, weights=each, minlength=units) for each in (top, bottom))
        for name, top, bottom in shares
        if bottom.sum()
    }
    resampled: dict[str, list[Values]] = {name: [] for name in sums}
    with np.errstate(invalid="ignore", divide="ignore"):
        for drawn in draws(units, key):
            for name, (tops, bottoms) in sums.items():
                resampled[name].append((drawn @ tops) / (drawn @ bottoms))
    made = {}
    for name, (tops, bottoms) in sums.items():
        mean, number = float(tops.sum() / bottoms.sum()), int(bottoms.sum())
        share = estimate_share([mean], np.concatenate(resampled[name]), number, int((bottoms > 0).sum()))
        made[name] = LanguageScore(mean=mean, ci95=share.ci95, n=number, reference=None)
    return made
