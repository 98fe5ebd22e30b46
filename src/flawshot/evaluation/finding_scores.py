"""Scores of heat maps: AUROC, F1-max and PRO, from histograms of scores, in memory that does not grow with pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage

from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "MOST_POINTS",
    "PRO_LIMIT",
    "BinnedHeat",
    "ImageHeat",
    "PixelScores",
    "Points",
    "auroc",
    "bin_heats",
    "f1_max",
    "image_histograms",
    "pixel_scores",
    "pro",
    "sketch",
    "summarize_heat",
]

# PRO is the area under the curve up to this false-positive rate, divided by it.
PRO_LIMIT = 0.3
# The points that stand for an image's pixels of one kind. The curves' coordinates are off by at most one part in twice
# this number.
MOST_POINTS = 2048
# Thresholds of the bootstrap, which needs a histogram of every image.
BOOTSTRAP_BINS = 256
EVERY_NEIGHBOR = np.ones((3, 3), dtype=bool)


class Points(NamedTuple):
    """Scores with weights.

    Attributes:
        scores: float32 ``[points]``, ascending.
        weights: float64 ``[points]``: how many pixels, or what share of a region, each stands for.
    """

    scores: NDArray[np.float32]
    weights: NDArray[np.float64]


class ImageHeat(NamedTuple):
    """What remains of an image's heat map and its ground truth.

    Attributes:
        good: The pixels outside all flaws, each of weight 1.
        flawed: The pixels inside, each of weight 1.
        covered: The same pixels, the weights of each connected component adding up to 1.
    """

    good: Points
    flawed: Points
    covered: Points


class PixelScores(NamedTuple):
    """Scores over the pixels of several images; NaN where there are no flaws, or nothing else.

    Attributes:
        auroc: Area under the curve of true over false positives.
        f1_max: The greatest F1 of all thresholds.
        pro: Area under the curve of the per-region overlap, up to 30 % false positives.
    """

    auroc: float
    f1_max: float
    pro: float


class BinnedHeat(NamedTuple):
    """Histograms of several images over the same bins, ascending, float32 ``[images, bins]`` each, as in ImageHeat."""

    good: NDArray[np.float32]
    flawed: NDArray[np.float32]
    covered: NDArray[np.float32]


def sketch(scores: NDArray[np.float32], weights: NDArray[np.float64] | None = None, most: int = MOST_POINTS) -> Points:
    """Few points that stand for many: each the middle one of a part of equal weight.

    A cumulative distribution of the points differs from that of the scores by at most ``1 / (2 * most)``, plus half
    the weight of one score.

    Args:
        scores: float32 ``[n]``.
        weights: ``[n]``; 1 each if None.
        most: The maximum number of points; if there are not more scores than that, all are kept.

    >>> sketch(np.float32([3, 1, 2, 4]), most=2)
    Points(scores=array([1., 3.], dtype=float32), weights=array([2., 2.]))
    """
    order = np.argsort(scores, kind="stable") if weights is not None else None
    ranked = np.sort(scores) if order is None else scores[order]
    own = np.ones(len(ranked)) if order is None or weights is None else weights[order]
    if len(ranked) <= most:
        return Points(ranked, own)
    reached = np.cumsum(own)
    part = np.minimum(((reached - own / 2) / reached[-1] * most).astype(np.intp), most - 1)
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    sums = np.add.reduceat(own, starts)
    middles = np.searchsorted(reached, reached[starts] - own[starts] + sums / 2)
    return Points(ranked[np.minimum(middles, len(ranked) - 1)], sums)


def summarize_heat(heat: NDArray[np.float32], truth: NDArray[np.bool_], most: int = MOST_POINTS) -> ImageHeat:
    """Summarize a heat map and its ground truth.

    Args:
        heat: float32 ``[height, width]``; greater is less like a good part.
        truth: bool ``[height, width]``, the flaws' pixels; their regions are its 8-connected components.
        most: As for :func:`sketch`.

    Raises:
        FlawshotError: If the shapes differ, or a value is not finite.
    """
    if heat.shape != truth.shape:
        raise FlawshotError(f"heat map: is {list(heat.shape)}, but its image is {list(truth.shape)}")
    if not np.isfinite(heat).all():
        raise FlawshotError("heat map: has values that are not finite")
    labels, _ = ndimage.label(truth, EVERY_NEIGHBOR)
    numbers = labels[truth]
    shares = 1.0 / np.bincount(numbers)[numbers] if numbers.size else np.zeros(0)
    inside = heat[truth]
    return ImageHeat(sketch(heat[~truth], None, most), sketch(inside, None, most), sketch(inside, shares, most))


def auroc(negative: NDArray[np.float64], positive: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under the ROC curve; ties count half.

    Args:
        negative: Weights by score, ascending, ``[..., bins]``.
        positive: Likewise.

    Returns:
        ``[...]``; NaN where there is no negative or no positive.

    >>> float(auroc(np.array([1.0, 1.0, 0.0]), np.array([0.0, 1.0, 1.0])))
    0.875
    """
    below = np.cumsum(negative, axis=-1) - negative / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        area: NDArray[np.float64] = (below * positive).sum(axis=-1) / (negative.sum(axis=-1) * positive.sum(axis=-1))
    return area


