"""A locator: finds regions on images that nobody has annotated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy.ndimage import binary_dilation, binary_fill_holes, find_objects, label, maximum
from torch.nn import functional

from flawshot.formats.components import component_shape
from flawshot.labelme.shapes import trim
from flawshot.locating.dense import FINE_CELLS, dense_features
from flawshot.locating.enlarging import enlarged
from flawshot.locating.outlining import color_ratio
from flawshot.locating.record import SHARPNESS
from flawshot.regions.found import FoundOnImage, FoundRegion

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from flawshot.encoders.base import BaseEncoder
    from flawshot.locating.dense import DenseFeatures
    from flawshot.locating.heat import HeatModel
    from flawshot.locating.outlining import OutlineModel

__all__ = ["HeatMap", "Locator", "image_score"]

# The share of the hottest cells whose mean is an image's score.
TOP = 0.01
# A region is where the heat is at least this share of its peak's; its outline is searched where it is at least that.
HALF, WIDE = 0.5, 0.35
# How far the outline may go beyond that, in fine cells.
BEYOND = 2
# Peaks of one category belong together if all of the way between them is hotter than this share of the lower one.
JOINED = 0.5
# How much the evidence of fine cells counts beside that of colors.
FINE_WEIGHT = 6.0
# Regions of fewer px of the resized image are dropped.
SMALLEST = 12
EVERY_NEIGHBOR = np.ones((3, 3), dtype=bool)


class HeatMap(NamedTuple):
    """How unlike a good part each place on an image is.

    Attributes:
        cells: The heat of each cell, in standard deviations of good cells, float32 ``[rows, columns]``.
        evidence: How much each cell speaks for each category, from -1 to 1, float32 ``[rows, columns, categories]``.
        size: (height, width) of the image, in px.
    """

    cells: NDArray[np.float32]
    evidence: NDArray[np.float32]
    size: tuple[int, int]

    @property
    def score(self) -> float:
        """The image's score: the mean heat of the hottest hundredth of its cells."""
        return image_score(self.cells)

    def pixels(self) -> NDArray[np.float32]:
        """The heat of all pixels, float32 ``[height, width]`` of the upright image."""
        return _resized(self.cells, self.size)


def image_score(cells: NDArray[np.float32]) -> float:
    """The mean heat of the hottest hundredth of an image's cells, at least one."""
    hottest = np.sort(cells, axis=None)[::-1]
    return float(hottest[: max(1, round(TOP * hottest.size))].mean())


@dataclass(frozen=True, slots=True, eq=False)
class Locator:
    """Finds regions on images.

    Attributes:
        encoder: Computes maps.
        heat_model: Gives cells their heat.
        outline_model: Draws outlines; None if there was no labeled flaw to learn them from.
        threshold: A region's peak is hotter than this.
        sharpness: By which evidence is multiplied before it becomes shares.
    """

    encoder: BaseEncoder
    heat_model: HeatModel
    outline_model: OutlineModel | None
    threshold: float
    sharpness: float = SHARPNESS

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories of labeled flaws, in label order."""
        return self.heat_model.categories

    def heat(self, image: Image.Image) -> HeatMap:
        """The heat map of an upright RGB image."""
        return self._heat(dense_features(self.encoder, image))

    def find(self, image: Image.Image) -> FoundOnImage:
        """The regions found on an upright RGB image, the hottest first."""
        return self.inspect(image)[1]

    def inspect(self, image: Image.Image) -> tuple[HeatMap, FoundOnImage]:
        """Both the heat map of an upright RGB image and the regions found on it."""
        features = dense_features(self.encoder, image)
        heat = self._heat(features)
        regions = tuple(self._regions(features, heat))
        return heat, FoundOnImage(regions, round(heat.score, 4))

    def _heat(self, features: DenseFeatures) -> HeatMap:
        cells = self.heat_model.bank.scaled(features.levels())
        evidence = self.heat_model.evidence(cells).reshape(*features.grid, len(self.categories))
        return HeatMap(self.heat_model.heat(cells).reshape(features.grid), evidence, features.size)

    def _regions(self, features: DenseFeatures, heat: HeatMap) -> list[FoundRegion]:
        found: list[FoundRegion] = []
        claimed = np.zeros(features.pixels.shape[:2], dtype=bool)
        drawn = np.zeros(features.size, dtype=bool)
        scores: dict[str, NDArray[np.float32]] = {}
        warm = _resized(heat.cells, claimed.shape)
        for hill in _hills(heat, self.threshold):
            if self.categories and self.outline_model is not None and not scores:
                scores = self._fine_scores(features, self.outline_model)
            category = self.categories[hill.category] if self.categories else ""
            mask = _hottest(_outlined(features, hill, scores.get(category)) & ~claimed, warm)
            if mask.sum() < SMALLEST:
                continue
            claimed |= mask
            cells = _pooled(mask, heat.cells.shape)
            cells[hill.top] = True
            shares = self._shares(heat.evidence[cells])
            # Halfway between two regions, both may cover half of a pixel.
            window, own = enlarged(mask, features.size)
            own &= ~drawn[window]
            whole = binary_fill_holes(own)
            if not (whole & drawn[window]).any():  # a polygon has no holes
                own = whole
            drawn[window] |= own
            region = trim(own, window[1].start, window[0].start)
            if region.pixels.size:
                found.append(FoundRegion(component_shape(len(found), "", region), round(hill.peak, 4), shares))
        return found

    def _fine_scores(self, features: DenseFeatures, model: OutlineModel) -> dict[str, NDArray[np.float32]]:
        """For each category, how much each pixel of the resized image is like the inside of its flaws."""
        weights, offsets = model.directions
        scores = features.fine_projection(weights) - offsets
        return {
            category: _resized(scores[..., number], features.pixels.shape[:2])
            for number, category in enumerate(model.categories)
        }

    def _shares(self, evidence: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """The probability of each category, from the evidence of a region's cells."""
        if not self.categories:
            return None
        said = self.sharpness * evidence.mean(axis=0, dtype=np.float64)
        shares = np.exp(said - said.max())
        made: NDArray[np.float32] = (shares / shares.sum()).astype(np.float32)
        return made


