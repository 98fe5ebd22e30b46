"""A mask file's values: its brightest channel, 0 where it is transparent, or one number per color."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import ImageOps

from flawshot.base.errors import FlawshotError
from flawshot.labelme.images import ImageError, open_image, orientation

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["mask_values"]


def mask_values(path: Path, *, numbers: bool) -> tuple[NDArray[Any], int]:
    """A mask's values, upright, ``[height, width]``, and its EXIF orientation.

    The values are its brightest channel, or all channels combined into one number if ``numbers`` is set.
    """
    try:
        with open_image(path, path.name) as opened:
            opened.load()
            lies = orientation(opened)
            upright = opened if lies == 1 else ImageOps.exif_transpose(opened)  # like its image
            if upright.mode.startswith(("I", "F")):
                return np.asarray(upright), lies
            if numbers and upright.mode == "P":
                opacity = np.asarray(upright.convert("RGBA"))[:, :, 3]
                return np.where(opacity > 0, np.asarray(upright), np.uint8(0)), lies
            if upright.mode in {"1", "L"} and not upright.has_transparency_data:
                return np.asarray(upright.convert("L")), lies
            channels = _opaque(upright)
    except ImageError as error:
        raise FlawshotError(error.marked.replace(": the image ", ": the mask ", 1)) from error
    if numbers:
        values: NDArray[Any] = channels.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    else:
        values = channels.max(axis=2)
    return values, lies


def _opaque(mask: Image.Image) -> NDArray[np.uint8]:
    """A mask's colors, uint8 ``[height, width, 3]``, black where it is transparent; its opacity if it is all black.

    Layers of drawing programs are transparent where nothing was drawn, regardless of the color there.
    """
    if not mask.has_transparency_data:
        return np.asarray(mask.convert("RGB"))
    layers = np.asarray(mask.convert("RGBA"))
    colors, opacity = layers[:, :, :3], layers[:, :, 3:]
    visible = np.where(opacity > 0, colors, np.uint8(0))
    if not visible.any() and opacity.min() < opacity.max():
        return np.repeat(opacity, 3, axis=2)
    return visible
