"""Dense features: what an encoder's maps say about every place on a whole image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from flawshot.encoders.maps import MAP_STEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flawshot.encoders.base import BaseEncoder

__all__ = ["FINE_CELLS", "DenseFeatures", "dense_features"]

# Images are resized to this long side, in px, or to the encoder's own side if that is the only one it takes and larger.
LONG_SIDE = 512
# Sides of a cell and of a fine cell, in px of the resized image.
CELL, FINE = 16, 4
FINE_CELLS = CELL // FINE
# Maps with more than this many cells across per cell of the grid show single edges, and only help to draw outlines.
FINEST = 2
# More channels than this are averaged in groups.
WIDEST = 1024
# The largest deviation of a color from the image's median, in median deviations.
VIVID = 8.0

LARGEST = float(np.finfo(np.float16).max)


class DenseFeatures(NamedTuple):
    """Dense features of one image.

    Attributes:
        maps: The encoder's maps, the finest first, float32 ``[channels, rows, columns]`` each, on the CPU.
        pixels: The resized image, uint8 ``[height, width, 3]``; its sides are multiples of 32 px.
        size: (height, width) of the image, in px.
    """

    maps: tuple[torch.Tensor, ...]
    pixels: NDArray[np.uint8]
    size: tuple[int, int]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        height, width = self.pixels.shape[:2]
        return height // CELL, width // CELL

    def levels(self) -> list[NDArray[np.float32]]:
        """The features of all cells by map, float32 ``[cells, channels]`` each: each map averaged over 3 x 3 places.

        Averages of neighboring places are what PatchCore uses (Roth et al.: "Towards Total Recall in Industrial Anomaly
        Detection", CVPR 2022).
        """
        rows, columns = self.grid
        used = [each for each in self.maps if each.shape[-1] <= FINEST * columns] or [self.maps[-1]]
        share = min(1.0, WIDEST / sum(len(each) for each in used))
        made = []
        for each in used:
            around = functional.avg_pool2d(each[None], 3, 1, 1, count_include_pad=False)
            if share < 1:
                flat = around.flatten(2).transpose(1, 2)
                fewer = functional.adaptive_avg_pool1d(flat, max(1, int(share * len(each))))
                around = fewer.transpose(1, 2).reshape(1, -1, *each.shape[-2:])
            made.append(_fitted(around, rows, columns).flatten(2)[0].T.contiguous().numpy())
        return made

    def colors(self) -> torch.Tensor:
        """The colors of fine cells relative to the image's own, float32 ``[7, rows, columns]``.

        Deviations of the three channels from their medians, in median absolute deviations; their absolute values; and
        the logarithm of their joint size.
        """
        rows, columns = (FINE_CELLS * count for count in self.grid)
        image = torch.from_numpy(self.pixels.copy()).permute(2, 0, 1).float()
        means = functional.adaptive_avg_pool2d(image[None], (rows, columns))[0]
        middle = means.flatten(1).median(dim=1).values[:, None, None]
        spread = (means - middle).abs().flatten(1).median(dim=1).values[:, None, None] + 2
        away = ((means - middle) / spread).clamp(-VIVID, VIVID)
        return torch.cat([away, away.abs(), torch.log1p((away**2).sum(dim=0, keepdim=True))])

    def fine(self) -> NDArray[np.float32]:
        """The features of all fine cells, float32 ``[rows, columns, channels]``: all maps, then :meth:`colors`."""
        rows, columns = (FINE_CELLS * count for count in self.grid)
        parts = [_fitted(each[None], rows, columns)[0] for each in self.maps]
        return torch.cat([*parts, self.colors()]).permute(1, 2, 0).numpy()

    def fine_projection(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """:meth:`fine` times weights, without computing the former: maps are projected before they are resized.

        Args:
            weights: float32 ``[channels, k]``.

        Returns:
            float32 ``[rows, columns, k]``.
        """
        rows, columns = (FINE_CELLS * count for count in self.grid)
        start, total = 0, torch.zeros(1, weights.shape[1], rows, columns)
        for each in (*self.maps, self.colors()):
            part = torch.from_numpy(weights[start : start + len(each)])
            total += _fitted(torch.einsum("chw,ck->khw", each, part)[None], rows, columns)
            start += len(each)
        return total[0].permute(1, 2, 0).numpy()


def dense_features(encoder: BaseEncoder, image: Image.Image) -> DenseFeatures:
    """Compute the dense features of an image.

    An encoder that takes images of only one size is given overlapping tiles; where they overlap, maps are averaged.

    Args:
        encoder: An encoder with maps.
        image: The image, upright, RGB.

    Raises:
        FlawshotError: If the encoder has no maps.
    """
    side = encoder.map_side
    scale = max(LONG_SIDE, side) / max(image.size)
    width, height = (max(MAP_STEP, round(scale * each / MAP_STEP) * MAP_STEP) for each in image.size)
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
    tensor = torch.from_numpy(pixels.copy())[None]
    maps = [each[0].cpu() for each in encoder.maps(tensor)] if not side else _tiled(encoder, tensor, side)
    # Some networks' maps leave the range of float16, in which features are kept.
    inside = tuple(each.clamp(-LARGEST, LARGEST) for each in maps)
    return DenseFeatures(inside, pixels, (image.height, image.width))


def _tiled(encoder: BaseEncoder, image: torch.Tensor, side: int) -> list[torch.Tensor]:
    """The maps of an image from tiles, all resized to the grid of cells."""
    height, width = image.shape[1:3]
    tops, lefts = (_starts(max(length, side), side) for length in (height, width))
    # Tiles begin at cells, so the last may end up to half a cell beyond the image.
    down, right = max(0, tops[-1] + side - height), max(0, lefts[-1] + side - width)
    padded = functional.pad(image.permute(0, 3, 1, 2).float(), (0, right, 0, down), mode="replicate").byte()
    tiles = [padded[0, :, top : top + side, left : left + side] for top in tops for left in lefts]
    made = encoder.maps(torch.stack(tiles).permute(0, 2, 3, 1))
    cells = max(1, round(side / CELL))
    whole = [-(-length // CELL) + 1 for length in padded.shape[2:]]
    out = []
    for each in made:
        resized = _fitted(each.cpu(), cells, cells)
        total = torch.zeros(each.shape[1], *whole)
        times = torch.zeros(*whole)
        places = [(top // CELL, left // CELL) for top in tops for left in lefts]
        for (row, column), tile in zip(places, resized, strict=True):
            total[:, row : row + cells, column : column + cells] += tile
            times[row : row + cells, column : column + cells] += 1
        rows, columns = height // CELL, width // CELL
        out.append((total / times.clamp_min(1))[:, :rows, :columns].contiguous())
    return out


def _starts(length: int, side: int) -> Sequence[int]:
    """Where tiles begin, in multiples of a cell, so that they cover a length."""
    last = length - side
    count = -(-last // side) + 1 if last > 0 else 1
    return sorted({round(last * number / max(1, count - 1) / CELL) * CELL for number in range(count)})


def _fitted(maps: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Maps ``[images, channels, …]`` averaged, or interpolated, to a number of rows and columns."""
    if tuple(maps.shape[-2:]) == (rows, columns):
        return maps
    if maps.shape[-1] > columns:
        return functional.adaptive_avg_pool2d(maps, (rows, columns))
    return functional.interpolate(maps, size=(rows, columns), mode="bilinear", align_corners=False)
