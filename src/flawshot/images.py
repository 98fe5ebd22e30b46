"""Images: decoded once, upright, as 8-bit RGB, whatever the file holds."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from flawshot.errors import FlawshotError
from flawshot.files import one_line

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ImageError", "read_image", "upright_rgb"]


class ImageError(FlawshotError):
    """An image that is missing or cannot be decoded."""


def read_image(source: Path | bytes, name: str) -> Image.Image:
    """Decode an image.

    The EXIF orientation is applied, for Labelme's points live in the upright image. Palettes become their colours, and
    an alpha channel is dropped. Values of more than 8 bits, and floats, are stretched from their least to their
    greatest in the image, as labelme shows them. Of several frames the first is taken.

    Args:
        source: The image's file, or its bytes.
        name: What to call it in errors.

    Returns:
        Mode ``RGB``.

    Raises:
        ImageError: With the image's name, if it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
            return upright_rgb(opened)
    except Exception as error:  # a damaged file makes the decoders raise anything at all
        reason = getattr(error, "strerror", None) or one_line(error)
        raise ImageError(f"{name}: the image cannot be decoded ({reason})") from error


def upright_rgb(image: Image.Image) -> Image.Image:
    """An image as :func:`read_image` gives it: upright, 8 bits, mode ``RGB``."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(("I", "F")):
        upright = _stretched(np.asarray(upright).astype(np.float64))
    return upright.convert("RGB")


def _stretched(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Image.Image:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    scale = 255.0 / (high - low) if high > low else 0.0
    shares = np.nan_to_num((values - low) * scale, nan=0.0, posinf=255.0, neginf=0.0)
    return Image.fromarray(np.clip(shares, 0, 255).astype(np.uint8))
