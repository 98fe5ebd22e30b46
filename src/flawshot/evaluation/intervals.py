"""Confidence intervals: a bootstrap over seeds and query images together, and Wilson's bound."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import gammaincinv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["DRAWS", "Draw", "draws", "percent", "percentile_interval", "poisson", "wilson"]

DRAWS = 10_000
CHUNK_CELLS = 4_000_000
# Normal quantile of a two-sided interval of 95 %.
Z95 = 1.959963984540054


class Draw(NamedTuple):
    """Some draws of the bootstrap: how often each seed and each unit was drawn.

    Attributes:
        seeds: float32 ``[draws, seeds]``; each row adds up to the number of seeds.
        units: float32 ``[draws, units]``; each row adds up to the number of units.
    """

    seeds: NDArray[np.float32]
    units: NDArray[np.float32]


def draws(seeds: int, units: int, key: str, count: int = DRAWS) -> Iterator[Draw]:
    """Draw seeds and units with replacement, both at once.

    The random bits come from Python's ``random`` seeded with ``key``, so they are the same on every machine.

    Args:
        seeds: Number of seeds.
        units: Number of units: images, or groups of images; the instances of a unit stay together.
        key: Seeds the draws; the same key gives the same draws.
        count: Number of draws.

    Yields:
        Chunks of draws, small enough that memory does not grow with the number of units.
    """
    rng = random.Random(key)
    chunk = max(1, CHUNK_CELLS // (seeds + units))
    for start in range(0, count, chunk):
        rows = min(chunk, count - start)
        yield Draw(_resample(rng, rows, seeds), _resample(rng, rows, units))


def _resample(rng: random.Random, rows: int, size: int) -> NDArray[np.float32]:
    numbers = np.frombuffer(rng.randbytes(4 * rows * size), dtype="<u4").astype(np.uint64)
    picks = ((numbers * size) >> 32).astype(np.intp).reshape(rows, size)
    picks += np.arange(rows)[:, None] * size
    counts = np.bincount(picks.ravel(), minlength=rows * size)
    return counts.reshape(rows, size).astype(np.float32)


def percentile_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of bootstrap values, ignoring NaN from draws with nothing to measure."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def wilson(right: float, total: int) -> tuple[float, float]:
    """Wilson's 95 % score interval for a share.

    Args:
        right: How many are right.
        total: How many there are.

    References:
        Wilson: "Probable inference, the law of succession, and statistical inference", JASA 1927.

    >>> [round(bound, 4) for bound in wilson(21, 21)]
    [0.8454, 1.0]
    """
    share, spread = right / total, Z95**2 / total
    middle = (share + spread / 2) / (1 + spread)
    reach = math.sqrt(spread * share * (1 - share) + spread**2 / 4) / (1 + spread)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def poisson(mean: float, units: int) -> tuple[float, float]:
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
