"""Accuracy of predictions, with an interval that keeps the instances of an image or group together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flawshot.evaluation.estimates import estimate_share
from flawshot.evaluation.intervals import DRAWS, draws
from flawshot.models.record import Accuracy, CategoryAccuracy, Share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["measure_accuracy", "measure_share", "units_of"]

# With more units than this there are fewer draws, because intervals vary less and take longer to compute.
MANY_UNITS, LEAST_DRAWS = 200, 1000


def units_of(images: Sequence[str], groups: dict[str, str]) -> list[str]:
    """The unit that each instance is left out with: its image's group, or its image if it has no group."""
    return [f"group {groups[image]}" if image in groups else f"image {image}" for image in images]


def measure_accuracy(
    truth: Sequence[str],
    predicted: Sequence[str],
    units: Sequence[str],
    *,
    folds: int,
    estimated: NDArray[np.bool_] | None = None,
) -> Accuracy | None:
    """Measure the share of right predictions, overall and per category.

    Args:
        truth: The instances' categories.
        predicted: What was predicted.
        units: The image, or group of images, that each instance belongs to.
        folds: Number of fits that the predictions come from.
        estimated: Which of them count, bool ``[instances]``; all if None.

    Returns:
        The accuracy, or None if nothing counts.
    """
    counts = np.ones(len(truth), dtype=bool) if estimated is None else estimated
    if not counts.any():
        return None
    right = np.array([a == b for a, b in zip(truth, predicted, strict=True)], dtype=np.float64)
    unit = np.unique(np.array(units, dtype=object), return_inverse=True)[1]
    names = np.array(truth, dtype=object)
    categories = sorted(set(truth))
    owns = [counts, *(counts & (names == category) for category in categories)]
    intervals = [
        None
        if resampled is None
        else estimate_share([float(right[own].mean())], resampled, *_sizes(own, unit), folds=folds).ci95
        for own, resampled in zip(owns, _resampled(right, unit, owns), strict=True)
    ]
    per_category = {}
    for category, own, ci95 in zip(categories, owns[1:], intervals[1:], strict=True):
        every = names == category
        per_category[category] = CategoryAccuracy(
            instances=int(every.sum()),
            units=len(np.unique(unit[every])),
            asked=int(own.sum()),
            right=None if ci95 is None else int(right[own].sum()),
            ci95=ci95,
        )
    return Accuracy(
        mean=float(right[counts].mean()),
        ci95=intervals[0] or (0.0, 1.0),
        asked=int(counts.sum()),
        units=len(np.unique(unit[counts])),
        folds=folds,
        per_category=per_category,
    )


def measure_share(hits: NDArray[np.bool_], units: Sequence[str], counts: NDArray[np.bool_]) -> Share | None:
    """Measure the share of hits, with an interval for the number of units.

    Args:
        hits: Which instances are hits, bool ``[instances]``.
        units: The image, or group of images, that each instance belongs to.
        counts: Which of them count, bool ``[instances]``.

    Returns:
        The share, or None if nothing counts.
    """
    if not counts.any():
        return None
    values, unit = hits.astype(np.float64), np.unique(np.array(units, dtype=object), return_inverse=True)[1]
    (resampled,) = _resampled(values, unit, [counts])
    if resampled is None:
        return None
    asked, of_units = _sizes(counts, unit)
    mean = float(values[counts].mean())
    return Share(mean=mean, ci95=estimate_share([mean], resampled, asked, of_units).ci95, asked=asked, units=of_units)


def _sizes(own: NDArray[np.bool_], unit: NDArray[np.intp]) -> tuple[int, int]:
    return int(own.sum()), len(np.unique(unit[own]))


def _resampled(
    right: NDArray[np.float64], unit: NDArray[np.intp], owns: Sequence[NDArray[np.bool_]]
) -> list[NDArray[np.float64] | None]:
    """Shares of right predictions in the same draws of units with replacement; None where nothing counts."""
    any_own = owns[0]
    _, place = np.unique(unit[any_own], return_inverse=True)
    units = int(place.max()) + 1
    tally = [
        np.bincount(place, weights=weights[any_own], minlength=units) for own in owns for weights in (own, own * right)
    ]
    table = np.stack(tally, axis=1).astype(np.float32)
    count = DRAWS if units <= MANY_UNITS else max(LEAST_DRAWS, DRAWS * MANY_UNITS // units)
    sums = np.concatenate([drawn @ table for drawn in draws(units, "flawshot-model", count)]).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = sums[:, 1::2] / sums[:, ::2]
    return [shares[:, number] if own.any() else None for number, own in enumerate(owns)]
