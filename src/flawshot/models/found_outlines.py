"""Outlines of found regions, as the record of predictions keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flawshot.base.errors import AnnotationError
from flawshot.base.store.files import Document
from flawshot.labelme.labelme_file import LabelmeFile, labelme_document, parse_labelme_document
from flawshot.labelme.shapes import rasterize

if TYPE_CHECKING:
    from flawshot.labelme.shapes import Region, Shape

__all__ = ["FoundOutline", "recorded_outline"]


class FoundOutline(Document):
    """The outline of a region that a finder put on an image: a shape as in Labelme files.

    Attributes:
        shape_type: One of Labelme's types.
        points: x and y in px of the upright image.
        mask: A mask's PNG in base64; None for other types.
    """

    shape_type: str
    points: tuple[tuple[float, float], ...]
    mask: str | None = None

    def region(self, height: int, width: int) -> Region | None:
        """The pixels in an image of this size; None if there are none, or it is not a shape."""
        shape = {**self.model_dump(mode="json"), "label": ""}
        try:
            file, _ = parse_labelme_document({"imagePath": "image", "shapes": [shape]}, "outline")
        except AnnotationError:
            return None
        regions = [rasterize(each, height, width) for each in file.shapes]
        return regions[0] if regions and regions[0].pixels.size else None


def recorded_outline(shape: Shape) -> FoundOutline:
    """A shape as the record of predictions keeps it."""
    (document,) = labelme_document(LabelmeFile("", (shape,)))["shapes"]
    points = tuple((x, y) for x, y in document["points"])
    return FoundOutline(shape_type=shape.shape_type, points=points, mask=document["mask"])
