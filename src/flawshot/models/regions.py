"""Regions given as images with masks or boxes in memory, cropped like those of a catalog."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import numpy as np
from PIL import Image

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, printable
from flawshot.base.wording import counted
from flawshot.labelme.images import read_image, upright_rgb
from flawshot.labelme.shapes import Region, trim
from flawshot.regions.crops import crop_views

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from flawshot.regions.crops import Crops, Interpolation
    from flawshot.regions.views import ViewScheme

__all__ = ["Box", "Mask", "Picture", "RegionQuery", "decoded", "region_crops", "region_queries"]

Picture: TypeAlias = "str | Path | Image.Image | NDArray[np.uint8] | NDArray[np.uint16]"
Mask: TypeAlias = "NDArray[np.bool_] | NDArray[np.uint8] | Image.Image"
Box: TypeAlias = "Sequence[float] | NDArray[Any]"
# Of a value in a message.
LONGEST_BOX = 80


class RegionQuery(NamedTuple):
    """One region of one image, as the user gave them.

    Attributes:
        image: The image.
        image_name: Its name for errors.
        place: The region's mask, or its box.
        place_name: Likewise.
        is_box: Whether it is a box.
    """

    image: Picture
    image_name: str
    place: Any
    place_name: str
    is_box: bool


def region_queries(
    images: Picture | Sequence[Picture],
    masks: Mask | Sequence[Mask] | None,
    boxes: Box | Sequence[Box] | None,
) -> list[RegionQuery]:
    """The regions asked for, one by one; images and masks are not read yet.

    Args:
        images: As for :meth:`flawshot.Model.predict`.
        masks: Likewise.
        boxes: Likewise.

    Raises:
        FlawshotError: If not exactly one of masks and boxes is given, or there are not as many as images in a list.
    """
    if (masks is None) == (boxes is None):
        raise FlawshotError(
            f"{argument('masks')}, {argument('boxes')}: {'one' if masks is None else 'only one'} of them must be given"
        )
    name, given = ("masks", masks) if boxes is None else ("boxes", boxes)
    places: Sequence[Any] = [given] if _is_single(given, is_box=boxes is not None) else cast("Sequence[Any]", given)
    if _is_picture(images):
        pictures = [(cast("Picture", images), "images")] * len(places)
    else:
        pictures = [(image, f"images[{number}]") for number, image in enumerate(cast("Sequence[Picture]", images))]
    if len(pictures) != len(places):
        single = "mask" if boxes is None else "box"
        raise FlawshotError(
            f"{argument('images')}, {argument(name)}: {counted(len(pictures), 'image')}, but "
            f"{counted(len(places), single, name)}; give one {single} per image, or a single image that is not in a "
            "list"
        )
    return [
        RegionQuery(image, image_name, place, f"{name}[{number}]", boxes is not None)
        for number, ((image, image_name), place) in enumerate(zip(pictures, places, strict=True))
    ]


def _is_picture(given: object) -> bool:
    """Whether a value is one image, not several."""
    if isinstance(given, np.ndarray):
        return given.ndim == 2 or (given.ndim == 3 and given.shape[-1] in {1, 3, 4})
    return isinstance(given, str | Path | Image.Image)


def _is_single(given: object, *, is_box: bool) -> bool:
    """Whether a value is one mask, or one box, not several."""
    if isinstance(given, Image.Image):
        return True
    if is_box and not isinstance(given, np.ndarray):
        return len(cast("Sequence[Any]", given)) > 0 and np.isscalar(cast("Sequence[Any]", given)[0])
    return isinstance(given, np.ndarray) and given.ndim == (1 if is_box else 2) and given.size > 0


def region_crops(
    queries: Sequence[RegionQuery],
    scheme: ViewScheme,
    side: int,
    interpolation: Interpolation = "bicubic",
) -> Iterator[Crops]:
    """Cut the views of regions, in order.

    Args:
        queries: The regions.
        scheme: The view scheme.
        side: Side of the encoder's input, px.
        interpolation: The filter that resizes crops.

    Raises:
        FlawshotError: If an image, a mask or a box (named) cannot be used.
    """
    before: Picture | None = None
    current: Image.Image | None = None
    for query in queries:
        if current is None or query.image is not before:
            before, current = query.image, decoded(query.image, query.image_name)
        region = _boxed(query, current) if query.is_box else _masked(query, current)
        yield crop_views(current, region, scheme, side, interpolation=interpolation)


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
    if array.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)} or not (gray or color) or not array.size:
        alpha = "; leave out the fourth channel" if array.ndim == 3 and array.shape[-1] == 4 else ""
        raise FlawshotError(
            f"{name}: must be a path, a PIL image, or uint8 or uint16 [height, width] or [height, width, 3], "
            f"not {array.dtype} {list(array.shape)}{alpha}"
        )
    if color and array.dtype == np.uint16:
        array = (array // 256).astype(np.uint8)  # what Pillow reads of a file of 16-bit colors
    return upright_rgb(Image.fromarray(np.ascontiguousarray(array)))


def _masked(query: RegionQuery, image: Image.Image) -> Region:
    mask, name = np.asarray(query.place), query.place_name
    if mask.dtype not in {np.dtype(bool), np.dtype(np.uint8)} or mask.shape != (image.height, image.width):
        raise FlawshotError(
            f"{name}: must be bool {[image.height, image.width]}, like its image, or uint8 with 0 and 255, "
            f"not {mask.dtype} {list(mask.shape)}"
        )
    if mask.dtype == np.uint8:
        values = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
        if len(values[values > 0]) > 1 or values[-1] not in {0, 1, 255}:
            odd = next(value for value in values if value not in {0, 255})
            raise FlawshotError(f"{name}: has the value {odd}; give 0 and 255 only, or bool, such as mask > 127")
        mask = mask > 0
    region = trim(mask, 0, 0)
    if not region.pixels.size:
        raise FlawshotError(f"{name}: has no pixel; omit its image")
    return region


def _boxed(query: RegionQuery, image: Image.Image) -> Region:
    name = query.place_name
    shown = printable(str(query.place), LONGEST_BOX)
    try:
        corners = np.asarray(query.place, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FlawshotError(f"{name}: must be four numbers, x0, y0, x1, y1 in px, not {shown}") from error
    if corners.shape != (4,) or not np.isfinite(corners).all():
        raise FlawshotError(f"{name}: must be four numbers, x0, y0, x1, y1 in px, not {shown}")
    x0, y0, x1, y1 = (float(each) for each in corners)
    if x0 >= x1 or y0 >= y1:
        raise FlawshotError(f"{name}: {shown} must have x0 < x1 and y0 < y1; it takes corners, not width and height")
    left, right = (min(max(each, 0), image.width) for each in (math.floor(x0), math.ceil(x1)))
    top, bottom = (min(max(each, 0), image.height) for each in (math.floor(y0), math.ceil(y1)))
    if left >= right or top >= bottom:
        raise FlawshotError(
            f"{name}: {shown} covers no pixel of its image of {image.width} x {image.height} px; omit it"
        )
    return Region(left, top, np.ones((bottom - top, right - left), dtype=bool))
