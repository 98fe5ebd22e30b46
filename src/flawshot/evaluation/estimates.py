"""Estimates: means over episodes, with standard deviation and interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from flawshot.evaluation.intervals import Z95, error_interval, lone_variance, share_interval, variance_parts, wilson
from flawshot.evaluation.result_records import CategoryScore, Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flawshot.evaluation.intervals import Part
    from flawshot.evaluation.scores import QueryPredictions

__all__ = [
    "MOST",
    "difference_parts",
    "estimate_category",
    "estimate_error",
    "estimate_known",
    "estimate_share",
    "independent_answers",
    "independent_queries",
    "share_parts",
]

# How often a query may count if several seeds ask it.
MOST = 2


def independent_answers(queries: int, seeds: int) -> int:
    """As how many independent answers several seeds' answers to the same queries count, if nearly all are the same.

    >>> independent_answers(20, 1), independent_answers(20, 15)
    (20, 40)
    """
    return min(seeds, MOST) * queries


def independent_queries(queries: int, units: int) -> float:
    """As how many independent queries those of fewer units count, if nearly all answers are the same.

    They do not show how much alike the queries of a unit are: if nothing but the unit mattered, it would be the number
    of units. The geometric mean lies between both.

    >>> independent_queries(20, 20), independent_queries(20, 5)
    (20.0, 10.0)
    """
    return math.sqrt(queries * units)


def share_parts(per_seed: Sequence[float], resampled: NDArray[np.float64], units: int) -> list[Part]:
    """The parts of the variance of a share's mean over seeds; see :func:`flawshot.evaluation.intervals.variance_parts`.

    Args:
        per_seed: The share in each seed's episode.
        resampled: Bootstrap values of the mean.
        units: Number of images, or groups, that it comes from.
    """
    return variance_parts(per_seed, resampled, units, lone_variance(float(np.mean(per_seed)), units))


def difference_parts(per_seed: Sequence[float], resampled: NDArray[np.float64], units: int) -> list[Part]:
    """The parts of the variance of a difference of shares; arguments as for :func:`share_parts`."""
    if units > 1 and not np.any(per_seed):
        # If it is zero everywhere, what Wilson's bound leaves open for a unit that differs.
        alone = units * ((1.0 - wilson(units, units)[0]) / Z95) ** 2
    else:
        # A difference is twice a share from -1 on: that of the gains if nothing else happens.
        alone = 4 * lone_variance((1 + float(np.mean(per_seed))) / 2, units)
    return variance_parts(per_seed, resampled, units, alone)


def estimate_share(
    per_seed: Sequence[float], resampled: NDArray[np.float64], queries: int, units: int, folds: int = 1
) -> Estimate:
    """Estimate the share of queries that are predicted correctly.

    Args:
        per_seed: The share in each seed's episode.
        resampled: Its bootstrap values.
        queries: Number of distinct query instances.
        units: Number of images, or groups, that they come from. With one unit there is nothing to resample, and
            Wilson's interval for that unit is used. If all queries are right, or all wrong, it is Wilson's interval
            for :func:`independent_queries`.
        folds: Number of fits that the predictions come from, each without what it predicts. With several, the variance
            is that of Nadeau and Bengio: fits share their examples, and other examples give other fits.

    References:
        Nadeau, Bengio: "Inference for the generalization error", Machine Learning 2003.
    """
    mean = float(np.mean(per_seed))
    wider = 1.0 + folds / (folds - 1) if folds > 1 else 1.0
    parts = [part._replace(variance=wider * part.variance) for part in share_parts(per_seed, resampled, units)]
    independent = independent_queries(queries, units)
    ci95 = share_interval(mean, parts, independent, most=MOST * independent)
    return Estimate(mean=mean, std=_deviation(per_seed), ci95=ci95)


def estimate_error(
    per_seed: Sequence[float], corrected: Sequence[float], resampled: NDArray[np.float64], queries: int, units: int
) -> Estimate:
    """Estimate a calibration error.

    Args:
        per_seed: The error in each seed's episode.
        corrected: The same without what sampling adds.
        resampled: Its bootstrap values.
        queries: Number of distinct query instances.
        units: Number of images, or groups, that they come from.
    """
    mean, parts = float(np.mean(per_seed)), share_parts(per_seed, resampled, units)
    ci95 = error_interval(mean, float(np.mean(corrected)), parts, independent_answers(queries, len(per_seed)))
    return Estimate(mean=mean, std=_deviation(per_seed), ci95=ci95)


def estimate_category(predictions: QueryPredictions, number: int, resampled: NDArray[np.float64]) -> CategoryScore:
    """Estimate the accuracy on one category.

    Args:
        predictions: All predictions.
        number: The category.
        resampled: Bootstrap values of its accuracy.
    """
    asked = predictions.asked
    own = asked.truth == number
    if not own.any():
        return CategoryScore(mean=None, ci95=None, n_query=0)
    counts = np.bincount(asked.seed[own], minlength=asked.seeds)
    right = np.bincount(asked.seed[own], weights=predictions.right[own], minlength=asked.seeds)
    per_seed = (right[counts > 0] / counts[counts > 0]).tolist()
    queries, units = (len(np.unique(numbers[own])) for numbers in (asked.query, asked.unit))
    if (predictions.predicted < 0).all():
        share = estimate_known(per_seed)
    else:
        share = estimate_share(per_seed, resampled, queries, units)
    return CategoryScore(mean=share.mean, ci95=share.ci95, n_query=queries)


def estimate_known(per_seed: Sequence[float]) -> Estimate:
    """A score that is known without a measurement, such as that of a blind guess."""
    mean = float(np.mean(per_seed))
    return Estimate(mean=mean, std=_deviation(per_seed), ci95=(mean, mean))


def _deviation(per_seed: Sequence[float]) -> float | None:
    return float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None
