"""Images embedded in Labelme files; Labelme shows them even if there is an image file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flawshot.labelme.images import ImageError, header_size, open_image
from flawshot.labelme.labelme_file import from_base64, parse_labelme
from flawshot.labelme.labelme_json import annotation_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.labelme.labelme_file import LabelmeFile

__all__ = ["embedded_image", "embedded_size", "embedded_suffix", "embeds_image", "image_size", "why_not_embedded"]

# An image's header is nearly always within this many characters of its base64.
HEADER_CHARACTERS = 2**16
EMBEDS = re.compile(rb'"imageData"\s*:\s*"')


def image_size(file: LabelmeFile, image: Path | None) -> tuple[int, int] | None:
    """The image's (height, width) in px, after its EXIF orientation.

    Args:
        file: The annotation.
        image: The image's path, if there is a file.

    Returns:
        The size of the embedded image, which Labelme shows; or else the size that the annotation states, or that in the
        image's header; None if none of these is available.
    """
    if embedded := embedded_size(file):
        return embedded
    if file.image_height and file.image_width:
        return file.image_height, file.image_width
    try:
        return None if image is None else header_size(image, image.name)
    except ImageError:
        return None


def embedded_size(file: LabelmeFile) -> tuple[int, int] | None:
    """The embedded image's (height, width) in px after its EXIF orientation; None without a readable image."""
    if file.image_base64 is None:
        return None
    for text in (file.image_base64[:HEADER_CHARACTERS], file.image_base64):
        try:
            return header_size(from_base64(text, whole=text is file.image_base64), "imageData")
        except ImageError as error:
            if "max_pixels" in error.fields:
                return None
        except ValueError:
            continue
    return None


def why_not_embedded(file: LabelmeFile) -> str:
    """Why the embedded image has no size; empty if it has one, or if none is embedded."""
    try:
        data = file.image_data
        if data is not None:
            header_size(data, "imageData")
    except ValueError as error:
        return str(error).removeprefix("imageData: ")
    return ""


def embedded_suffix(file: LabelmeFile) -> str:
    """The suffix for a file with the embedded image."""
    try:
        with open_image(from_base64(file.image_base64 or ""), "imageData") as opened:
            return {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "PPM": ".ppm"}.get(
                opened.format or "", f".{(opened.format or 'png').lower()}"
            )
    except ValueError:
        return ".png"


def embeds_image(annotation: Path) -> bool:
    """Whether an annotation file embeds an image, readable or not."""
    try:
        return EMBEDS.search(annotation_bytes(annotation, annotation.name)) is not None
    except (OSError, ValueError):  # ValueError: an invalid file name, or not a Labelme file
        return False


def embedded_image(annotation: Path) -> bytes | None:
    """The image embedded in an annotation file, which is what Labelme shows.

    Args:
        annotation: The JSON file.

    Returns:
        The image file's bytes; None if none is embedded or it cannot be used.
    """
    try:
        data = annotation_bytes(annotation, annotation.name)
        if not EMBEDS.search(data):
            return None
        file = parse_labelme(data, annotation.name)[0]
        return None if embedded_size(file) is None else file.image_data
    except (OSError, ValueError):  # an invalid file name, or not a Labelme file
        return None
