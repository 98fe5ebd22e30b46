"""Crops: the pixels of an instance's views, and its mask in each view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
from PIL import Image

from flawshot.labelme.images import cropped
from flawshot.regions.views import crop_box, pixel_extent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.labelme.shapes import Region
    from flawshot.regions.views import Border, Extent, Flip, ViewScheme

__all__ = ["INTERPOLATIONS", "Crops", "Interpolation", "crop_views"]

# The filter that resizes a crop; all of them average when they shrink.
Interpolation = Literal["bicubic", "bilinear", "lanczos", "nearest"]
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """A region's context: its views, and its mask in each.

    Attributes:
        images: uint8 ``[views, side, side, 3]``.
        masks: uint8 ``[views, side, side]``: 255 inside the instance, 0 outside, values between at its border.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]


def crop_views(
    image: Image.Image,
    region: Region,
    scheme: ViewScheme,
    side: int,
    *,
    extent: Extent | None = None,
    interpolation: Interpolation = "bicubic",
) -> Crops:
    """Cut a region's views out of its image, each a square resized to ``side`` px.

    Args:
        image: The upright image, mode ``RGB``, as :func:`flawshot.labelme.images.read_image` gives it.
        region: The region's mask, in the image's px.
        scheme: The views.
        side: The side of the encoder's input, in px.
        extent: The views are centered on the middle of these points, (left, top, right, bottom) in px, inclusive. For
            an annotated outline, :func:`flawshot.regions.views.extent_of`; if None, the mask's extreme pixels.
        interpolation: The filter, as Pillow has it.
    """
    resampling = Image.Resampling[interpolation.upper()]
    around = pixel_extent(region.box) if extent is None else extent
    images = np.empty((len(scheme.views), side, side, 3), dtype=np.uint8)
    masks = np.empty((len(scheme.views), side, side), dtype=np.uint8)
    cut: dict[tuple[int, int, int], tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}
    for number, view in enumerate(scheme.views):
        place = crop_box(region.box, around, view)
        if place not in cut:  # views that differ only by angle or flip share their crop
            cut[place] = _cut(image, region, place, scheme.border, _Resize(side, resampling))
        pixels, mask = cut[place]
        images[number] = _turn(pixels, view.angle, view.flip)
        masks[number] = _turn(mask, view.angle, view.flip)
    return Crops(images, masks)


class _Resize(NamedTuple):
    """To which side, in px, and how."""

    side: int
    resampling: Image.Resampling

    def __call__(self, crop: Image.Image) -> NDArray[np.uint8]:
        if crop.width == self.side:
            return np.asarray(crop)
        return np.asarray(crop.resize((self.side, self.side), self.resampling))


def _cut(
    image: Image.Image, region: Region, place: tuple[int, int, int], border: Border, resize: _Resize
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    left, top, size = place
    if border == "shift":
        left, top = _inside(left, size, image.width), _inside(top, size, image.height)
    leaves = left < 0 or top < 0 or left + size > image.width or top + size > image.height
    if border == "reflect" and leaves:
        rows, columns = _mirrored(top, size, image.height), _mirrored(left, size, image.width)
        x0, y0, x1, y1 = (int(end) for end in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        places = ((rows - y0)[:, None], columns - x0)
        pixels = Image.fromarray(np.asarray(cropped(image, (x0, y0, x1, y1)))[places])
        inside = _drawn(region, x0, y0, x1 - x0, y1 - y0)
        return resize(pixels), resize(Image.fromarray(np.asarray(inside)[places]))
    pixels = cropped(image, (left, top, left + size, top + size))
    return resize(pixels), _resized_mask(region, left, top, size, resize)


def _drawn(region: Region, left: int, top: int, width: int, height: int) -> Image.Image:
    """The mask in a window of the image, mode ``L``: 255 inside, 0 outside."""
    mask = Image.new("L", (width, height))
    if region.pixels.size:
        # Not a view as uint8: True of a 1-bit image is stored as 255.
        mask.paste(Image.fromarray(region.pixels.astype(np.uint8) * np.uint8(255)), (region.x0 - left, region.y0 - top))
    return mask


def _resized_mask(region: Region, left: int, top: int, size: int, resize: _Resize) -> NDArray[np.uint8]:
    """The same result as resizing the whole mask, without processing rows and columns that are 0.

    This works because Pillow resizes each row independently, and then the columns.
    """
    side, resampling = resize
    out = Image.new("L", (side, side))
    _, y0, _, y1 = region.box
    first, last = max(y0, top), min(y1, top + size)
    if first >= last:
        return np.asarray(out)
    rows = _drawn(region, left, first, size, last - first)
    if size == side:
        out.paste(rows, (0, first - top))
        return np.asarray(out)
    narrow = rows.resize((side, rows.height), resampling)
    covered = narrow.getbbox()
    if covered is not None:
        x0, _, x1, _ = covered
        columns = Image.new("L", (x1 - x0, size))
        columns.paste(cropped(narrow, (x0, 0, x1, narrow.height)), (0, first - top))
        out.paste(columns.resize((x1 - x0, side), resampling), (x0, 0))
    return np.asarray(out)


def _inside(start: int, size: int, length: int) -> int:
    """The start nearest to ``start`` at which the crop is inside; centered if the crop is larger than the image."""
    return min(max(start, 0), length - size) if size <= length else (length - size) // 2


def _mirrored(start: int, size: int, length: int) -> NDArray[np.intp]:
    """Indices of ``size`` px from ``start``, mirrored at the first and last px as often as necessary."""
    period = max(1, 2 * (length - 1))
    places = np.arange(start, start + size) % period
    return np.where(places < length, places, period - places)


def _turn(crop: NDArray[np.uint8], angle: int, flip: Flip) -> NDArray[np.uint8]:
    turned = np.rot90(crop, angle // 90)
    match flip:
        case "horizontal":
            return turned[:, ::-1]
        case "vertical":
            return turned[::-1]
        case "transpose":
            return turned.swapaxes(0, 1)
        case "transverse":
            return turned[::-1, ::-1].swapaxes(0, 1)
        case _:
            return turned
