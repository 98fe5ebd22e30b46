"""Regions given as images and masks in memory, cropped like those of a catalog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image

from flawshot.base.errors import FlawshotError
from flawshot.labelme.images import read_image, upright_rgb
from flawshot.labelme.shapes import trim
from flawshot.regions.crops import crop_views

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from flawshot.labelme.shapes import Region
    from flawshot.regions.crops import Crops, Interpolation
    from flawshot.regions.views import ViewScheme

__all__ = ["Picture", "decoded", "region_crops"]

Picture: TypeAlias = "str | Path | Image.Image | NDArray[np.uint8]"


def region_crops(
    images: Sequence[Picture],
    masks: Sequence[NDArray[np.bool_]],
    scheme: ViewScheme,
    side: int,
    interpolation: Interpolation = "bicubic",
) -> Iterator[Crops]:
    """Cut the views of regions, in order.

    Args:
        images: As for :meth:`flawshot.Model.predict`.
        masks: Likewise; one per image.
        scheme: The view scheme.
        side: Side of the encoder's input, px.
        interpolation: The filter that resizes crops.

    Raises:
        FlawshotError: If an image or a mask (named) cannot be used.
    """
    before: Picture | None = None
    current: Image.Image | None = None
    for number, (given, mask) in enumerate(zip(images, masks, strict=True)):
        if current is None or given is not before:
            before, current = given, decoded(given, f"images[{number}]")
        yield crop_views(current, _region(mask, current, number), scheme, side, interpolation=interpolation)


def decoded(given: Picture, name: str) -> Image.Image:
    """A picture as an upright RGB image.

    Args:
        given: The picture.
        name: Its name for errors.

    Raises:
        FlawshotError: If it cannot be used.
    """
    if isinstance(given, str | Path):
        return read_image(Path(given), str(given))
    if isinstance(given, Image.Image):
        return upright_rgb(given)
    array = np.asarray(given)
    gray, color = array.ndim == 2, array.ndim == 3 and array.shape[-1] == 3
    if array.dtype != np.uint8 or not (gray or color) or not array.size:
        raise FlawshotError(
            f"{name}: must be a path, a PIL image, or uint8 [height, width] or [height, width, 3], "
            f"not {array.dtype} {list(array.shape)}"
        )
    return Image.fromarray(array).convert("RGB")


def _region(given: NDArray[np.bool_], image: Image.Image, number: int) -> Region:
    mask = np.asarray(given)
    if mask.dtype != np.bool_ or mask.shape != (image.height, image.width):
        raise FlawshotError(
            f"masks[{number}]: must be bool {[image.height, image.width]}, like its image, "
            f"not {mask.dtype} {list(mask.shape)}"
        )
    region = trim(mask, 0, 0)
    if not region.pixels.size:
        raise FlawshotError(f"masks[{number}]: has no pixel; omit its image")
    return region
