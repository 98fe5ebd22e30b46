"""Scores of one classifier at one product and K: its predictions, and what resampling makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array, hstack

from flawshot.evaluation.intervals import draws
from flawshot.evaluation.metrics import CALIBRATION_BINS, calibration_bins

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Predictions", "Resampled", "resample"]

DRAWS_AT_ONCE = 500
# Fewer draws at a time where a draw's sums are many, as those of hundreds of random tasks are.
SUMS_AT_ONCE = 2**24
# Above this many cells tallies are kept sparse: of many random tasks, each asks of few units.
DENSE_CELLS = 2**26


@dataclass(frozen=True, slots=True)
class Predictions:
    """One classifier's predictions over the episodes of one product and K.

    Rows are seeds, columns the distinct query instances over all seeds.

    Attributes:
        asked: bool ``[seeds, queries]``: whether the instance is a query of the seed's episode.
        truth: Category numbers ``[queries]``.
        predicted: Category numbers ``[seeds, queries]``; -1 where not asked, or where nothing was predicted.
        right: float64 ``[seeds, queries]``: 1 or 0, or the chance of being right where nothing was predicted.
        confidence: float64 ``[seeds, queries]``: the probability given to the prediction.
        units: How many units (images or groups) the queries come from.
    """

    asked: NDArray[np.bool_]
    truth: NDArray[np.intp]
    predicted: NDArray[np.intp]
    right: NDArray[np.float64]
    confidence: NDArray[np.float64]
    units: int

    @property
    def varies(self) -> bool:
        """Whether there is anything to resample: several seeds, or several units."""
        return len(self.asked) > 1 or self.units > 1


@dataclass(frozen=True, slots=True)
class Resampled:
    """Statistics of each bootstrap draw, float64 ``[draws]`` each; NaN where a draw held nothing to measure."""

    accuracy: NDArray[np.float64]
    macro_recall: NDArray[np.float64]
    ece: NDArray[np.float64]
    per_category: NDArray[np.float64]


def resample(predictions: Sequence[Predictions], units: NDArray[np.intp], categories: int, key: str) -> list[Resampled]:
    """Bootstrap several classifiers' statistics on the same draws of seeds and units.

    Each statistic is the mean over the drawn seeds of its value in that seed's episode, over the drawn units.

    Args:
        predictions: The classifiers' predictions on the same queries.
        units: The unit (image or group) of each query, numbers from 0, ``[queries]``.
        categories: How many categories there are.
        key: What seeds the draws.

    Returns:
        The statistics, in the classifiers' order; ``per_category`` is ``[draws, categories]``.
    """
    seeds = len(predictions[0].asked)
    columns = _columns(predictions, units, categories)
    at_once = max(1, min(DRAWS_AT_ONCE, SUMS_AT_ONCE // columns.shape[1]))
    chunks: list[list[Resampled]] = [[] for _ in predictions]
    for draw in draws(seeds, columns.shape[0], key):
        # A few draws at a time, for their sums grow with seeds, categories and classifiers.
        for start in range(0, len(draw.units), at_once):
            part = slice(start, start + at_once)
            sums = (draw.units[part] @ columns).astype(np.float64)
            weights = draw.seeds[part].astype(np.float64)
            for own, each in zip(chunks, np.split(sums, len(predictions), axis=1), strict=True):
                own.append(_statistics(each.reshape(len(weights), seeds, -1), weights, categories))
    return [_joined(own) for own in chunks]


def _joined(chunks: list[Resampled]) -> Resampled:
    return Resampled(
        accuracy=np.concatenate([chunk.accuracy for chunk in chunks]),
        macro_recall=np.concatenate([chunk.macro_recall for chunk in chunks]),
        ece=np.concatenate([chunk.ece for chunk in chunks]),
        per_category=np.concatenate([chunk.per_category for chunk in chunks]),
    )


def _columns(predictions: Sequence[Predictions], units: NDArray[np.intp], categories: int) -> Any:
    """Sums by unit, float32 ``[units, classifiers * seeds * (2 categories + bins)]``, as an array or sparse.

    Along the last axis: queries asked by category, queries right by category, and right minus confidence by bin.
    """
    rows, seeds = int(units.max()) + 1, len(predictions[0].asked)
    width = 2 * categories + CALIBRATION_BINS
    tallies: list[Any] = []
    sparse = rows * seeds * width * len(predictions) > DENSE_CELLS
    for each in predictions:
        seed, query = np.nonzero(each.asked)
        truth = each.truth[query]
        right, confidence = each.right[seed, query], each.confidence[seed, query]
        kinds = (truth, categories + truth, 2 * categories + calibration_bins(confidence))
        place = np.concatenate([seed * width + kind for kind in kinds])
        value = np.concatenate([np.ones(len(seed)), right, right - confidence])
        unit = np.tile(units[query], len(kinds))
        if sparse:
            tallies.append(csr_array((value, (unit, place)), shape=(rows, seeds * width)).astype(np.float32))
        else:
            tally = np.zeros((rows, seeds * width))
            np.add.at(tally, (unit, place), value)
            tallies.append(tally.astype(np.float32))
    return hstack(tallies, format="csr") if sparse else np.concatenate(tallies, axis=1)


def _statistics(sums: NDArray[np.float64], weights: NDArray[np.float64], categories: int) -> Resampled:
    asked, right = sums[..., :categories], sums[..., categories : 2 * categories]
    total = asked.sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        recalls = right / asked
        occurs = asked > 0
        macro = np.where(occurs, recalls, 0.0).sum(axis=2) / occurs.sum(axis=2)
        return Resampled(
            accuracy=_over_seeds(right.sum(axis=2) / total, weights),
            macro_recall=_over_seeds(macro, weights),
            ece=_over_seeds(np.abs(sums[..., 2 * categories :]).sum(axis=2) / total, weights),
            per_category=np.stack([_over_seeds(recalls[..., c], weights) for c in range(categories)], axis=1),
        )


def _over_seeds(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted mean over seeds of the episodes that have a value, ``[draws, seeds]`` to ``[draws]``."""
    there = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: NDArray[np.float64] = (np.where(there, values, 0.0) * weights).sum(axis=1) / (there * weights).sum(
            axis=1
        )
    return means
