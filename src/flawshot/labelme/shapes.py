"""Labelme shapes and the pixels they cover."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from PIL import Image, ImageDraw

from flawshot.labelme.images import open_image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["SHAPE_TYPES", "Region", "Shape", "ShapeType", "box_area", "join_regions", "rasterize", "trim"]

ShapeType = Literal[
    "polygon", "rectangle", "oriented_rectangle", "circle", "line", "linestrip", "point", "points", "mask"
]
SHAPE_TYPES: frozenset[str] = frozenset(get_args(ShapeType))

# The defaults of labelme.utils.shape_to_mask, in px, so that masks look as in labelme.
LINE_WIDTH = 10
POINT_RADIUS = 5
# A region of more px than this is a view of its canvas, and keeps that in memory.
CROPPED = 2**24
# Regions are joined once they have this many px together.
JOINED_AT_ONCE = 2**26


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One shape as Labelme draws it.

    Attributes:
        index: Its index in the file's list of shapes, from 0.
        label: The annotator's label: the category.
        shape_type: One of :data:`SHAPE_TYPES`.
        points: float64 ``[n, 2]``, x and y in px of the (EXIF-transposed) image. A rectangle has two opposite
            corners, a circle its center and a point on its rim, a mask its two inclusive corner pixels.
        group_id: Shapes of one image with the same group and label form one instance.
        flags: Labelme's flags of the shape.
        description: Free text.
        mask_png: A mask shape's pixels as Labelme stores them, a one-channel PNG.
        other: Keys of the file that Labelme does not know, kept for writing.
    """

    index: int
    label: str
    shape_type: ShapeType
    points: NDArray[np.float64]
    group_id: int | None = None
    flags: dict[str, bool] = field(default_factory=dict)
    description: str = ""
    mask_png: bytes | None = None
    other: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """The pixels of an instance: a mask cropped to its box.

    Attributes:
        x0: Column of the box's left edge, px of the image.
        y0: Row of the box's upper edge, px of the image.
        pixels: bool ``[height, width]`` of the box, True where the instance is; empty if it covers no pixel.
    """

    x0: int
    y0: int
    pixels: NDArray[np.bool_]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1), half-open, in px."""
        height, width = self.pixels.shape
        return self.x0, self.y0, self.x0 + width, self.y0 + height

    @property
    def area(self) -> int:
        """Number of pixels covered."""
        return int(np.count_nonzero(self.pixels))

    def full_mask(self, height: int, width: int) -> NDArray[np.bool_]:
        """The mask in an image of this size, bool ``[height, width]``."""
        mask = np.zeros((height, width), dtype=bool)
        x0, y0, x1, y1 = self.box
        mask[y0:y1, x0:x1] = self.pixels
        return mask


EMPTY = Region(0, 0, np.zeros((0, 0), dtype=bool))


def rasterize(shape: Shape, height: int, width: int) -> Region:
    """The pixels that a shape covers in an image of ``height`` x ``width`` px.

    The result equals that of labelme 5 and 6 (``labelme.utils.shape_to_mask``) pixel for pixel, for every type that it
    supports; labelme 7 draws the same, but rounds the corners of a ``linestrip``. Each of the ``points`` is drawn like
    a ``point``, and a ``mask`` is pasted at its first corner. Parts outside the image are clipped.

    Args:
        shape: The shape; it must have as many points as its type needs.
        height: The image's height in px.
        width: The image's width in px.
    """
    if shape.shape_type == "mask":
        return _paste(shape, height, width)
    low, high = _extent(shape)
    # Pillow rounds in image coordinates, so the origin must stay in place; but the canvas may end early.
    canvas_width, canvas_height = (
        max(0, min(size, math.floor(end) + 2)) for size, end in zip((width, height), high, strict=True)
    )
    if canvas_width <= max(0, math.floor(low[0]) - 1) or canvas_height <= max(0, math.floor(low[1]) - 1):
        return EMPTY
    canvas = Image.new("L", (canvas_width, canvas_height))
    _draw(ImageDraw.Draw(canvas), shape)
    covered = canvas.getbbox()
    if covered is None:
        return EMPTY
    x0, y0, x1, y1 = covered
    # The values are 0 and 1 already, so no px is copied again. Pillow's own crop refuses large boxes.
    small = (x1 - x0) * (y1 - y0) <= CROPPED
    pixels = np.asarray(canvas.crop(covered)) if small else np.asarray(canvas)[y0:y1, x0:x1]
    return Region(x0, y0, pixels.view(bool))


def _draw(draw: ImageDraw.ImageDraw, shape: Shape) -> None:
    points = [(float(x), float(y)) for x, y in shape.points]
    match shape.shape_type:
        case "polygon" | "oriented_rectangle":
            draw.polygon(points, outline=1, fill=1)
        case "rectangle":
            (xa, ya), (xb, yb) = points
            draw.rectangle((min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)), outline=1, fill=1)
        case "circle":
            (cx, cy), (rim_x, rim_y) = points
            radius = math.sqrt((cx - rim_x) ** 2 + (cy - rim_y) ** 2)
            draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), outline=1, fill=1)
        case "line" | "linestrip":
            draw.line(points, fill=1, width=LINE_WIDTH)
        case _:
            for x, y in points:
                box = (x - POINT_RADIUS, y - POINT_RADIUS, x + POINT_RADIUS, y + POINT_RADIUS)
                draw.ellipse(box, outline=1, fill=1)


def _extent(shape: Shape) -> tuple[tuple[float, float], tuple[float, float]]:
    """Corners (x, y) of a box that contains everything drawn."""
    low, high = shape.points.min(axis=0), shape.points.max(axis=0)
    if shape.shape_type == "circle":
        margin = float(np.hypot(*(shape.points[0] - shape.points[1])))
        low = high = shape.points[0]
    elif shape.shape_type in {"line", "linestrip"}:
        margin = float(LINE_WIDTH)
    elif shape.shape_type in {"point", "points"}:
        margin = float(POINT_RADIUS)
    else:
        margin = 0.0
    return (float(low[0]) - margin, float(low[1]) - margin), (
        float(high[0]) + margin,
        float(high[1]) + margin,
    )


def decode_mask(shape: Shape) -> NDArray[np.bool_]:
    """A mask shape's own pixels, bool ``[rows, columns]``.

    Raises:
        ValueError: If there is no mask, it cannot be decoded, or it is not a one-channel image.
    """
    if shape.mask_png is None:
        raise ValueError("the mask shape has no mask")
    with open_image(shape.mask_png, "mask") as image:
        pixels = np.asarray(image)
    if pixels.ndim != 2:
        raise ValueError("the mask has more than one channel")
    if pixels.dtype == np.bool_:  # of a 1-bit image, and then True is stored as 255
        pixels = pixels.view(np.uint8)
    inside: NDArray[np.bool_] = pixels != 0
    return inside


def _paste(shape: Shape, height: int, width: int) -> Region:
    pixels = decode_mask(shape)
    x0, y0 = (int(value) for value in shape.points[0])
    left, top = max(0, -x0), max(0, -y0)
    right, bottom = min(pixels.shape[1], width - x0), min(pixels.shape[0], height - y0)
    if right <= left or bottom <= top:
        return EMPTY
    return trim(pixels[top:bottom, left:right], x0 + left, y0 + top)


def trim(pixels: NDArray[np.bool_], x0: int, y0: int) -> Region:
    """The region of some pixels, bool ``[rows, columns]``, the first of which is at column x0 and row y0."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not rows.size:
        return EMPTY
    cut = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Region(x0 + int(columns[0]), y0 + int(rows[0]), cut)


