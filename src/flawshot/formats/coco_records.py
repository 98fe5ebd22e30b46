"""Records of COCO files as various programs write them: ids of any type, and segmentations as shapes."""

from __future__ import annotations

import base64
from typing import Any, TypeVar

from flawshot.base.errors import FlawshotError
from flawshot.formats.components import component_shape
from flawshot.formats.paths import box_corners
from flawshot.formats.run_lengths import decode_region

__all__ = ["Identified", "annotation_shapes", "record_id"]

Record = TypeVar("Record")
# Larger than any image, in px.
LARGEST_NUMBER = 10**9


def record_id(value: object) -> int | str | None:
    """An id for comparison: integers are the same however they are written; None if it is not an id.

    >>> record_id(1.0), record_id("1"), record_id(True)
    (1, '1', None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value


class Identified(dict[int | str, Record]):
    """Records by their id."""

    def id_of(self, value: object) -> int | str | None:
        """The id that another record refers to: the same, or else the number for its text, or the text for a number.

        >>> records = Identified({1: "a", "2": "b", 2: "c"})
        >>> records.id_of("1"), records.id_of("2"), records.id_of(2.0), records.id_of(3)
        (1, '2', 2, None)
        """
        number = record_id(value)
        if number is None or number in self:
            return number
        other: int | str = str(number)
        if isinstance(number, str):
            if not (number.isascii() and number.removeprefix("-").isdigit() and len(number) < 20):
                return None
            other = int(number)
        return other if other in self else None


def annotation_shapes(
    annotation: dict[str, Any], size: tuple[int | None, int | None]
) -> tuple[list[dict[str, Any]], list[str]]:
    """One annotation's geometry as Labelme shapes, and its skipped parts.

    Args:
        annotation: With ``segmentation`` (polygons; one polygon without its outer list, as VIA writes it; points as
            pairs; run lengths) or ``bbox``.
        size: The image's (height, width) in px, as far as it is known.

    Returns:
        Shapes without labels, at least one; and one line per skipped polygon.

    Raises:
        FlawshotError: If no part of it can be used.
    """
    segmentation, box = annotation.get("segmentation"), annotation.get("bbox")
    if isinstance(segmentation, dict) and segmentation:
        return [_mask(segmentation, size)], []
    if not segmentation:
        return [_rectangle(box)], []
    if not isinstance(segmentation, list):
        raise FlawshotError("segmentation must be a list of polygons or run lengths")
    shapes, skipped = [], []
    parts = _parts(segmentation)
    for number, part in enumerate(parts):
        try:
            shapes.append(_mask(part, size) if isinstance(part, dict) else _polygon(part))
        except FlawshotError as error:
            skipped.append(f"part {number} of its segmentation is skipped: {error.marked}")
    if shapes:
        return shapes, skipped
    try:
        shapes = [_rectangle(box)]
    except FlawshotError:
        raise FlawshotError(f"neither its segmentation nor its bbox can be used: {skipped[0]}") from None
    return shapes, [f"no part of its segmentation can be used, so its bbox is used: {skipped[0]}"]


def _parts(segmentation: list[Any]) -> list[Any]:
    """The polygons or run lengths of a segmentation."""
    if all(map(_is_number, segmentation)):
        return [segmentation]
    if len(segmentation) > 2 and all(map(_is_point, segmentation)):
        return [segmentation]
    return segmentation


def _is_point(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _polygon(polygon: Any) -> dict[str, Any]:
    if isinstance(polygon, list) and polygon and all(map(_is_point, polygon)):
        polygon = [number for point in polygon for number in point]
    if not isinstance(polygon, list) or len(polygon) % 2 or len(polygon) < 6 or not all(map(_is_number, polygon)):
        raise FlawshotError("a polygon must be [x, y, x, y, …] with at least 3 points")
    return {"shape_type": "polygon", "points": [list(point) for point in zip(*[iter(polygon)] * 2, strict=True)]}


def _rectangle(box: Any) -> dict[str, Any]:
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)) or min(box[2:]) <= 0:
        raise FlawshotError(
            f"has neither a segmentation nor a bbox [x, y, width, height] that covers an area: {str(box)[:60]}"
        )
    x, y, width, height = box
    return {"shape_type": "rectangle", "points": box_corners(x, y, x + width, y + height)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER


def _mask(segmentation: dict[str, Any], size: tuple[int | None, int | None]) -> dict[str, Any]:
    covered, height, width = decode_region(segmentation)
    if None not in size and size != (height, width):
        raise FlawshotError(f"its mask is {width} x {height} px, but its image is {size[1]} x {size[0]} px")
    if not covered.pixels.size:
        raise FlawshotError("its mask covers no pixel")
    shape = component_shape(0, "", covered, exact=True)
    encoded = base64.b64encode(shape.mask_png or b"").decode("ascii")
    return {"shape_type": "mask", "points": shape.points.tolist(), "mask": encoded}
