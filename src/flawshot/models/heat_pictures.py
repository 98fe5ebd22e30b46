"""Pictures of heat maps: an image with its heat in red, and the outlines of what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import one_line, write_with
from flawshot.labelme.images import ImageError, open_image

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.locating.locator import HeatMap
    from flawshot.regions.found import FoundOnImage

__all__ = ["draw_heat", "is_heat_picture", "write_heat_picture"]

# Pictures of larger images have this longer side, in px: heat has no finer detail.
LONGEST = 2048
# The entry of a picture's file that says which locator's heat it shows.
ENTRY = "flawshot"
# Heat is invisible at this share of the threshold, and as strong as it gets at that one.
FAINT, STRONG = 0.25, 2.0
STRONGEST = 0.45
HOT, OUTLINE = (230, 30, 30), (255, 255, 0)


def draw_heat(image: Image.Image, heat: HeatMap, found: FoundOnImage, threshold: float) -> Image.Image:
    """An image with its heat in red, and the outlines of found regions in yellow; at most 2048 px long.

    Args:
        image: The image, upright, RGB.
        heat: Its heat map.
        found: What was found on it.
        threshold: The locator's threshold.
    """
    scale = min(1.0, LONGEST / max(image.size))
    width, height = (max(1, round(scale * side)) for side in image.size)
    made = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0) if scale < 1 else image
    pixels = heat._replace(size=(height, width)).pixels()
    strength = (pixels / max(threshold, 1e-6) - FAINT) / (STRONG - FAINT)
    share = Image.fromarray((255 * STRONGEST * strength.clip(0.0, 1.0)).round().astype(np.uint8))
    made = Image.composite(Image.new("RGB", made.size, HOT), made, share)
    draw = ImageDraw.Draw(made)
    line = max(1, round(max(made.size) / 400))
    shrunk = np.divide(made.size, image.size)
    for each in found.regions:
        points = each.shape.points * shrunk
        if each.shape.shape_type == "polygon":
            draw.polygon([(float(x), float(y)) for x, y in points], outline=OUTLINE, width=line)
        else:
            low, high = points.min(axis=0), points.max(axis=0)
            draw.rectangle((*low.tolist(), *high.tolist()), outline=OUTLINE, width=line)
    return made


def write_heat_picture(
    path: Path, image: Image.Image, heat: HeatMap, found: FoundOnImage, threshold: float, *, request: str
) -> None:
    """Write :func:`draw_heat` as a PNG file, in place of an earlier one.

    Args:
        path: The file.
        image: As for :func:`draw_heat`.
        heat: Likewise.
        found: Likewise.
        threshold: Likewise.
        request: What identifies the locator; :func:`is_heat_picture` finds it.

    Raises:
        FlawshotError: If it cannot be written.
    """
    made = draw_heat(image, heat, found, threshold)
    info = PngInfo()
    info.add_text(ENTRY, request)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_with(path, lambda temporary: made.save(temporary, "PNG", pnginfo=info), overwrite=True)
    except OSError as error:
        raise FlawshotError(f"{path}: cannot be written ({one_line(error.strerror or error)})") from error


def is_heat_picture(path: Path, request: str) -> bool:
    """Whether a file is what :func:`write_heat_picture` writes for this locator."""
    try:
        with open_image(path, path.name) as opened:
            return bool(opened.info.get(ENTRY) == request)
    except ImageError:
        return False
