"""Pictures of heat maps: an image with its heat in red, and the outlines of what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import one_line, write_with

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.locating.locator import HeatMap
    from flawshot.regions.found import FoundOnImage

__all__ = ["draw_heat", "write_heat_picture"]

# Heat is invisible at this share of the threshold, and as strong as it gets at that one.
FAINT, STRONG = 0.25, 1.5
STRONGEST = 0.6
HOT, OUTLINE = (230, 30, 30), (255, 255, 0)


def draw_heat(image: Image.Image, heat: HeatMap, found: FoundOnImage, threshold: float) -> Image.Image:
    """An image with its heat in red, and the outlines of found regions in yellow.

    Args:
        image: The image, upright, RGB.
        heat: Its heat map.
        found: What was found on it.
        threshold: The locator's threshold.
    """
    strength = (heat.pixels() / max(threshold, 1e-6) - FAINT) / (STRONG - FAINT)
    share = STRONGEST * np.clip(strength, 0.0, 1.0)[..., None]
    pixels = np.asarray(image).astype(np.float32) * (1 - share) + np.array(HOT, np.float32) * share
    made = Image.fromarray(pixels.round().astype(np.uint8))
    draw = ImageDraw.Draw(made)
    width = max(1, round(max(image.size) / 400))
    for each in found.regions:
        if each.shape.shape_type == "polygon":
            draw.polygon([(float(x), float(y)) for x, y in each.shape.points], outline=OUTLINE, width=width)
        else:
            low, high = each.shape.points.min(axis=0), each.shape.points.max(axis=0)
            draw.rectangle((*low.tolist(), *high.tolist()), outline=OUTLINE, width=width)
    return made


def write_heat_picture(path: Path, image: Image.Image, heat: HeatMap, found: FoundOnImage, threshold: float) -> None:
    """Write :func:`draw_heat` as a PNG file, in place of an earlier one.

    Raises:
        FlawshotError: If it cannot be written.
    """
    made = draw_heat(image, heat, found, threshold)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_with(path, lambda temporary: made.save(temporary, "PNG"), overwrite=True)
    except OSError as error:
        raise FlawshotError(f"{path}: cannot be written ({one_line(error.strerror or error)})") from error
