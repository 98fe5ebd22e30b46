"""What a locator learns from one image: good cells, cells of flaws, and fine cells on both sides of an edge."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy.ndimage import binary_dilation, maximum_filter
from torch.nn import functional

from flawshot.locating.dense import FINE_CELLS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from flawshot.labelme.shapes import Region
    from flawshot.locating.dense import DenseFeatures

__all__ = ["EdgeExample", "FlawExample", "ImageExamples", "LabeledImage", "examples_of"]

# The width of the ring around a flaw whose fine cells are compared with those inside, in fine cells.
RING = 8
# No more fine cells than this are used on either side of an edge.
MOST_FINE = 200
AROUND = np.ones((3, 3), dtype=bool)


class LabeledImage(NamedTuple):
    """A support image with flaws.

    Attributes:
        image: The file, or the image if it is embedded in its annotation.
        instances: The support instances: category and pixels.
        others: Instances that are no support; nothing is known about them, but their pixels are not good.
    """

    image: Path | Image.Image
    instances: tuple[tuple[str, Region], ...]
    others: tuple[Region, ...] = ()


class FlawExample(NamedTuple):
    """The cells of one labeled instance.

    Attributes:
        category: Its category.
        cells: Numbers of the cells that it covers at least by half, or else of those it covers most, ``[n]``.
    """

    category: str
    cells: NDArray[np.intp]


class EdgeExample(NamedTuple):
    """Fine cells inside and around one labeled instance.

    Attributes:
        category: Its category.
        inside: float16 ``[n, channels]``.
        around: float16 ``[m, channels]``; none of them shows a flaw.
    """

    category: str
    inside: NDArray[np.float16]
    around: NDArray[np.float16]


@dataclass(frozen=True, slots=True, eq=False)
class ImageExamples:
    """What a locator learns from one image.

    Attributes:
        levels: The features of all cells by map, float16 ``[cells, channels]`` each.
        grid: Rows and columns of cells.
        good: Whether a cell shows no flaw, nor does any next to it, bool ``[cells]``.
        flaws: The labeled instances.
        edges: The same instances, for outlines.
        unit: The image's group, or a name of its own; images of one unit are held out together.
        flawless: Whether the whole image is good.
    """

    levels: tuple[NDArray[np.float16], ...]
    grid: tuple[int, int]
    good: NDArray[np.bool_]
    flaws: tuple[FlawExample, ...]
    edges: tuple[EdgeExample, ...]
    unit: str
    flawless: bool


def examples_of(
    features: DenseFeatures,
    instances: Sequence[tuple[str, Region]],
    others: Sequence[Region] = (),
    *,
    unit: str,
) -> ImageExamples:
    """Take what a locator learns from an image.

    Args:
        features: Its dense features.
        instances: The labeled instances on it: category and pixels.
        others: Regions that are neither labeled nor good.
        unit: As for :class:`ImageExamples`.
    """
    rows, columns = features.grid
    height, width = features.size
    regions = [region for _, region in instances if region.pixels.size]
    flawed = np.zeros((height, width), dtype=bool)
    for region in (*regions, *others):
        flawed |= region.full_mask(height, width)
    good = ~maximum_filter(_covered(flawed, rows, columns) > 0, 3)
    flaws, edges = [], []
    fine = features.fine() if regions else None
    clean = _covered(flawed, FINE_CELLS * rows, FINE_CELLS * columns) <= 0
    for number, (category, region) in enumerate(instances):
        if not region.pixels.size or fine is None:
            continue
        mask = region.full_mask(height, width)
        flaws.append(FlawExample(category, np.flatnonzero(_mostly(_covered(mask, rows, columns)))))
        inside = _mostly(_covered(mask, *clean.shape))
        ring = binary_dilation(inside, AROUND, iterations=RING) & clean
        pick = random.Random(f"{unit}/{number}")
        edges.append(EdgeExample(category, *(_some(fine[each], pick) for each in (inside, ring))))
    return ImageExamples(
        levels=tuple(each.astype(np.float16) for each in features.levels()),
        grid=features.grid,
        good=good.ravel(),
        flaws=tuple(flaws),
        edges=tuple(edges),
        unit=unit,
        flawless=not instances and not others,
    )


def _covered(mask: NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.float32]:
    """The share of each cell that a mask covers, float32 ``[rows, columns]``."""
    full = torch.from_numpy(mask.astype(np.float32))[None, None]
    return functional.adaptive_avg_pool2d(full, (rows, columns))[0, 0].numpy()


def _mostly(shares: NDArray[np.float32]) -> NDArray[np.bool_]:
    half: NDArray[np.bool_] = shares >= 0.5
    return half if half.any() else shares >= shares.max()


def _some(cells: NDArray[np.float32], pick: random.Random) -> NDArray[np.float16]:
    if len(cells) > MOST_FINE:
        cells = cells[sorted(pick.sample(range(len(cells)), MOST_FINE))]
    return cells.astype(np.float16)
