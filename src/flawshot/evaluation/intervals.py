"""Confidence intervals: the variance of seeds and of images, Student's quantiles, and Wilson's form for shares.

Percentiles of bootstrap draws are too narrow for few seeds or few images: five seeds drawn with replacement have four
fifths of their variance, and Student's quantile for them is 1.4 times the normal one. So the variance over seeds is
computed, that over images comes from a bootstrap, each is corrected for its number, and both decide on the quantile.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import gammaincinv, stdtrit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = [
    "DRAWS",
    "Z95",
    "Part",
    "combined",
    "count_interval",
    "difference_interval",
    "draws",
    "error_interval",
    "lone_variance",
    "mean_parts",
    "percent",
    "poisson",
    "share_interval",
    "variance_parts",
    "wilson",
]

DRAWS = 10_000
CHUNK_CELLS = 4_000_000
# Normal quantile of a two-sided interval of 95 %.
Z95 = 1.959963984540054
# Bootstrap values with a smaller variance are the same but for rounding.
SAME = 1e-12


def draws(units: int, key: str, count: int = DRAWS) -> Iterator[NDArray[np.float32]]:
    """Draw units with replacement.

    The random bits come from Python's ``random`` seeded with ``key``, so they are the same on every machine.

    Args:
        units: Number of units: images, or groups of images; the instances of a unit stay together.
        key: Seeds the draws; the same key gives the same draws.
        count: Number of draws.

    Yields:
        How often each unit was drawn, float32 ``[draws, units]``, in chunks small enough that memory does not grow with
        the number of units; each row adds up to the number of units.
    """
    rng = random.Random(key)
    chunk = max(1, CHUNK_CELLS // units)
    for start in range(0, count, chunk):
        rows = min(chunk, count - start)
        numbers = np.frombuffer(rng.randbytes(4 * rows * units), dtype="<u4").astype(np.uint64)
        picks = ((numbers * units) >> 32).astype(np.intp).reshape(rows, units)
        picks += np.arange(rows)[:, None] * units
        counts = np.bincount(picks.ravel(), minlength=rows * units)
        yield counts.reshape(rows, units).astype(np.float32)


class Part(NamedTuple):
    """A source of a score's variance: the seeds, or the units.

    Attributes:
        variance: What it adds to the variance of the score.
        freedom: Degrees of freedom from which that is estimated; infinite if it is a bound.
    """

    variance: float
    freedom: float


def variance_parts(per_seed: Sequence[float], resampled: NDArray[np.float64], units: int, alone: float) -> list[Part]:
    """The parts of the variance of a mean over seeds.

    Both contain what varies from answer to answer, so their sum is rather too great than too small.

    Args:
        per_seed: The score of each seed.
        resampled: Bootstrap values of their mean from draws of units, float64 ``[draws]``; NaN from draws with nothing
            to measure.
        units: Number of units, images or groups, that the score comes from.
        alone: The variance that a score of a single unit would have. It stands in if there is but one, and if nothing
            varies.

    Returns:
        The part of the seeds and that of the units.
    """
    seeds, values = len(per_seed), resampled[np.isfinite(resampled)]
    by_seed = float(np.var(per_seed, ddof=1)) / seeds if seeds > 1 else 0.0
    if units < 2:
        return [Part(by_seed, seeds - 1), Part(alone, math.inf)]
    by_unit = float(np.var(values)) * units / (units - 1) if len(values) else 0.0
    if by_seed + by_unit < SAME:
        return [Part(alone / units, math.inf)]
    return [Part(by_seed, seeds - 1), Part(by_unit, units - 1)]


def lone_variance(share: float, units: int) -> float:
    """The variance that a share of a single unit would have; if it is 0 or 1, with two right and two wrong ones added.

    References:
        Agresti, Coull: "Approximate is better than exact for interval estimation of binomial proportions", The American
        Statistician 1998.

    >>> lone_variance(0.5, 10), round(lone_variance(1.0, 10), 3)
    (0.25, 0.122)
    """
    own = share if 0 < share < 1 else (share * units + 2) / (units + 4)
    return own * (1 - own)


def mean_parts(parts: Sequence[Sequence[Part]]) -> list[Part]:
    """The parts of the variance of a mean of independent scores, such as those of several products."""
    return [Part(part.variance / len(parts) ** 2, part.freedom) for own in parts for part in own]


def combined(parts: Sequence[Part]) -> Part:
    """The sum of independent parts, with degrees of freedom after Satterthwaite.

    References:
        Satterthwaite: "An approximate distribution of estimates of variance components", Biometrics Bulletin 1946.

    >>> combined([Part(2.0, 4), Part(2.0, 4)])
    Part(variance=4.0, freedom=8.0)
    """
    own = [part for part in parts if part.variance > 0]
    variance = sum(part.variance for part in own)
    spread = sum(part.variance**2 / part.freedom for part in own)
    return Part(variance, variance**2 / spread if spread else math.inf)


def _quantile(freedom: float) -> float:
    """Student's quantile of a two-sided interval of 95 %."""
    return float(stdtrit(freedom, 0.975)) if math.isfinite(freedom) else Z95


