"""Crops made by torch, on any device: pixel for pixel those of :func:`flawshot.regions.crops.crop_views`.

Pillow resizes with whole-number weights, first the rows and then the columns, and rounds after each. Here, both are
matrix products in float32 with the same weights, split in two so that every sum is a whole number of at most 24 bits:
float32 adds these without an error, in whatever order a device does it. (Crops that shrink by more than 16 need longer
sums, and float64.) This holds unless the process lets torch round the factors of float32 products, as with
``torch.set_float32_matmul_precision("high")``.
"""

from __future__ import annotations

import math
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from flawshot.regions.views import crop_box, pixel_extent

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from flawshot.labelme.shapes import Region
    from flawshot.regions.crops import Interpolation
    from flawshot.regions.views import Border, Extent, View, ViewScheme

__all__ = ["DeviceCrops", "device_crop_views"]

# Pillow's weights have 22 bits after the point; each is split into two parts of 11.
WEIGHT_BITS = 22
HALF = 2.0 ** (WEIGHT_BITS // 2)
# The most weights of an output pixel in float32: 64 times half of 2**11 times 255 is less than 2**24.
MOST_WEIGHTS = 64
# Output pixels per product: a weight matrix is a band, and blocks of it leave out most of its zeros.
BLOCK = 32
# Memory for the windows of one size that are resized together, bytes.
WINDOW_BYTES = 2**28


class DeviceCrops(NamedTuple):
    """A region's context on a device; see :class:`flawshot.regions.crops.Crops`.

    Attributes:
        images: uint8 ``[views, side, side, 3]``.
        masks: uint8 ``[views, side, side]``.
    """

    images: torch.Tensor
    masks: torch.Tensor


def device_crop_views(
    image: torch.Tensor,
    region: Region,
    scheme: ViewScheme,
    side: int,
    *,
    extent: Extent | None = None,
    interpolation: Interpolation = "bicubic",
) -> DeviceCrops:
    """Cut a region's views out of its image, on the image's device.

    Args:
        image: uint8 ``[height, width, 3]``.
        region: As for :func:`flawshot.regions.crops.crop_views`, and likewise the other arguments.
        scheme: The views.
        side: The side of the encoder's input, in px.
        extent: The views are centered on the middle of these points.
        interpolation: The filter.

    Returns:
        The same values as :func:`flawshot.regions.crops.crop_views`.
    """
    around = pixel_extent(region.box) if extent is None else extent
    inside = torch.zeros(image.shape[:2], dtype=torch.uint8, device=image.device)
    x0, y0, x1, y1 = region.box
    covered = torch.from_numpy(region.pixels.astype(np.uint8) * np.uint8(255))
    inside[y0:y1, x0:x1] = covered.to(image.device, non_blocking=True)
    by_size: dict[int, dict[tuple[int, int, int], list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, view in enumerate(scheme.views):
        place = crop_box(region.box, around, view)
        by_size[place[2]][place].append(number)  # views that differ only by angle or flip share their crop
    out = torch.empty(len(scheme.views), side, side, 4, dtype=torch.uint8, device=image.device)
    for size, numbers_of in by_size.items():
        places = list(numbers_of)
        most = max(1, WINDOW_BYTES // (32 * size * max(size, side)))
        for start in range(0, len(places), most):
            part = places[start : start + most]
            windows = _windows(image, inside, [place[:2] for place in part], size, scheme.border)
            resized = _resized(windows, side, interpolation).permute(0, 2, 3, 1)
            order = [(number, at) for at, place in enumerate(part) for number in numbers_of[place]]
            numbers, sources = (torch.tensor(each).to(image.device) for each in zip(*order, strict=True))
            out[numbers] = resized[sources]
    for number, view in enumerate(scheme.views):
        if view.angle or view.flip != "none":
            out[number] = _turned(out[number], view)
    return DeviceCrops(out[..., :3].contiguous(), out[..., 3].contiguous())


def _windows(
    image: torch.Tensor, inside: torch.Tensor, corners: list[tuple[int, int]], size: int, border: Border
) -> torch.Tensor:
    """uint8 ``[windows, 4, size, size]``: the pixels and the mask of windows with these (left, top) corners."""
    lines = []
    for axis, length in ((1, image.shape[0]), (0, image.shape[1])):
        starts = np.array([corner[axis] for corner in corners])
        if border == "shift":
            starts = np.clip(starts, 0, length - size) if size <= length else np.full_like(starts, (length - size) // 2)
        at = starts[:, None] + np.arange(size)
        if border == "reflect":
            period = max(1, 2 * (length - 1))
            at = np.where(at % period < length, at % period, period - at % period)
        lines.append(at)
    # An additional line of zeros after the last is what lies outside.
    rows, columns = (
        torch.from_numpy(np.where((at >= 0) & (at < length), at, length)).to(image.device, non_blocking=True)
        for at, length in zip(lines, image.shape[:2], strict=True)
    )
    outside = ((rows == image.shape[0])[:, :, None] | (columns == image.shape[1])[:, None, :])[:, None]
    rows, columns = rows.clamp(max=image.shape[0] - 1)[:, :, None], columns.clamp(max=image.shape[1] - 1)[:, None, :]
    cut = torch.cat([image[rows, columns], inside[rows, columns][..., None]], dim=3).permute(0, 3, 1, 2)
    return cut.masked_fill(outside, 0)


def _resized(windows: torch.Tensor, side: int, interpolation: Interpolation) -> torch.Tensor:
    """uint8 ``[windows, 4, size, size]`` to ``[windows, 4, side, side]``."""
    size = windows.shape[-1]
    if size == side:
        return windows
    if interpolation == "nearest":
        steps = np.full(side, size / side)
        steps[0] /= 2
        # Pillow adds the steps one after another, with the errors of that.
        nearest = torch.from_numpy(np.add.accumulate(steps).astype(np.int64)).to(windows.device)
        return windows[:, :, nearest][..., nearest]
    weights = _weights(size, side, interpolation, windows.device)
    narrow = _shrunk(windows.to(weights.high.dtype), weights, side)
    return _shrunk(narrow.transpose(2, 3), weights, side).transpose(2, 3).to(torch.uint8)


class _Weights(NamedTuple):
    """A resizing matrix in blocks of output pixels.

    Attributes:
        places: int64 ``[blocks, width]``, the input pixels of each block.
        high: float32 or float64 ``[blocks, width, outputs]``: the weights' upper half.
        low: The lower half.
    """

    places: torch.Tensor
    high: torch.Tensor
    low: torch.Tensor


def _shrunk(lines: torch.Tensor, weights: _Weights, side: int) -> torch.Tensor:
    """Whole numbers ``[..., size]`` of the weights' type to ``[..., side]``: rounded and clipped as Pillow does it."""
    flat = lines.reshape(-1, lines.shape[-1])
    blocks = flat[:, weights.places].transpose(0, 1)
    # (high * HALF + low) / HALF**2, rounded down after each of the two divisions: the same as rounding down once.
    total = torch.baddbmm(torch.bmm(blocks, weights.low).floor_(), blocks, weights.high, beta=1 / HALF)
    total.add_(0.5).floor_().clamp_(0, 255)
    return total.transpose(0, 1).reshape(len(flat), -1)[:, :side].reshape(*lines.shape[:-1], side)


@lru_cache(maxsize=64)
def _weights(size: int, side: int, interpolation: Interpolation, device: torch.device) -> _Weights:
    """The weights with which Pillow resizes ``size`` to ``side`` px."""
    whole, first, last = _pillow_weights(size, side, interpolation)
    starts = first[::BLOCK]
    ends = last[np.minimum(np.arange(BLOCK - 1, BLOCK * len(starts), BLOCK), side - 1)]
    width = int((ends - starts).max())
    places = np.minimum(starts, size - width)[:, None] + np.arange(width)
    padded = np.zeros((len(starts) * BLOCK, size))
    padded[:side] = whole
    blocks = np.take_along_axis(padded.reshape(len(starts), BLOCK, size), places[:, None], axis=2).transpose(0, 2, 1)
    high = np.floor(blocks / HALF + 0.5)
    parts = (high / HALF, (blocks - high * HALF) / HALF)
    kind = np.float32 if (last - first).max() <= MOST_WEIGHTS else np.float64
    return _Weights(
        torch.from_numpy(places).to(device), *(torch.from_numpy(part.astype(kind)).to(device) for part in parts)
    )


def _pillow_weights(
    size: int, side: int, interpolation: Interpolation
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Whole weights ``[side, size]``, and each output's first input and the one after its last.

    References:
        Pillow's ``src/libImaging/Resample.c``: ``precompute_coeffs`` and ``normalize_coeffs_8bpc``.
    """
    weigh, reach = FILTERS[interpolation]
    scale = size / side
    stretch = max(scale, 1.0)
    centers = (np.arange(side) + 0.5) * scale
    first = np.maximum(0, np.trunc(centers - reach * stretch + 0.5)).astype(np.int64)
    last = np.minimum(size, np.trunc(centers + reach * stretch + 0.5)).astype(np.int64)
    at = first[:, None] + np.arange((last - first).max())
    weights = weigh((at - centers[:, None] + 0.5) * (1.0 / stretch)) * (at < last[:, None])
    weights /= np.add.accumulate(weights, axis=1)[:, -1:]  # in order, as Pillow adds them
    rounded = np.trunc(weights * 2.0**WEIGHT_BITS + np.where(weights < 0, -0.5, 0.5))
    whole = np.zeros((side, size + at.shape[1]))
    np.put_along_axis(whole, at, rounded, axis=1)
    return whole[:, :size], first, last


def _bilinear(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _bicubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    a, x = -0.5, np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _lanczos(x: NDArray[np.float64]) -> NDArray[np.float64]:
    values = [_sinc(each) * _sinc(each / 3) if -3.0 <= each < 3.0 else 0.0 for each in x.ravel().tolist()]
    return np.array(values).reshape(x.shape)


def _sinc(x: float) -> float:
    turned = x * math.pi
    return 1.0 if x == 0.0 else math.sin(turned) / turned  # NumPy's own sine may differ in the last bit


# Each filter, and how far it reaches, in output px.
FILTERS: dict[str, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], float]] = {
    "bilinear": (_bilinear, 1.0),
    "bicubic": (_bicubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}


def _turned(crop: torch.Tensor, view: View) -> torch.Tensor:
    turned = torch.rot90(crop, view.angle // 90)
    match view.flip:
        case "horizontal":
            return turned.flip(1)
        case "vertical":
            return turned.flip(0)
        case "transpose":
            return turned.transpose(0, 1).clone()
        case "transverse":
            return turned.flip(0, 1).transpose(0, 1)
        case _:
            return turned
