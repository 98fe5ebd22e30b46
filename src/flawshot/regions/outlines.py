"""Outlines: ten numbers that describe a mask's shape, independent of the image under it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_fill_holes, label
from scipy.spatial import ConvexHull, QhullError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flawshot.catalog import Catalog
    from flawshot.labelme.shapes import Region

__all__ = ["OUTLINE_NUMBERS", "catalog_outlines", "measure_outline", "standard_outlines"]

OUTLINE_NUMBERS = (
    "log_share",
    "aspect",
    "extent",
    "solidity",
    "circularity",
    "elongation",
    "log_parts",
    "holes",
    "hu_spread",
    "hu_skew",
)
# Means and deviations over 2,880 drawn flaws, no photographs; benchmarks/outline_statistics.py prints them.
MEANS = np.array((-5.164, 0.375, 0.541, 0.762, 0.593, 0.440, 0.244, 0.003, -1.161, -7.781), dtype=np.float32)
DEVIATIONS = np.array((1.588, 0.396, 0.229, 0.234, 0.329, 0.254, 0.595, 0.019, 0.835, 4.013), dtype=np.float32)
# The least third-order moment before taking the logarithm: a shape without skew has 0.
LEAST_SKEW = 1e-6


def measure_outline(region: Region, image_height: int, image_width: int) -> NDArray[np.float32]:
    """Measure a mask's shape.

    The numbers do not change when image and mask are scaled together, moved, mirrored, or rotated by 90 degrees, except
    for the effect of whole px, which matters below a few hundred px of area:

    - ``log_share``: natural logarithm of the mask's share of the image's area; at most 0.
    - ``aspect``: natural logarithm of its box's longer side over its shorter side; at least 0.
    - ``extent``: share of its box that it covers; 0 to 1.
    - ``solidity``: share of its convex hull that it covers; 0 to 1.
    - ``circularity``: 4 pi area / perimeter^2, where the perimeter is pi / 4 times the number of px edges along the
      border; 1 for a disc, 4 / pi for an upright square (whose border this underestimates), near 0 for a line.
    - ``elongation``: 1 - shorter / longer axis of the ellipse of equal second moments; 0 to 1.
    - ``log_parts``: natural logarithm of the number of its 8-connected parts; at least 0.
    - ``holes``: share of holes in its area with holes filled; 0 to 1.
    - ``hu_spread``: natural logarithm of Hu's first invariant; -1.84 for a disc, greater the more spread.
    - ``hu_skew``: natural logarithm of Hu's third invariant, at least that of 1e-6; greater the less symmetric.

    Args:
        region: The mask.
        image_height: The image's height, in px.
        image_width: The image's width, in px.

    Returns:
        float32 ``[10]`` in the order of :data:`OUTLINE_NUMBERS`; all NaN for a mask without px.

    References:
        Hu: "Visual pattern recognition by moment invariants", IRE Transactions on Information Theory 1962.
    """
    mask = region.pixels
    area = int(np.count_nonzero(mask))
    if area == 0:
        return np.full(len(OUTLINE_NUMBERS), np.nan, dtype=np.float32)
    height, width = mask.shape
    padded = np.pad(mask, 1)
    edges = np.count_nonzero(padded[1:] != padded[:-1]) + np.count_nonzero(padded[:, 1:] != padded[:, :-1])
    perimeter = math.pi / 4 * edges
    spread, skew, elongation = _moments(mask, area)
    filled = int(np.count_nonzero(binary_fill_holes(mask)))
    parts = int(label(mask, np.ones((3, 3)))[1])
    return np.array(
        (
            math.log(area / (image_height * image_width)),
            math.log(max(height, width) / min(height, width)),
            area / (height * width),
            area / _hull_area(mask),
            4 * math.pi * area / perimeter**2,
            elongation,
            math.log(parts),
            1 - area / filled,
            math.log(spread),
            math.log(max(skew, LEAST_SKEW)),
        ),
        dtype=np.float32,
    )


def _moments(mask: NDArray[np.bool_], area: int) -> tuple[float, float, float]:
    """Hu's first and third invariants, and elongation; each px is a square, not a point."""
    rows, columns = np.nonzero(mask)
    y, x = rows - rows.mean(), columns - columns.mean()
    two = {(p, q): float((x**p * y**q).sum()) for p, q in ((2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3))}
    xx, yy, xy = two[2, 0] + area / 12, two[0, 2] + area / 12, two[1, 1]
    spread = (xx + yy) / area**2
    third = area**2.5
    skew = ((two[3, 0] - 3 * two[1, 2]) / third) ** 2 + ((3 * two[2, 1] - two[0, 3]) / third) ** 2
    apart = math.hypot(xx - yy, 2 * xy)
    shorter, longer = max(0.0, xx + yy - apart), xx + yy + apart
    return spread, skew, 1 - math.sqrt(shorter / longer)


def _hull_area(mask: NDArray[np.bool_]) -> float:
    """Area of the convex hull of the px, taken as squares."""
    rows = np.flatnonzero(mask.any(axis=1))
    left = mask[rows].argmax(axis=1)
    right = mask.shape[1] - mask[rows][:, ::-1].argmax(axis=1)
    corners = np.concatenate([np.stack([side, row], axis=1) for side in (left, right) for row in (rows, rows + 1)])
    try:
        return float(ConvexHull(corners).volume)
    except QhullError:  # does not happen with squares, but is no reason to stop
        return float(mask.size)


def standard_outlines(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Outlines standardized by those of drawn flaws, float32 ``[instances, 10]``; 0 where there is no mask."""
    standard = (numbers - MEANS) / DEVIATIONS
    bounded: NDArray[np.float32] = np.clip(np.nan_to_num(standard, nan=0.0), -4, 4).astype(np.float32)
    return bounded


def catalog_outlines(catalog: Catalog, ids: Sequence[str]) -> NDArray[np.float32]:
    """Standardized outlines of some instances of a catalog, float32 ``[instances, 10]``.

    Raises:
        FlawshotError: If a mask cannot be decoded.
    """
    made = np.empty((len(ids), len(OUTLINE_NUMBERS)), dtype=np.float32)
    for number, identifier in enumerate(ids):
        instance = catalog[catalog.row_of[identifier]]
        made[number] = measure_outline(instance.region(), instance.image_height, instance.image_width)
    return standard_outlines(made)