def share_interval(
    mean: float, parts: Sequence[Part], independent: float, most: float = math.inf
) -> tuple[float, float]:
    """The 95 % interval of a share: Wilson's for as many independent items as have its variance, by Student's quantile.

    Args:
        mean: The share, from 0 to 1.
        parts: The parts of its variance.
        independent: How many independent items there are if ``mean`` is 0 or 1.
        most: How many there are at most otherwise. A few wrong answers among many seeds' are too few to show how far
            the seeds agree on the same queries.

    References:
        Dean, Pagano: "Evaluating confidence interval methods for binomial proportions in clustered surveys", Journal of
        Survey Statistics and Methodology 2015.

    >>> [round(bound, 3) for bound in share_interval(0.9, [Part(0.09 / 20, 19)], 20)]
    [0.682, 0.974]
    """
    total = combined(parts)
    if mean in {0.0, 1.0} or not total.variance:
        return wilson(independent * mean, independent)
    items = min(mean * (1 - mean) / total.variance, most)
    return wilson(items * mean, items, _quantile(total.freedom))


def difference_interval(mean: float, parts: Sequence[Part], answers: float) -> tuple[float, float]:
    """Student's 95 % interval of a difference of shares, as if one more answer differed.

    Args:
        mean: The difference, from -1 to 1.
        parts: The parts of its variance.
        answers: How many answers, as far as they are independent, both shares come from.

    References:
        Agresti, Min: "Simple improved confidence intervals for comparing matched proportions", Statistics in Medicine
        2005.

    >>> [round(bound, 3) for bound in difference_interval(0.1, [Part(0.01, 9)], 100)]
    [-0.127, 0.327]
    """
    if abs(mean) == 1.0:
        low, high = wilson(answers * (1 + mean) / 2, answers)
        return 2 * low - 1, 2 * high - 1
    total = combined(parts)
    reach = _quantile(total.freedom) * math.sqrt(total.variance + 1 / answers**2)
    return max(-1.0, mean - reach), min(1.0, mean + reach)


def error_interval(mean: float, corrected: float, parts: Sequence[Part], answers: float) -> tuple[float, float]:
    """Student's 95 % interval of an error that small samples inflate.

    Its lower end is that of the error without what sampling adds. Its upper end is that of the error as if one more
    answer were wrong, as in :func:`difference_interval`: few answers of which nearly all are right do not show the
    others.

    Args:
        mean: The error, from 0 to 1.
        corrected: The error without what sampling adds, at most ``mean``.
        parts: The parts of its variance.
        answers: How many answers, as far as they are independent, it comes from.

    >>> [round(bound, 3) for bound in error_interval(0.2, 0.17, [Part(0.0025, 9)], 40)]
    [0.057, 0.326]
    """
    total = combined(parts)
    quantile = _quantile(total.freedom)
    low = corrected - quantile * math.sqrt(total.variance)
    return max(0.0, low), min(1.0, mean + quantile * math.sqrt(total.variance + 1 / answers**2))


def count_interval(mean: float, parts: Sequence[Part], units: float) -> tuple[float, float]:
    """The 95 % interval of a mean count: Garwood's for as many events as have its variance, or for their number.

    Args:
        mean: The mean count, 0 or more.
        parts: The parts of its variance.
        units: How many units there are if ``mean`` is 0.

    References:
        Fay, Feuer: "Confidence intervals for directly standardized rates", Statistics in Medicine 1997.

    >>> [round(bound, 3) for bound in count_interval(0.5, [Part(0.025, 1e9)], 20)]
    [0.24, 0.92]
    """
    total = combined(parts)
    if not mean or not total.variance:
        return poisson(mean, units)
    # Student's quantile instead of the normal one widens what the variance stands for.
    variance = total.variance * (_quantile(total.freedom) / Z95) ** 2
    return poisson(mean, mean / variance)


def wilson(right: float, total: float, quantile: float = Z95) -> tuple[float, float]:
    """Wilson's 95 % score interval for a share.

    Args:
        right: How many are right.
        total: How many there are.
        quantile: The two-sided interval's quantile; by default the normal one.

    References:
        Wilson: "Probable inference, the law of succession, and statistical inference", JASA 1927.

    >>> [round(bound, 4) for bound in wilson(21, 21)]
    [0.8454, 1.0]
    """
    share, spread = right / total, quantile**2 / total
    middle = (share + spread / 2) / (1 + spread)
    reach = math.sqrt(spread * share * (1 - share) + spread**2 / 4) / (1 + spread)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def poisson(mean: float, units: float) -> tuple[float, float]:
    """The exact 95 % interval for the mean of counts that follow Poisson's law.

    Args:
        mean: The mean count per unit.
        units: How many units there are.

    References:
        Garwood: "Fiducial limits for the Poisson distribution", Biometrika 1936.

    >>> [round(bound, 4) for bound in poisson(0.0, 10)]
    [0.0, 0.3689]
    """
    total = mean * units
    low = float(gammaincinv(total, 0.025)) if total else 0.0
    return low / units, float(gammaincinv(total + 1, 0.975)) / units


def percent(mean: float, ci95: tuple[float, float], *, signed: bool = False) -> str:
    """A share with its interval, in percent.

    >>> percent(0.5, (0.25, 0.75))
    '50.0 [25.0, 75.0]'
    """
    sign = "+" if signed else ""
    # Adding zero removes the sign of a rounded -0.0.
    shown, low, high = (round(100 * value, 1) + 0.0 for value in (mean, *ci95))
    return f"{shown:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"