def join_regions(regions: Iterable[Region]) -> Region:
    """The union of several regions of one image; empty ones are ignored."""
    union, waiting, pixels = EMPTY, list[Region](), 0
    for part in regions:  # some at a time, because a group may have any number of large parts
        if part.pixels.size:
            waiting.append(part)
            pixels += part.pixels.size
        if pixels > JOINED_AT_ONCE:
            union, waiting, pixels = _union([union, *waiting]), [], 0
    return _union([union, *waiting])


def _union(regions: Iterable[Region]) -> Region:
    parts = [part for part in regions if part.pixels.size]
    if len(parts) < 2:
        return parts[0] if parts else EMPTY
    boxes = np.array([part.box for part in parts])
    x0, y0 = (int(low) for low in boxes[:, :2].min(axis=0))
    x1, y1 = (int(high) for high in boxes[:, 2:].max(axis=0))
    union = np.zeros((y1 - y0, x1 - x0), dtype=bool)
    for part in parts:
        left, top, right, bottom = part.box
        union[top - y0 : bottom - y0, left - x0 : right - x0] |= part.pixels
    return Region(x0, y0, union)


def box_area(shape: Shape, height: int, width: int) -> int:
    """The approximate number of an image's pixels in a shape's box.

    Args:
        shape: The shape.
        height: The image's height in px.
        width: The image's width in px.
    """
    low, high = _extent(shape)
    sides = (
        max(0.0, min(end, size) - max(start, 0.0)) for start, end, size in zip(low, high, (width, height), strict=True)
    )
    return math.prod(math.ceil(side) for side in sides)
