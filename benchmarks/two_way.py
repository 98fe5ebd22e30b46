"""The percentile bootstrap over seeds and units together, for benchmarks with many of both.

It is too narrow for few seeds or few units; ``benchmarks/coverage.py`` shows by how much.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

DRAWS = 10_000
CHUNK_CELLS = 4_000_000


class Draw(NamedTuple):
    """Some draws of the bootstrap: how often each seed and each unit was drawn.

    Attributes:
        seeds: float32 ``[draws, seeds]``; each row adds up to the number of seeds.
        units: float32 ``[draws, units]``; each row adds up to the number of units.
    """

    seeds: np.ndarray
    units: np.ndarray


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


def _resample(rng: random.Random, rows: int, size: int) -> np.ndarray:
    numbers = np.frombuffer(rng.randbytes(4 * rows * size), dtype="<u4").astype(np.uint64)
    picks = ((numbers * size) >> 32).astype(np.intp).reshape(rows, size)
    picks += np.arange(rows)[:, None] * size
    counts = np.bincount(picks.ravel(), minlength=rows * size)
    return counts.reshape(rows, size).astype(np.float32)


def percentile_interval(values: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of bootstrap values, ignoring NaN from draws with nothing to measure."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
