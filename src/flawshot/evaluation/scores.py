"""Scores of classifiers for one product and K: their predictions, and bootstrap statistics of these."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from flawshot.evaluation.intervals import DRAWS, draws
from flawshot.evaluation.metrics import CALIBRATION_BINS, calibration_bins

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["QueryPredictions", "QueryTable", "Resampled", "mean_over_seeds", "resample"]

DRAWS_AT_ONCE = 500
# Fewer draws at a time if each has many sums, as with hundreds of random tasks.
SUMS_AT_ONCE = 2**21
# Above this many cells, tallies are sparse: each of many random tasks queries only a few units.
DENSE_CELLS = 2**24


@dataclass(frozen=True, slots=True)
class QueryTable:
    """The queries of the episodes of one product and K: one entry per query, episode by episode.

    Each of many random tasks queries only a few of the instances, so a table of tasks by instances would be mostly
    empty.

    Attributes:
        seeds: Number of episodes.
        seed: The number of the query's episode, in increasing order, ``[asked]``.
        query: The number of the instance, ``[asked]``.
        truth: The number of its category, ``[asked]``.
        unit: The number of the unit (image or group) it comes from, ``[asked]``.
    """

    seeds: int
    seed: NDArray[np.intp]
    query: NDArray[np.intp]
    truth: NDArray[np.intp]
    unit: NDArray[np.intp]

    @property
    def units(self) -> int:
        """Number of units."""
        return int(self.unit.max()) + 1

    def episodes(self) -> list[slice]:
        """The slice of each episode's entries."""
        bounds = np.searchsorted(self.seed, np.arange(self.seeds + 1)).tolist()
        return [slice(*pair) for pair in itertools.pairwise(bounds)]


@dataclass(frozen=True, slots=True)
class QueryPredictions:
    """One classifier's predictions over the episodes of one product and K.

    Attributes:
        asked: The queries.
        predicted: Category numbers ``[asked]``; -1 where nothing was predicted.
        right: float64 ``[asked]``: 1 or 0, or the probability of being right where nothing was predicted.
        confidence: float64 ``[asked]``: the probability of the predicted category.
        losses: By name of the loss, that of each query, float64 ``[asked]``.
    """

    asked: QueryTable
    predicted: NDArray[np.intp]
    right: NDArray[np.float64]
    confidence: NDArray[np.float64]
    losses: dict[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resampled:
    """Statistics of each bootstrap draw, float64 ``[draws]`` each; NaN if a draw has nothing to measure."""

    accuracy: NDArray[np.float64]
    macro_recall: NDArray[np.float64]
    ece: NDArray[np.float64]
    per_category: NDArray[np.float64]
    losses: dict[str, NDArray[np.float64]]


def resample(
    predictions: Sequence[QueryPredictions], categories: int, key: str, count: int = DRAWS, *, beside: int = 0
) -> list[Resampled]:
    """Bootstrap several classifiers' statistics on the same draws of units.

    Each statistic is the mean, over the seeds, of its value on the drawn units of that seed's episode.

    Args:
        predictions: The classifiers' predictions for the same queries.
        categories: Number of categories.
        key: Seeds the draws.
        count: Number of draws.
        beside: Number of further classifiers, which are resampled elsewhere; with it, the statistics are the same to
            the last bit as if all were resampled here.

    Returns:
        The statistics, in the order of the classifiers; ``per_category`` is ``[draws, categories]``.
    """
    asked = predictions[0].asked
    width = asked.seeds * (2 * categories + CALIBRATION_BINS + max(len(each.losses) for each in predictions))
    sparse = asked.units * width * (len(predictions) + beside) > DENSE_CELLS
    tallies = [_tally(each, categories, sparse=sparse) for each in predictions]
    at_once = max(1, min(DRAWS_AT_ONCE, SUMS_AT_ONCE // width))
    chunks: list[list[Resampled]] = [[] for _ in predictions]
    for draw in draws(asked.units, key, count):
        # A few draws of one classifier at a time, because their sums grow with seeds and categories.
        for start in range(0, len(draw), at_once):
            units = draw[start : start + at_once]
            for own, tally, each in zip(chunks, tallies, predictions, strict=True):
                sums = (units @ tally).astype(np.float64)
                own.append(_statistics(sums.reshape(len(units), asked.seeds, -1), categories, list(each.losses)))
    return [_joined(own) for own in chunks]


def _joined(chunks: list[Resampled]) -> Resampled:
    return Resampled(
        accuracy=np.concatenate([chunk.accuracy for chunk in chunks]),
        macro_recall=np.concatenate([chunk.macro_recall for chunk in chunks]),
        ece=np.concatenate([chunk.ece for chunk in chunks]),
        per_category=np.concatenate([chunk.per_category for chunk in chunks]),
        losses={name: np.concatenate([chunk.losses[name] for chunk in chunks]) for name in chunks[0].losses},
    )


def _tally(predictions: QueryPredictions, categories: int, *, sparse: bool) -> Any:
    """Sums by unit, float32 ``[units, seeds * (2 categories + bins + losses)]``, dense or sparse.

    Along the last axis: number of queries by category, right ones by category, right minus confidence by bin, and each
    loss.
    """
    asked, right, confidence = predictions.asked, predictions.right, predictions.confidence
    start, losses = 2 * categories + CALIBRATION_BINS, predictions.losses
    width = start + len(losses)
    kinds = (asked.truth, categories + asked.truth, 2 * categories + calibration_bins(confidence), *range(start, width))
    place = np.concatenate([asked.seed * width + kind for kind in kinds])
    value = np.concatenate([np.ones(len(right)), right, right - confidence, *losses.values()])
    unit, shape = np.tile(asked.unit, len(kinds)), (asked.units, asked.seeds * width)
    if sparse:
        return csr_array((value, (unit, place)), shape=shape).astype(np.float32)
    tally = np.zeros(shape)
    np.add.at(tally, (unit, place), value)
    return tally.astype(np.float32)


def _statistics(sums: NDArray[np.float64], categories: int, losses: list[str]) -> Resampled:
    asked, right = sums[..., :categories], sums[..., categories : 2 * categories]
    start = 2 * categories + CALIBRATION_BINS
    total = asked.sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        recalls = right / asked
        occurs = asked > 0
        macro = np.where(occurs, recalls, 0.0).sum(axis=2) / occurs.sum(axis=2)
        return Resampled(
            accuracy=mean_over_seeds(right.sum(axis=2) / total),
            macro_recall=mean_over_seeds(macro),
            ece=mean_over_seeds(np.abs(sums[..., 2 * categories : start]).sum(axis=2) / total),
            per_category=np.stack([mean_over_seeds(recalls[..., c]) for c in range(categories)], axis=1),
            losses={name: mean_over_seeds(sums[..., start + n] / total) for n, name in enumerate(losses)},
        )


def mean_over_seeds(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the seeds whose episodes have a value, ``[draws, seeds]`` to ``[draws]``; NaN if none has."""
    there = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: NDArray[np.float64] = np.where(there, values, 0.0).sum(axis=1) / there.sum(axis=1)
    return means
