"""Masks of a resized image as masks of the image itself, computed only where they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["enlarged"]

# Pixels that are interpolated at a time.
PIXELS_AT_ONCE = 2**20


class _Axis(NamedTuple):
    """For some places along an axis of an image: the two places of the resized one between which each lies."""

    window: slice
    low: NDArray[np.intp]
    high: NDArray[np.intp]
    share: NDArray[np.float32]


def enlarged(mask: NDArray[np.bool_], size: tuple[int, int]) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """Where at least half of a mask is, interpolated bilinearly to another size, as torch does it.

    Args:
        mask: bool ``[rows, columns]``, with at least one pixel.
        size: (height, width) of the other size.

    Returns:
        A window of the other size that contains all of the mask, and the mask in it.
    """
    axes = [_axis(np.flatnonzero(mask.any(axis=1 - number)), mask.shape[number], size[number]) for number in range(2)]
    rows, columns = axes
    made = np.empty((len(rows.low), len(columns.low)), dtype=bool)
    step = max(1, PIXELS_AT_ONCE // len(columns.low))
    for start in range(0, len(rows.low), step):
        part = slice(start, start + step)
        down = rows.share[part, None]
        between = mask[rows.low[part]] * (1 - down) + mask[rows.high[part]] * down
        values = between[:, columns.low] * (1 - columns.share) + between[:, columns.high] * columns.share
        made[part] = values >= 0.5
    return (rows.window, columns.window), made


def _axis(covered: NDArray[np.intp], small: int, large: int) -> _Axis:
    """The places of an image to which those of the resized one that a mask covers contribute."""
    scale = small / large
    first, last = int(covered[0]), int(covered[-1])
    start = max(0, math.floor((first - 0.5) / scale - 0.5))
    stop = min(large, math.ceil((last + 1.5) / scale - 0.5) + 1)
    places = ((np.arange(start, stop) + 0.5) * scale - 0.5).clip(0.0, small - 1.0)
    low = places.astype(np.intp)
    return _Axis(slice(start, stop), low, np.minimum(low + 1, small - 1), (places - low).astype(np.float32))
