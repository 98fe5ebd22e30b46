"""Boxes, polygons, ellipses and masks of third-party annotations as Labelme shapes inside their image."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.wording import counted
from flawshot.formats.components import component_shape
from flawshot.formats.paths import box_corners
from flawshot.formats.yolo_lines import finite_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flawshot.labelme.shapes import Region, Shape

__all__ = [
    "Size",
    "box",
    "circle",
    "ellipse",
    "fitted",
    "mask",
    "number",
    "points_shape",
    "rotated_box",
    "shape_document",
    "snapped",
]

# An image's height and width in px, as far as they are known.
Size = tuple[int | None, int | None]

# Larger than any image, in px.
LARGEST_NUMBER = 1e9
# Coordinates that leave the image by less than this, in px, do so by rounding.
EDGE = 0.5
# Shares of six digits are this close to whole pixels, in px, if that is what was annotated.
NEAR = 0.02
# An ellipse's polygon deviates from it by less than this, in px, unless it is huge.
DEVIATION = 0.1
LEAST_SIDES, MOST_SIDES = 16, 720


def number(value: object, name: str) -> float:
    """A finite number, from JSON or from text.

    Args:
        value: The number.
        name: Its name for the error.

    Raises:
        FlawshotError: If it is none, or larger than any coordinate.
    """
    if isinstance(value, str):
        value = finite_number(value, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST_NUMBER:
        raise FlawshotError(f"{name}: {_shown(value)} is not a finite number of px")
    return float(value)


def _shown(value: object) -> str:
    # An integer may have more digits than Python converts, and a list any number of items.
    if isinstance(value, str | float | bool) or value is None:
        return repr(value)[:60]
    return "a huge number" if isinstance(value, int) else f"a {type(value).__name__}"


def snapped(value: float) -> float:
    """A coordinate computed from shares or percent, in px: the whole number that it nearly is.

    >>> snapped(4.9997), snapped(4.9)
    (5.0, 4.9)
    """
    return float(round(value)) if abs(value - round(value)) <= NEAR else value


def box(x0: float, y0: float, x1: float, y1: float) -> dict[str, Any]:
    """A half-open box, in px; :func:`fitted` turns it into Labelme's corners.

    Raises:
        FlawshotError: If it covers no area.
    """
    if not (x1 > x0 and y1 > y0):
        raise FlawshotError(f"covers no area: its corners are [{x0:g}, {y0:g}] and [{x1:g}, {y1:g}]")
    return {"shape_type": "rectangle", "points": [[x0, y0], [x1, y1]]}


def rotated_box(
    corner: tuple[float, float], sides: tuple[float, float], degrees: float, pivot: tuple[float, float]
) -> dict[str, Any]:
    """A box turned clockwise, as a polygon; after quarter turns, it is still a box.

    Args:
        corner: The upper left corner (x, y) before the turn, in px.
        sides: Width and height in px.
        degrees: The angle.
        pivot: The point (x, y) that stays in place, in px.

    Raises:
        FlawshotError: If it covers no area.
    """
    (x, y), (width, height) = corner, sides
    upright = box(x, y, x + width, y + height)
    if not degrees % 360:
        return upright
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    turned = _turned(corners, degrees, pivot)
    if not degrees % 90:
        return box(*map(min, *turned), *map(max, *turned))
    return {"shape_type": "polygon", "points": turned}


def _turned(points: Iterable[tuple[float, float]], degrees: float, pivot: tuple[float, float]) -> list[list[float]]:
    """Points turned clockwise, as seen on an image whose y axis points down."""
    # Quarter turns are exact.
    cosine, sine = (round(turn(math.radians(degrees)), 15) for turn in (math.cos, math.sin))
    px, py = pivot
    return [[px + (x - px) * cosine - (y - py) * sine, py + (x - px) * sine + (y - py) * cosine] for x, y in points]


def ellipse(center: tuple[float, float], radii: tuple[float, float], degrees: float = 0.0) -> dict[str, Any]:
    """An ellipse as a polygon.

    Args:
        center: (x, y) in px.
        radii: Half its width and half its height before the turn, in px.
        degrees: The angle by which it is turned clockwise.

    Raises:
        FlawshotError: If it covers no area.
    """
    (cx, cy), (rx, ry) = center, radii
    if not min(rx, ry) > 0:
        raise FlawshotError(f"covers no area: its radii are {rx:g} and {ry:g}")
    step = math.acos(1 - min(DEVIATION / max(rx, ry), 1))
    sides = min(max(math.ceil(math.pi / max(step, 1e-9)), LEAST_SIDES), MOST_SIDES)
    angles = (2 * math.pi * side / sides for side in range(sides))
    around = [(cx + rx * math.cos(angle), cy + ry * math.sin(angle)) for angle in angles]
    return {"shape_type": "polygon", "points": _turned(around, degrees, center)}


def circle(center: tuple[float, float], radius: float) -> dict[str, Any]:
    """A circle.

    Args:
        center: (x, y) in px.
        radius: In px.

    Raises:
        FlawshotError: If it covers no area.
    """
    if not radius > 0:
        raise FlawshotError(f"covers no area: its radius is {radius:g}")
    x, y = center
    return {"shape_type": "circle", "points": [[x, y], [x + radius, y]]}


def points_shape(shape_type: str, points: Sequence[Sequence[float]], least: int) -> dict[str, Any]:
    """A shape of points: a polygon, a line strip or points.

    Args:
        shape_type: Labelme's type.
        points: Pairs (x, y) in px; a last point that repeats a polygon's first is dropped.
        least: The number of points that it needs.

    Raises:
        FlawshotError: If it has fewer.
    """
    pairs = [list(point) for point in points]
    if shape_type == "polygon" and len(pairs) > 1 and pairs[0] == pairs[-1]:
        pairs.pop()
    if len(pairs) < least:
        raise FlawshotError(f"a {shape_type} needs at least {counted(least, 'point')}, not {len(pairs)}")
    return {"shape_type": shape_type, "points": pairs}


def mask(region: Region) -> dict[str, Any]:
    """A region as a shape with exactly its pixels.

    Raises:
        FlawshotError: If it covers no pixel.
    """
    if not region.pixels.size:
        raise FlawshotError("its mask covers no pixel")
    return shape_document(component_shape(0, "", region, exact=True))


def shape_document(shape: Shape) -> dict[str, Any]:
    """A shape's type, points and mask as Labelme's JSON has them."""
    made = {"shape_type": shape.shape_type, "points": shape.points.tolist()}
    if shape.mask_png is not None:
        made["mask"] = base64.b64encode(shape.mask_png).decode("ascii")
    return made


def fitted(shape: dict[str, Any], size: Size, where: str, problems: list[Problem]) -> dict[str, Any] | None:
    """A shape inside its image; None, with a problem, if it lies outside.

    A box is clipped, with a warning. Others are left as they are, with a warning, because only their pixels inside the
    image count when they are drawn.

    Args:
        shape: The shape, a box as :func:`box` makes it.
        size: The image's height and width in px; if one is unknown, nothing is clipped.
        where: The annotation's name for problems.
        problems: Omissions and oddities are added here.
    """
    is_box = shape["shape_type"] == "rectangle"
    low, high = _extent(shape)
    height, width = size
    if height is None or width is None:
        return shape | {"points": box_corners(*low, *high)} if is_box else shape
    if min(high) <= 0 - (not is_box) or low[0] >= width or low[1] >= height:
        message = f"lies outside the image of {width} x {height} px; it is left out"
        problems.append(Problem(where, "outside", message))
        return None
    if max(-low[0], -low[1], high[0] - width, high[1] - height) > EDGE:
        message = f"reaches beyond the image of {width} x {height} px and is clipped"
        problems.append(Problem(where, "beyond-image", message, "warning"))
    if not is_box:
        return shape
    x0, y0 = max(low[0], 0.0), max(low[1], 0.0)
    return shape | {"points": box_corners(x0, y0, min(high[0], width), min(high[1], height))}


def _extent(shape: dict[str, Any]) -> tuple[list[float], list[float]]:
    """The smallest and the largest x and y of a shape, in px."""
    points = np.array(shape["points"], dtype=np.float64)
    margin = 0.0
    if shape["shape_type"] == "circle":
        margin = float(np.hypot(*(points[0] - points[1])))
        points = points[:1]
    return (points.min(axis=0) - margin).tolist(), (points.max(axis=0) + margin).tolist()
