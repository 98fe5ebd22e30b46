"""Intervals that ``coverage.py`` compares flawshot's with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import norm, t

from flawshot.evaluation.intervals import combined
from two_way import draws, percentile_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.evaluation.intervals import Part
    from flawshot.evaluation.scores import QueryPredictions

Interval = tuple[float, float]


def percentiles(mean: float, values: np.ndarray, wilsons: Interval | None) -> Interval:
    """Percentiles of the draws, or Wilson's interval if all are right or wrong."""
    low, high = wilsons if wilsons and mean in {0.0, 1.0} else percentile_interval(values)
    return min(low, mean), max(high, mean)


def reflected(mean: float, values: np.ndarray) -> Interval:
    """The basic bootstrap's interval: percentiles mirrored at the mean."""
    low, high = percentile_interval(values)
    low, high = max(0.0, 2 * mean - high), min(1.0, 2 * mean - low)
    return min(low, mean), max(high, mean)


def accelerated(mean: float, values: np.ndarray, gained: np.ndarray, unit: np.ndarray) -> Interval:
    """Efron's BCa interval, accelerated by the jackknife over seeds and units; ``gained`` is ``[seeds, queries]``."""
    sums, sizes = np.bincount(unit, gained.mean(axis=0)), np.bincount(unit)
    without_unit = (sums.sum() - sums) / (sizes.sum() - sizes)
    without_seed = (gained.sum() - gained.sum(axis=1)) / (gained.size - gained.shape[1])
    gaps = np.concatenate([(own.mean() - own) * (len(own) - 1) / len(own) for own in (without_unit, without_seed)])
    below = np.mean(values < mean) + np.mean(values == mean) / 2
    if not gaps.any() or not 0 < below < 1:
        return percentile_interval(values)
    shift, speed = norm.ppf(below), (gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5)
    ends = (norm.cdf(shift + (shift + z) / (1 - speed * (shift + z))) for z in norm.ppf([0.025, 0.975]))
    low, high = np.nanquantile(values, list(ends))
    return min(float(low), mean), max(float(high), mean)


def student(mean: float, parts: Sequence[Part], least: float) -> Interval:
    """Student's interval of the same variance, without Wilson's form."""
    total = combined(parts)
    reach = float(t.ppf(0.975, total.freedom)) * math.sqrt(total.variance)
    return max(least, mean - reach), min(1.0, mean + reach)


class Drawn(NamedTuple):
    """Accuracies, accuracies by category, and calibration errors of a bootstrap over seeds and units together."""

    accuracy: np.ndarray
    per_category: np.ndarray
    ece: np.ndarray


def two_way(each: QueryPredictions, categories: int, key: str, count: int) -> Drawn:
    """The bootstrap whose percentiles are compared with, the same draws for the same key."""
    asked = each.asked
    bins = np.minimum(np.ceil(each.confidence * 10).astype(int) - 1, 9).clip(0)
    kinds = {"asked": (asked.truth, np.ones(len(each.right))), "right": (asked.truth, each.right)}
    kinds["gap"] = (bins, each.right - each.confidence)
    sums = {name: np.zeros((asked.units, asked.seeds, 10 if name == "gap" else categories)) for name in kinds}
    for name, (place, value) in kinds.items():
        np.add.at(sums[name], (asked.unit, asked.seed, place), value)
    (draw,) = draws(asked.seeds, asked.units, key, count)
    of = {name: np.tensordot(draw.units, own, axes=1) for name, own in sums.items()}
    weights, total = draw.seeds / asked.seeds, of["asked"].sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        recalls = of["right"] / of["asked"]
    return Drawn(
        (weights * of["right"].sum(axis=2) / total).sum(axis=1),
        np.einsum("ds,dsc->dc", weights, recalls),
        (weights * np.abs(of["gap"]).sum(axis=2) / total).sum(axis=1),
    )
