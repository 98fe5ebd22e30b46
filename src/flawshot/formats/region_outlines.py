"""Polygons for other programs that cover exactly a region's pixels, as far as polygons can."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import binary_fill_holes
from scipy.spatial import cKDTree

from flawshot.formats.components import components, outline
from flawshot.labelme.shapes import Shape, rasterize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flawshot.labelme.shapes import Region

__all__ = ["CENTERED", "ROUNDED", "RegionOutlines", "joined_outline", "region_outlines"]

# How far outlines are moved from :func:`~flawshot.formats.components.outline`'s, in px, so that other programs draw the
# same pixels. Labelme and Ultralytics truncate coordinates to whole pixels and draw the border, as do others after
# rounding; pycocotools fills the pixels whose centers are inside. A pixel i reaches from i + 5/16 to i + 11/16, right
# for truncating and for centers, or from i + 7/64 to i + 31/64, right for truncating and for rounding.
CENTERED = 5 / 16
ROUNDED = 7 / 64


class RegionOutlines(NamedTuple):
    """The outer borders of a region's 8-connected parts.

    Attributes:
        polygons: One per part, float64 ``[n, 2]``, x and y in px of the image, where pixel 0 spans 0 to 1.
        holes: Whether some part has a hole, which its polygon covers.
        exact: Whether the polygons, drawn together, are exactly the region.
    """

    polygons: tuple[NDArray[np.float64], ...]
    holes: bool
    exact: bool


def region_outlines(region: Region, *, moved: float = CENTERED) -> RegionOutlines:
    """Trace the parts of a region.

    Args:
        region: The region.
        moved: :data:`CENTERED` or :data:`ROUNDED`.

    >>> from flawshot.labelme.shapes import Region
    >>> region_outlines(Region(2, 3, np.ones((1, 2), dtype=bool))).polygons[0].tolist()
    [[3.6875, 3.3125], [3.6875, 3.6875], [2.3125, 3.6875], [2.3125, 3.3125]]
    """
    polygons: list[NDArray[np.float64]] = []
    holes, exact = False, True
    for part in components(region.pixels):
        filled = np.asarray(binary_fill_holes(part.pixels), dtype=bool)
        holes |= bool((filled != part.pixels).any())
        points = outline(part.pixels) + moved
        drawn = rasterize(Shape(0, "", "polygon", points), *part.pixels.shape)
        exact &= drawn.box == (0, 0, *filled.shape[::-1]) and bool(np.array_equal(drawn.pixels, filled))
        polygons.append(np.add(points, (part.x0 + region.x0, part.y0 + region.y0)))
    return RegionOutlines(tuple(polygons), holes, exact and not holes)


def joined_outline(polygons: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Several polygons as one, float64 ``[n, 2]``, joined by lines there and back between their nearest corners.

    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> joined_outline([square, square + (3, 0)]).astype(int).tolist()
    [[0, 0], [1, 0], [3, 0], [4, 0], [4, 1], [3, 1], [3, 0], [1, 0], [1, 1], [0, 1]]
    """
    joined, *waiting = polygons
    while waiting:
        tree = cKDTree(joined)
        found = [tree.query(polygon) for polygon in waiting]
        number = int(np.argmin([distances.min() for distances, _ in found]))
        distances, corners = found[number]
        polygon = waiting.pop(number)
        start = int(np.argmin(distances))
        corner = int(corners[start])
        around = np.roll(polygon, -start, axis=0)
        joined = np.concatenate((joined[: corner + 1], around, around[:1], joined[corner:]))
    return joined