def f1_max(negative: NDArray[np.float64], positive: NDArray[np.float64]) -> NDArray[np.float64]:
    """The greatest F1 of all thresholds; arguments and result as for :func:`auroc`.

    >>> float(f1_max(np.array([1.0, 1.0, 0.0]), np.array([0.0, 1.0, 1.0])))
    0.8
    """
    found, false = _from_above(positive), _from_above(negative)
    total = positive.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        best: NDArray[np.float64] = (2 * found / (found + false + total)).max(axis=-1)
    return np.where((total[..., 0] > 0) & (negative.sum(axis=-1) > 0), best, np.nan)


def pro(negative: NDArray[np.float64], covered: NDArray[np.float64], limit: float = PRO_LIMIT) -> NDArray[np.float64]:
    """Area under the curve of the mean share of a region that is found, over the false-positive rate.

    Args:
        negative: Good pixels by score, ascending, ``[..., bins]``.
        covered: Shares of regions by score; all shares add up to the number of regions.
        limit: The false-positive rate at which the area ends, and by which it is divided.

    Returns:
        ``[...]``; NaN where there is no good pixel or no region.

    References:
        Bergmann et al.: "The MVTec Anomaly Detection Dataset", IJCV 2021.

    >>> float(pro(np.array([8.0, 2.0, 0.0]), np.array([0.0, 0.0, 1.0])))
    1.0
    """
    rate, share = _from_above(negative), _from_above(covered)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate, share = rate / rate[..., -1:], share / share[..., -1:]
    before, low = _shifted(rate), _shifted(share)
    width = rate - before
    # Of a step across the limit, only the part before it.
    part = np.clip(limit - before, 0.0, width)
    with np.errstate(invalid="ignore", divide="ignore"):
        high = low + (share - low) * np.where(width > 0, part / width, 0.0)
    area: NDArray[np.float64] = (part * (low + high) / 2).sum(axis=-1) / limit
    return area


def _from_above(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weight of all scores at or above each, from the greatest score on."""
    return np.cumsum(weights[..., ::-1], axis=-1)


def _shifted(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """A curve's value before each step; it begins at 0."""
    return np.concatenate([np.zeros_like(curve[..., :1]), curve[..., :-1]], axis=-1)


def image_histograms(scores: ArrayLike, flawed: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Which bin each image's score falls in, with one bin per distinct score: (good, flawed), ``[images, bins]`` each.

    Args:
        scores: The image scores, ``[images]``.
        flawed: Whether each image shows a flaw, ``[images]``.
    """
    values, places = np.unique(np.asarray(scores), return_inverse=True)
    own = np.zeros((len(places), len(values)))
    own[np.arange(len(places)), places] = 1.0
    return own * ~flawed[:, None], own * flawed[:, None]


def pixel_scores(heats: Sequence[ImageHeat]) -> PixelScores:
    """Scores over the pixels of several images.

    They are exact if no image was reduced to fewer points. Otherwise every coordinate of the curves is off by at most
    ``1 / (2 * MOST_POINTS)``: AUROC by 0.0005 at most, and PRO, which is divided by its limit, by 0.0011 at most.
    """
    kinds = [[getattr(heat, kind) for heat in heats] for kind in ImageHeat._fields]
    every = np.unique(np.concatenate([points.scores for own in kinds for points in own]))
    good, flawed, covered = (
        sum((_histogram(points, every) for points in own), start=np.zeros(len(every))) for own in kinds
    )
    return PixelScores(float(auroc(good, flawed)), float(f1_max(good, flawed)), float(pro(good, covered)))


def bin_heats(heats: Sequence[ImageHeat], bins: int = BOOTSTRAP_BINS) -> BinnedHeat:
    """Histograms of each image over common bins, half of them quantiles of good pixels, half of flaws.

    Args:
        heats: The images.
        bins: The number of bins, approximately.
    """
    edges = np.unique(
        np.concatenate([_quantiles([getattr(heat, kind) for heat in heats], bins // 2) for kind in ("good", "covered")])
    )
    return BinnedHeat(
        *(
            np.stack([_histogram(getattr(heat, kind), edges) for heat in heats]).astype(np.float32)
            for kind in ImageHeat._fields
        )
    )


def _quantiles(several: Sequence[Points], count: int) -> NDArray[np.float32]:
    joined = Points(*(np.concatenate(parts) for parts in zip(*several, strict=True)))
    return sketch(joined.scores, joined.weights, count).scores


def _histogram(points: Points, edges: NDArray[np.float32]) -> NDArray[np.float64]:
    """Weights by the greatest edge at or below each score; scores below all edges are in the first bin."""
    places = np.searchsorted(edges, points.scores, side="right") - 1
    sums = np.bincount(np.maximum(places, 0), weights=points.weights, minlength=max(1, len(edges)))
    return sums.astype(np.float64)  # of no points, NumPy counts in whole numbers
