"""The whole image as one region, for images that show one thing each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flawshot.base.errors import FlawshotError
from flawshot.base.store.seals import hash_of
from flawshot.formats.paths import box_corners
from flawshot.formats.scored_shapes import ScoredImage, ScoredShape, bare_images
from flawshot.labelme.images import header_size
from flawshot.labelme.shapes import Shape

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.base.errors import Problem

__all__ = ["WholeImages", "whole_image"]


def whole_image(label: str, height: int, width: int) -> Shape:
    """A rectangle that covers exactly all pixels of an image.

    Args:
        label: Its label.
        height: The image's height in px.
        width: The image's width in px.
    """
    return Shape(0, label, "rectangle", np.array(box_corners(0, 0, width, height)))


class WholeImages:
    """One region per image: all of it.

    Args:
        root: The folder of the images.
        beyond: A folder that is not searched for images.

    Attributes:
        images: The images, relative to ``root`` (POSIX), sorted.
        request: A hash that says that these are whole images.
        problems: Images that cannot be read.
        skipped: Nothing.

    Raises:
        FlawshotError: If there is no image.
    """

    def __init__(self, root: Path, *, beyond: Path | None = None) -> None:
        self.problems: list[Problem] = []
        self.skipped: dict[str, int] = {}
        self._root = root
        self.images = tuple(bare_images(root, self.problems, beyond=[] if beyond is None else [beyond]))
        self.request = hash_of("whole image")

    def read(self, image: str) -> ScoredImage:
        """The whole image."""
        try:
            height, width = header_size(self._root / image, image)
        except FlawshotError as error:
            return ScoredImage((), reason=error.marked)
        return ScoredImage((ScoredShape(whole_image("", height, width), None),))
