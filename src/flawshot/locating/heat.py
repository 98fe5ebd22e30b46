"""Heat: how unlike a good part, and how like a known flaw, each cell of an image is."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.base.errors import FlawshotError
from flawshot.locating.coreset import distances, greedy_coreset

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from flawshot.locating.examples import ImageExamples

__all__ = ["LEARNED", "GoodBank", "HeatModel", "good_bank", "heat_model", "most_vectors"]

# The most vectors in a bank, and the most bytes that they take.
MOST_VECTORS, MOST_BYTES = 2048, 4_000_000
# The unit of cells that were learned after the fit; no image or group has this name.
LEARNED = "\0learned"
# From no more good cells than this is a bank chosen.
MOST_CELLS = 10_000
# The share of the mean variance that is added to every direction of the covariance.
SHRINKAGE = 0.2
# How much a region that is not a flaw counts in the covariance.
NOT_A_FLAW = 1.0
TINY = 1e-6


class GoodBank(NamedTuple):
    """Cells of good parts, chosen so that all others are near one of them.

    Attributes:
        scales: The root mean square of each map over good cells, by which its features are divided, float32
            ``[maps]``.
        vectors: The scaled features of the chosen cells, float32 ``[m, dim]``.
        units: The unit that each of them comes from, or :data:`LEARNED`; empty if it is no longer known.
        mean: The mean distance of good cells to the nearest chosen one of another unit.
        std: Its standard deviation.
    """

    scales: NDArray[np.float32]
    vectors: NDArray[np.float32]
    units: tuple[str, ...]
    mean: float
    std: float

    def scaled(self, levels: Sequence[NDArray[np.float16] | NDArray[np.float32]]) -> NDArray[np.float32]:
        """Features of some cells by map as one scaled array, float32 ``[cells, dim]``."""
        parts = [np.asarray(each, np.float32) / scale for each, scale in zip(levels, self.scales, strict=True)]
        return np.concatenate(parts, axis=1)

    def without(self, units: Collection[str]) -> GoodBank:
        """The bank without cells of some units; all of them if nothing else would remain."""
        kept = [number for number, unit in enumerate(self.units) if unit not in units]
        if not kept:
            return self
        return self._replace(vectors=self.vectors[kept], units=tuple(self.units[number] for number in kept))


def most_vectors(dim: int) -> int:
    """The most vectors of a length that a bank may have."""
    return min(MOST_VECTORS, MOST_BYTES // (4 * dim))


def good_bank(examples: Sequence[ImageExamples]) -> GoodBank:
    """Choose a bank of good cells.

    Args:
        examples: The support images; those with flaws give the cells that are apart from these.

    Raises:
        FlawshotError: If no cell is good.
    """
    good = [each for each in examples if each.good.any()]
    if not good:
        raise FlawshotError("no part of any image is good: flaws cover everything; give images without flaws")
    squares = np.zeros((len(good[0].levels), 2))
    for each in good:
        for number, level in enumerate(each.levels):
            own = level[each.good].astype(np.float64)
            squares[number] += (own**2).sum(), own.size
    scales = np.sqrt(squares[:, 0] / squares[:, 1]).clip(TINY).astype(np.float32)
    blank = GoodBank(scales, np.zeros((0, 0), np.float32), (), 0.0, 1.0)
    share = min(1.0, MOST_CELLS / sum(int(each.good.sum()) for each in good))
    pick = random.Random("good cells")
    cells, units = [], list[str]()
    for each in good:
        rows = np.flatnonzero(each.good).tolist()
        if share < 1:
            rows = sorted(pick.sample(rows, max(1, int(share * len(rows)))))
        cells.append(blank.scaled([level[rows] for level in each.levels]))
        units += [each.unit] * len(rows)
    every = np.concatenate(cells)
    chosen = greedy_coreset(every, most_vectors(every.shape[1]))
    bank = blank._replace(vectors=every[chosen], units=tuple(units[row] for row in chosen))
    apart = np.zeros(len(every), np.float32)
    of = np.array(units)
    for unit in dict.fromkeys(units):
        own = of == unit
        apart[own] = distances(every[own], bank.without({unit}).vectors)
    return bank._replace(mean=float(apart.mean()), std=float(max(apart.std(), TINY)))


@dataclass(frozen=True, eq=False)
class HeatModel:
    """Gives cells their heat.

    The heat of a cell is the sum of two numbers, each in standard deviations of good cells: the largest projection onto
    the directions that tell labeled flaws from good cells (linear discriminant analysis with the covariance of good
    cells, one direction per category), and, weighted by 1 / sqrt(labeled instances per category), the distance to the
    nearest cell of the bank. Without labeled flaws it is the latter alone.

    Attributes:
        bank: Cells of good parts.
        good_mean: Mean of all good cells, float32 ``[dim]``.
        good_cov: Their covariance, float32 ``[dim, dim]``.
        categories: The categories of labeled flaws, in label order.
        counts: Number of labeled instances of each, ``[categories]``.
        flaw_means: The mean of their instances' means, float32 ``[categories, dim]``.
        not_flaws: The mean of each region that a person said is not a flaw, float32 ``[regions, dim]``; of more than
            ``dim``, as many vectors with the same effect.
    """

    bank: GoodBank
    good_mean: NDArray[np.float32]
    good_cov: NDArray[np.float32]
    categories: tuple[str, ...]
    counts: NDArray[np.int64]
    flaw_means: NDArray[np.float32]
    not_flaws: NDArray[np.float32]

    @cached_property
    def _directions(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """The inverse covariance ``[dim, dim]``, directions ``[dim, categories]``, and the spread of good cells."""
        apart = (self.flaw_means - self.good_mean).astype(np.float64)
        good = self.good_cov.astype(np.float64)
        dim = len(good)
        away = (self.not_flaws - self.good_mean).astype(np.float64)
        within = (1 - SHRINKAGE) * good + (SHRINKAGE * np.trace(good) / dim + TINY) * np.eye(dim)
        inverse = np.linalg.inv(within + NOT_A_FLAW * away.T @ away)
        weights = inverse @ apart.T
        # Of good cells that hardly vary, rounding may leave a negative variance.
        spread = np.sqrt(np.einsum("dc,de,ec->c", weights, good, weights).clip(TINY**2))
        return inverse.astype(np.float32), weights.astype(np.float32), spread.astype(np.float32)

    def heat(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """The heat of cells, float32 ``[cells]``.

        Args:
            cells: Their scaled features, float32 ``[cells, dim]``; see :meth:`GoodBank.scaled`.
        """
        far: NDArray[np.float32] = (distances(cells, self.bank.vectors) - self.bank.mean) / self.bank.std
        if not len(self.categories):
            return far
        _, weights, spread = self._directions
        like = ((cells - self.good_mean) @ weights / spread).max(axis=1)
        made: NDArray[np.float32] = (like + far / np.sqrt(self.counts.mean())).astype(np.float32)
        return made

    def evidence(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """How much a cell speaks for each category, float32 ``[cells, categories]``.

        It is the cosine between what the cell and the category's flaws differ in from good cells, both whitened by the
        covariance. How strong the difference is does not matter: outlines that are found, and flaws, vary in it.
        """
        inverse, weights, _ = self._directions
        away = cells - self.good_mean
        own = np.sqrt(((away @ inverse) * away).sum(axis=1, keepdims=True).clip(TINY))
        known = np.sqrt(((self.flaw_means - self.good_mean) * weights.T).sum(axis=1).clip(TINY))
        made: NDArray[np.float32] = (away @ weights / own / known).astype(np.float32)
        return made


def heat_model(examples: Sequence[ImageExamples], bank: GoodBank) -> HeatModel:
    """Fit a model of heat.

    Args:
        examples: The support images.
        bank: A bank of their good cells.
    """
    dim = bank.vectors.shape[1]
    number, total, products = 0, np.zeros(dim), np.zeros((dim, dim))
    flaws: dict[str, list[NDArray[np.float32]]] = {}
    for each in examples:
        if each.good.any():
            own = bank.scaled([level[each.good] for level in each.levels])
            number += len(own)
            total += own.sum(axis=0, dtype=np.float64)
            products += own.T @ own
        for flaw in each.flaws:
            flaws.setdefault(flaw.category, []).append(bank.scaled([level[flaw.cells] for level in each.levels]))
    mean = total / max(1, number)
    categories = tuple(sorted(flaws))
    means = np.zeros((len(categories), dim))
    for row, category in enumerate(categories):
        means[row] = np.mean([own.mean(axis=0) for own in flaws[category]], axis=0)
    return HeatModel(
        bank=bank,
        good_mean=mean.astype(np.float32),
        good_cov=(products / max(1, number) - np.outer(mean, mean)).astype(np.float32),
        categories=categories,
        counts=np.array([len(flaws[category]) for category in categories], dtype=np.int64),
        flaw_means=means.astype(np.float32),
        not_flaws=np.zeros((0, dim), np.float32),
    )
