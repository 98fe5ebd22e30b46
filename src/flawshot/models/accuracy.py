"""How often predictions are right, with an interval that keeps the instances of an image, or of a group, together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flawshot.evaluation.estimates import estimate_share
from flawshot.evaluation.intervals import draws
from flawshot.models.record import Accuracy, CategoryAccuracy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["measure_accuracy", "units_of"]


def units_of(images: Sequence[str], groups: dict[str, str]) -> list[str]:
    """What is left out together with each instance: its image's group, or its image where it has none."""
    return [f"group {groups[image]}" if image in groups else f"image {image}" for image in images]


def measure_accuracy(
    truth: Sequence[str],
    predicted: Sequence[str],
    units: Sequence[str],
    *,
    folds: int,
    estimated: NDArray[np.bool_] | None = None,
) -> Accuracy | None:
    """Measure the share of right predictions, in all and by category.

    Args:
        truth: The instances' categories.
        predicted: What was predicted.
        units: What belongs together: images, or groups of images.
        folds: How many fits the predictions came from.
        estimated: Which of them count, bool ``[instances]``; all where None.

    Returns:
        None where nothing counts.
    """
    counts = np.ones(len(truth), dtype=bool) if estimated is None else estimated
    right = np.array([a == b for a, b in zip(truth, predicted, strict=True)], dtype=np.float64)
    _, unit = np.unique(np.array(units, dtype=object), return_inverse=True)
    names = np.array(truth, dtype=object)
    if not counts.any():
        return None
    per_category = {}
    for category in sorted(set(truth)):
        own = names == category
        asked = own & counts
        per_category[category] = CategoryAccuracy(
            instances=int(own.sum()),
            units=len(np.unique(unit[own])),
            asked=int(asked.sum()),
            right=int(right[asked].sum()) if asked.any() else None,
            ci95=_interval(right[asked], unit[asked]) if asked.any() else None,
        )
    return Accuracy(
        mean=float(right[counts].mean()),
        ci95=_interval(right[counts], unit[counts]),
        asked=int(counts.sum()),
        units=len(np.unique(unit[counts])),
        folds=folds,
        per_category=per_category,
    )


def _interval(right: NDArray[np.float64], unit: NDArray[np.intp]) -> tuple[float, float]:
    """The share's 95 % interval, units drawn with replacement; always with the same draws."""
    _, place = np.unique(unit, return_inverse=True)
    units = int(place.max()) + 1
    asked, good = np.bincount(place), np.bincount(place, weights=right)
    resampled = np.concatenate(
        [(draw.units @ good) / (draw.units @ asked) for draw in draws(1, units, "flawshot-model")]
    )
    return estimate_share([float(right.mean())], resampled, len(right), units).ci95
