"""Suggestions: which regions of a feature bank a person should label next, and why."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, printable
from flawshot.base.wording import counted, plural
from flawshot.models.matching import match_examples
from flawshot.models.selection import STRATEGIES, Candidates, doubts, represented

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from flawshot.bank.features import FeatureBank
    from flawshot.catalog import Catalog
    from flawshot.models.model import Model
    from flawshot.models.predictions import Prediction

__all__ = ["COUNT", "DEFAULT_STRATEGY", "Suggested", "Suggestion", "check_wanted", "suggest"]

COUNT: Final = 20
DEFAULT_STRATEGY: Final = "typicality"
# Regions that are classified at a time.
BLOCK = 256
# From this doubt on (a margin of half at most), the two most probable categories are named as a reason.
DOUBTFUL = 0.5


class Suggestion(NamedTuple):
    """A region that a person should label.

    Attributes:
        id: The region's id in the data.
        image: Its image, relative to the data root (POSIX).
        prediction: What the model predicts.
        why: Why it is suggested, in words.
    """

    id: str
    image: str
    prediction: Prediction
    why: str


class Suggested(NamedTuple):
    """What :func:`suggest` suggests, and what it chose from.

    Attributes:
        suggestions: The regions, in the order in which they should be labeled.
        candidates: Number of regions to choose from.
        examples: Number of regions that are the model's examples already, and are not suggested.
    """

    suggestions: tuple[Suggestion, ...]
    candidates: int
    examples: int


def suggest(
    model: Model,
    bank: FeatureBank,
    count: int = COUNT,
    *,
    by: str = DEFAULT_STRATEGY,
    seed: int = 0,
    groups: Mapping[str, str] | Callable[[Catalog], Mapping[str, str]] | None = None,
    shares: Mapping[str, NDArray[np.float32] | None] | None = None,
) -> Suggested:
    """Suggest which regions of a feature bank a person should label next.

    Labels in the bank do not matter, except that a region that is an example of the model is not suggested: one with
    the same image file name, box and features. ``docs/suggesting.md`` describes the strategies and compares them.

    Args:
        model: The model.
        bank: The regions, encoded with the model's encoder and views.
        count: How many to suggest, at most.
        by: The strategy, one of :data:`flawshot.models.selection.STRATEGIES`.
        seed: Of the strategies that draw something.
        groups: The group of each image, or what gives it for a catalog; images of a group show one physical sample. At
            most one region is suggested per group, or per image that has none.
        shares: What a finder says of each region, by its id; as for :meth:`flawshot.Model.judge`.

    Raises:
        FlawshotError: If the bank was made with another encoder or other views, the count is below 1, there is no such
            strategy, or all regions are examples.
    """
    check_wanted(count, by)
    model.check_bank(bank)
    known = match_examples(model.support, bank, "").known
    rows = [row for row in range(len(bank.catalog)) if row not in known]
    if not rows:
        every = plural(len(known), "the region is an example", f"all {len(known)} regions are examples")
        raise FlawshotError(f"{model.path}: {every} of it already; there is nothing to suggest")
    ids, images = ([bank.catalog.column(name)[row] for row in rows] for name in ("id", "image"))
    named = dict(groups(bank.catalog) if callable(groups) else groups or {})
    # A group may have the name of another image.
    units = {unit: number for number, unit in enumerate(dict.fromkeys(_unit(image, named) for image in images))}
    places: list[NDArray[np.float32]] = []
    said: list[Prediction] = []
    doubt: list[NDArray[np.float32]] = []
    for start in range(0, len(ids), BLOCK):
        part = ids[start : start + BLOCK]
        features = bank.features(part)
        judged = model.judge(features, None if shares is None else [shares.get(each) for each in part])
        said += judged
        doubt.append(doubts(judged.probabilities))
        places.append(model.novelty.places(features))
    examples = model.support.features(model.support.catalog.column("id"))
    candidates = Candidates(
        np.concatenate(places),
        model.novelty.places(examples),
        np.concatenate(doubt),
        np.array([units[_unit(image, named)] for image in images], dtype=np.intp),
    )
    chosen = STRATEGIES[by](candidates, count, random.Random(f"{by}/{seed}"))
    made = [
        Suggestion(ids[row], images[row], said[row], _why(by, said[row], float(candidates.doubt[row]), others))
        for row, others in zip(chosen, represented(candidates, chosen), strict=True)
    ]
    return Suggested(tuple(made), len(rows), len(known))


def check_wanted(count: int, by: str) -> None:
    """Refuse a count or a strategy that there is none of.

    Raises:
        FlawshotError: If the count is below 1, or there is no such strategy.
    """
    if count < 1:
        raise FlawshotError(f"{argument('count', count)}: must be at least 1")
    if by not in STRATEGIES:
        raise FlawshotError(f"{argument('by', by)}: is no strategy; choose one of {', '.join(STRATEGIES)}")


def _unit(image: str, groups: Mapping[str, str]) -> tuple[bool, str]:
    return (True, groups[image]) if image in groups else (False, image)


def _why(by: str, said: Prediction, doubt: float, others: int) -> str:
    """Why a region is suggested."""
    parts = []
    if by == "random":
        parts.append("drawn at random")
    if said.unknown:
        parts.append("unlike the examples")
    elif by in {"k-center", "mixture"}:
        parts.append("far from the examples")
    if by == "doubt" or said.unsure or doubt >= DOUBTFUL:
        first, second = printable(said.label), printable(said.runner_up)
        parts.append(f"doubtful: {first} {said.probability:.2f}, {second} {said.runner_up_probability:.2f}")
    if by == "typicality":
        parts.append(f"typical of {counted(others, 'other')}" if others else "typical of a few without an example")
    elif others and by in {"k-center", "mixture"}:
        parts.append(f"like {counted(others, 'other')}")
    return "; ".join(parts)