@dataclass(slots=True, eq=False)
class _Hill:
    """A hot place and its surroundings.

    Attributes:
        top: The hottest cell.
        peak: Its heat.
        category: The number of the category that it speaks for most; 0 if there is none.
        half: Where the heat is at least half of a peak's, bool, by fine cell.
        wide: Where its outline may be, likewise.
    """

    top: tuple[int, int]
    peak: float
    category: int
    half: NDArray[np.bool_]
    wide: NDArray[np.bool_]


def _hills(heat: HeatMap, threshold: float) -> list[_Hill]:
    """The hills whose peaks are above a threshold, the hottest first.

    A flaw that is long or uneven has several peaks: one that is joined to a hotter one of its category by heat of at
    least :data:`JOINED` of its own belongs to the same hill.
    """
    cells = heat.cells
    fine = _resized(cells, tuple(FINE_CELLS * count for count in cells.shape))
    free = np.where(cells > threshold, cells, -np.inf)
    made: list[_Hill] = []
    while np.isfinite(free.max(initial=-np.inf)):
        row, column = (int(each) for each in np.unravel_index(int(free.argmax()), free.shape))
        seed = (FINE_CELLS * row + FINE_CELLS // 2, FINE_CELLS * column + FINE_CELLS // 2)
        peak = float(free[row, column])
        lifted = fine.copy()
        lifted[seed] = max(peak, lifted[seed])  # interpolation may have lowered it
        half, wide, near = (_around(lifted >= share * peak, seed) for share in (HALF, WIDE, JOINED))
        free[_pooled(half, cells.shape)] = -np.inf
        free[row, column] = -np.inf
        category = int(heat.evidence[row, column].argmax()) if heat.evidence.shape[-1] else 0
        hotter = next((each for each in made if each.category == category and (each.half & near).any()), None)
        if hotter is None:
            made.append(_Hill((row, column), peak, category, half, wide))
        else:
            hotter.half |= half
            hotter.wide |= wide
    return made


def _outlined(features: DenseFeatures, hill: _Hill, score: NDArray[np.float32] | None) -> NDArray[np.bool_]:
    """The mask of a hill on the resized image."""
    size = features.pixels.shape[:2]
    half = _resized(hill.half.astype(np.float32), size) >= 0.5
    if score is None:
        return half
    support = binary_dilation(hill.wide, EVERY_NEIGHBOR, iterations=BEYOND)
    allowed = _resized(support.astype(np.float32), size) >= 0.5
    window = find_objects(allowed.astype(np.uint8))[0]
    full, within = score[window], allowed[window]
    inside = (full > 0) & within
    ratio = color_ratio(features.pixels[window], inside, within)
    drawn = inside if ratio is None else (ratio + FINE_WEIGHT * full > 0) & within
    if drawn.sum() < SMALLEST:
        return half
    made = np.zeros(size, dtype=bool)
    made[window] = binary_fill_holes(drawn)
    return made


def _resized(values: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    given = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None, None]
    return functional.interpolate(given, size=tuple(size), mode="bilinear", align_corners=False)[0, 0].numpy()


def _around(mask: NDArray[np.bool_], seed: tuple[int, int]) -> NDArray[np.bool_]:
    """The connected part of a mask that contains a place."""
    numbers, _ = label(mask, EVERY_NEIGHBOR)
    own: NDArray[np.bool_] = numbers == numbers[seed]
    return own & mask


def _hottest(mask: NDArray[np.bool_], warm: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The connected part of a mask that reaches the hottest place."""
    numbers, count = label(mask, EVERY_NEIGHBOR)
    if count < 2:
        return mask
    own: NDArray[np.bool_] = numbers == 1 + int(np.argmax(maximum(warm, numbers, np.arange(1, count + 1))))
    return own


def _pooled(mask: NDArray[np.bool_], grid: tuple[int, ...]) -> NDArray[np.bool_]:
    """The cells of which a mask covers at least half."""
    given = torch.from_numpy(mask.astype(np.float32))[None, None]
    rows, columns = grid
    pooled: NDArray[np.bool_] = functional.adaptive_avg_pool2d(given, (rows, columns))[0, 0].numpy() >= 0.5
    return pooled
