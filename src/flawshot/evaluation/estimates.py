"""Estimates: a mean over episodes with its deviation and interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flawshot.evaluation.intervals import percentile_interval, wilson
from flawshot.evaluation.results import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["estimate"]


def estimate(per_seed: Sequence[float], resampled: NDArray[np.float64], queries: int | None) -> Estimate:
    """Mean, deviation and interval; with ``queries``, Wilson's bound where all are right or all wrong."""
    mean = float(np.mean(per_seed))
    interval = percentile_interval(resampled)
    if queries is not None and all(value in {0.0, 1.0} for value in per_seed) and len(set(per_seed)) == 1:
        interval = wilson(queries if mean else 0, queries)
    std = float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None
    return Estimate(mean=mean, std=std, ci95=interval)
