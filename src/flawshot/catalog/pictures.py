"""Pictures of instances: part of the image, with the mask's outline drawn over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from flawshot.labelme.images import cropped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.catalog.instances import Instance

__all__ = ["instance_picture", "outlined"]

OUTLINE = (255, 60, 0)
# A picture's longer side is enlarged to at least the first of these, and reduced to at most the second, in px.
SMALLEST, LARGEST = 256, 1024


def instance_picture(image: Image.Image, instance: Instance, context: float | None) -> Image.Image:
    """An instance with its surroundings, and its mask's outline drawn over them.

    Args:
        image: The upright image, mode ``RGB``.
        instance: The instance.
        context: Side of the window, in multiples of the longer side of the instance's box; it ends where the image
            does. The whole image if None.
    """
    window = (0, 0, image.width, image.height) if context is None else _window(image, instance, context)
    x0, y0, x1, y1 = window
    part = cropped(image, window)
    mask = Image.fromarray(instance.region().full_mask(image.height, image.width)[y0:y1, x0:x1].astype(np.uint8) * 255)
    longer = max(part.size)
    if (wanted := min(max(longer, SMALLEST), LARGEST)) != longer:
        # Whole multiples, so that each px of a small flaw is seen as a square.
        factor: float = wanted / longer if wanted < longer else -(-wanted // longer)
        size = (max(1, round(part.width * factor)), max(1, round(part.height * factor)))
        way = Image.Resampling.BOX if factor < 1 else Image.Resampling.NEAREST
        part, mask = part.resize(size, way), mask.resize(size, way)
    return outlined(np.asarray(part), np.asarray(mask))


def _window(image: Image.Image, instance: Instance, context: float) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = instance.box
    side = max(x1 - x0, y1 - y0)
    beyond = round(side * (context - 1) / 2)
    dx, dy = (side - (x1 - x0)) // 2 + beyond, (side - (y1 - y0)) // 2 + beyond
    return max(x0 - dx, 0), max(y0 - dy, 0), min(x1 + dx, image.width), min(y1 + dy, image.height)


def outlined(pixels: NDArray[np.uint8], mask: NDArray[np.uint8]) -> Image.Image:
    """A picture, uint8 ``[height, width, 3]``, with the outline of a mask, uint8 ``[height, width]``, drawn over it."""
    inside = Image.fromarray(((mask > 127) * 255).astype(np.uint8))
    edge = np.asarray(inside.filter(ImageFilter.MaxFilter(3))) != np.asarray(inside)
    drawn = pixels.copy()
    drawn[edge] = OUTLINE
    return Image.fromarray(drawn)
