"""Estimates: a mean over episodes with its deviation and interval."""

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
    """A share of queries decided rightly.

    Args:
        per_seed: The share in each seed's episode.
        resampled: Its bootstrap values.
        queries: Distinct query instances: where all are right, or all wrong, Wilson's interval on them is taken.
        units: Images, or groups, that they come from: with a single one and a single seed there is nothing to resample,
            and the interval is Wilson's on that one.
    """
    mean = float(np.mean(per_seed))
    low, high = percentile_interval(resampled)
    if mean in {0.0, 1.0}:
        low, high = wilson(queries * mean, queries)
    elif units < 2 and len(per_seed) < 2:
        low, high = wilson(mean, 1)
    return Estimate(mean=mean, std=_deviation(per_seed), ci95=(min(low, mean), max(high, mean)))


def estimate_error(per_seed: Sequence[float], resampled: NDArray[np.float64]) -> Estimate:
    """A calibration error, which resampling makes larger: its interval is reflected at the mean (basic bootstrap)."""
    mean = float(np.mean(per_seed))
    low, high = percentile_interval(resampled)
    low, high = max(0.0, 2 * mean - high), min(1.0, 2 * mean - low)
    return Estimate(mean=mean, std=_deviation(per_seed), ci95=(min(low, mean), max(high, mean)))


def _deviation(per_seed: Sequence[float]) -> float | None:
    return float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None
