"""Outlines of found regions: fine cells are told apart by what labeled flaws differ in from their surroundings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flawshot.locating.examples import EdgeExample

__all__ = ["OutlineModel", "color_ratio", "outline_model"]

# The share of the off-diagonal covariance that is dropped.
SHRINKAGE = 0.5
# How much the direction of the region's own category counts, beside that of all categories together.
OWN = 0.5
# The variance that is added to colors, in squared levels, and the largest evidence of one pixel.
NOISE, CERTAIN = 9.0, 3.0
# The fewest pixels inside and around from which colors are learned.
INSIDE, AROUND = 6, 21
TINY = 1e-9


@dataclass(frozen=True, eq=False)
class OutlineModel:
    """Tells fine cells inside a flaw from those around it.

    Attributes:
        categories: The categories, in label order.
        apart: Mean inside minus mean around, by category and then of all, float32 ``[categories + 1, channels]``.
        middle: The middle of both, likewise.
        cov: The covariance within both, float32 ``[channels, channels]``.
    """

    categories: tuple[str, ...]
    apart: NDArray[np.float32]
    middle: NDArray[np.float32]
    cov: NDArray[np.float32]

    @cached_property
    def directions(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weights ``[channels, categories]`` and offsets ``[categories]``.

        The score of a fine cell, its features times the weights minus the offset, is 0.5 inside a labeled flaw and -0.5
        around it, on average over the labeled flaws of all categories.
        """
        cov = self.cov.astype(np.float64)
        variances = np.diag(cov).copy()
        cov = (1 - SHRINKAGE) * cov + np.diag(SHRINKAGE * variances + TINY + 1e-6 * variances.mean())
        apart, middle = self.apart.astype(np.float64), self.middle.astype(np.float64)
        weights = np.linalg.solve(cov, apart.T)
        weights /= np.maximum((weights * apart.T).sum(axis=0), TINY)
        offsets = (weights * middle.T).sum(axis=0)
        weights = OWN * weights[:, :-1] + (1 - OWN) * weights[:, -1:]
        offsets = OWN * offsets[:-1] + (1 - OWN) * offsets[-1]
        return weights.astype(np.float32), offsets.astype(np.float32)


def outline_model(edges: Sequence[EdgeExample]) -> OutlineModel | None:
    """Fit a model of outlines; every instance counts the same.

    Args:
        edges: Fine cells inside and around labeled instances.

    Returns:
        The model; None if no instance has both.
    """
    used = [each for each in edges if len(each.inside) and len(each.around)]
    if not used:
        return None
    categories = tuple(sorted({each.category for each in used}))
    inside = np.stack([each.inside.mean(axis=0, dtype=np.float64) for each in used])
    around = np.stack([each.around.mean(axis=0, dtype=np.float64) for each in used])
    of = np.array([each.category for each in used], dtype=object)
    rows = [of == category for category in categories] + [np.ones(len(used), dtype=bool)]
    means = np.stack([(inside[row].mean(axis=0), around[row].mean(axis=0)) for row in rows])
    cov = np.zeros((inside.shape[1],) * 2)
    for each in used:
        both = means[categories.index(each.category)]
        for cells, mean in zip((each.inside, each.around), both, strict=True):
            away = (cells.astype(np.float32) - mean.astype(np.float32)) / np.float32(
                np.sqrt(2 * len(used) * len(cells))
            )
            cov += away.T @ away
    return OutlineModel(
        categories,
        apart=(means[:, 0] - means[:, 1]).astype(np.float32),
        middle=means.mean(axis=1).astype(np.float32),
        cov=cov.astype(np.float32),
    )


def color_ratio(
    pixels: NDArray[np.uint8], inside: NDArray[np.bool_], support: NDArray[np.bool_]
) -> NDArray[np.float32] | None:
    """How much the color of each pixel speaks for the inside of a region rather than for its surroundings.

    Both sides' colors are taken to be normally distributed; the ratio of likelihoods is smoothed, so that neighbors
    decide together.

    Args:
        pixels: The image, uint8 ``[height, width, 3]``.
        inside: A first outline, bool ``[height, width]``.
        support: Where the region may be, likewise.

    Returns:
        Its logarithm, from -3 to 3, float32 ``[height, width]``, 0 outside the support; None if there are too few
        pixels on one side to say.
    """
    around = support & ~binary_dilation(inside, iterations=2)
    if inside.sum() < INSIDE or around.sum() < AROUND:
        return None
    colors = pixels.astype(np.float64)
    likelihoods = []
    for own in (inside, around):
        mean, cov = colors[own].mean(axis=0), np.cov(colors[own].T) + NOISE * np.eye(3)
        away = colors[support] - mean
        far = (away @ np.linalg.inv(cov) * away).sum(axis=1)
        likelihoods.append(-0.5 * (far + np.linalg.slogdet(cov)[1]))
    ratio = np.zeros(inside.shape, dtype=np.float32)
    ratio[support] = np.clip(likelihoods[0] - likelihoods[1], -CERTAIN, CERTAIN)
    smooth: NDArray[np.float32] = gaussian_filter(ratio, 1.0)
    smooth[~support] = 0
    return smooth
