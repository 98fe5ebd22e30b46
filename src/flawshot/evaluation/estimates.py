"""Estimates: means over episodes, with standard deviation and interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flawshot.evaluation.intervals import percentile_interval, wilson
from flawshot.evaluation.results import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["estimate_error", "estimate_share"]


def estimate_share(per_seed: Sequence[float], resampled: NDArray[np.float64], queries: int, units: int) -> Estimate:
    """Estimate the share of queries that are predicted correctly.

    Args:
        per_seed: The share in each seed's episode.
        resampled: Its bootstrap values.
        queries: Number of distinct query instances; if all are right, or all wrong, Wilson's interval for this number
            is used.
        units: Number of images, or groups, that they come from. With one unit and one seed there is nothing to
            resample, and Wilson's interval for that unit is used.
    """
    mean = float(np.mean(per_seed))
    low, high = percentile_interval(resampled)
    if mean in {0.0, 1.0}:
        low, high = wilson(queries * mean, queries)
    elif units < 2 and len(per_seed) < 2:
        low, high = wilson(mean, 1)
    return Estimate(mean=mean, std=_deviation(per_seed), ci95=(min(low, mean), max(high, mean)))


def estimate_error(per_seed: Sequence[float], resampled: NDArray[np.float64]) -> Estimate:
    """Estimate a calibration error.

    Resampling inflates it, so its interval is mirrored at the mean (basic bootstrap).
    """
    mean = float(np.mean(per_seed))
    low, high = percentile_interval(resampled)
    low, high = max(0.0, 2 * mean - high), min(1.0, 2 * mean - low)
    return Estimate(mean=mean, std=_deviation(per_seed), ci95=(min(low, mean), max(high, mean)))


def _deviation(per_seed: Sequence[float]) -> float | None:
    return float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None
