"""Metrics of one episode's predictions, as pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "CALIBRATION_BINS",
    "calibration_bins",
    "confusion_matrix",
    "corrected_calibration_error",
    "expected_calibration_error",
    "macro_recall",
    "precision_and_f1",
    "reliability",
]

CALIBRATION_BINS = 10


def macro_recall(truth: NDArray[np.intp], predicted: NDArray[np.intp]) -> float:
    """Mean over the categories in ``truth`` of the share of their instances that are predicted correctly.

    Args:
        truth: Category numbers ``[instances]``.
        predicted: Category numbers ``[instances]``.

    >>> macro_recall(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]))
    0.5
    """
    return float(np.mean([np.mean(predicted[truth == category] == category) for category in np.unique(truth)]))


def confusion_matrix(truth: NDArray[np.intp], predicted: NDArray[np.intp], categories: int) -> NDArray[np.int64]:
    """Counts int64 ``[categories, categories]``; rows are true categories, columns predicted ones."""
    matrix = np.zeros((categories, categories), dtype=np.int64)
    np.add.at(matrix, (truth, predicted), 1)
    return matrix


def precision_and_f1(confusion: Sequence[Sequence[int]]) -> list[tuple[float | None, float | None]]:
    """Precision and F1 of each category.

    Args:
        confusion: Counts ``[categories, categories]``; rows are true categories, columns predicted ones.

    Returns:
        By category, as shares: the precision, None if the category was never predicted, and F1, the harmonic mean of
        precision and recall, None if the category was neither there nor predicted.

    >>> precision_and_f1([[3, 1], [0, 0]])
    [(1.0, 0.8571428571428571), (0.0, 0.0)]
    """
    matrix = np.asarray(confusion)
    hits, truths, predictions = np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return [
        (
            int(hit) / int(predicted) if predicted else None,
            2 * int(hit) / int(true + predicted) if true + predicted else None,
        )
        for hit, true, predicted in zip(hits, truths, predictions, strict=True)
    ]


def calibration_bins(confidence: NDArray[np.float64]) -> NDArray[np.intp]:
    """The bin of each confidence: ten bins of equal width over [0, 1], each including its upper end.

    >>> calibration_bins(np.array([0.0, 0.1, 0.11, 1.0])).tolist()
    [0, 0, 1, 9]
    """
    bins: NDArray[np.intp] = np.ceil(confidence * CALIBRATION_BINS).astype(np.intp) - 1
    return bins.clip(0, CALIBRATION_BINS - 1)


def expected_calibration_error(confidence: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """The difference between confidence and accuracy, averaged over ten bins of confidence.

    It is biased upward in small samples.

    Args:
        confidence: The probability of the predicted category, ``[instances]``.
        right: 1 if the prediction is right, else 0, ``[instances]``.

    References:
        Guo et al.: "On Calibration of Modern Neural Networks", ICML 2017.

    >>> expected_calibration_error(np.array([0.9, 0.9]), np.array([1.0, 0.0]))
    0.4
    """
    gaps = np.bincount(calibration_bins(confidence), weights=right - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(right))


def corrected_calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.float64], unit: NDArray[np.intp]
) -> float:
    """The calibration error without what sampling adds.

    The square of a bin's sum of differences contains the square of each difference, which is above zero also where
    confidence is right on average. Products of the differences of two units are not, so that they give the bin's square
    without bias, if units are of the same size. A bin with one unit says nothing.

    Args:
        confidence: The probability of the predicted category, ``[instances]``.
        right: 1 if the prediction is right, else 0, ``[instances]``.
        unit: The number of the unit (image or group) each comes from, ``[instances]``.

    Returns:
        The error, at most :func:`expected_calibration_error`.

    References:
        Kumar, Liang, Ma: "Verified uncertainty calibration", NeurIPS 2019.

    >>> confidence, right = np.full(4, 0.75), np.array([1.0, 1.0, 1.0, 0.0])
    >>> corrected_calibration_error(confidence, right, np.arange(4))
    0.0
    >>> corrected_calibration_error(confidence, np.ones(4), np.arange(4))
    0.25
    """
    numbers, own = np.unique(unit, return_inverse=True)
    cell, cells = own * CALIBRATION_BINS + calibration_bins(confidence), len(numbers) * CALIBRATION_BINS
    gaps = np.bincount(cell, weights=right - confidence, minlength=cells).reshape(-1, CALIBRATION_BINS)
    units = (np.bincount(cell, minlength=cells).reshape(gaps.shape) > 0).sum(axis=0)
    of_pairs = np.maximum(gaps.sum(axis=0) ** 2 - (gaps**2).sum(axis=0), 0.0)
    return float(np.sqrt(of_pairs * units / np.maximum(units - 1, 1)).sum() / len(right))


def reliability(confidence: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[tuple[int, float, float], ...]:
    """For each of ten bins of confidence: the number of predictions, their mean confidence, and their share right.

    >>> reliability(np.array([0.95, 0.97]), np.array([1.0, 0.0]))[9]
    (2, 0.96, 0.5)
    """
    bins = calibration_bins(confidence)
    counts = np.bincount(bins, minlength=CALIBRATION_BINS)
    sums = (np.bincount(bins, weights=values, minlength=CALIBRATION_BINS) for values in (confidence, right))
    means = (values / np.maximum(counts, 1) for values in sums)
    return tuple(zip(counts.tolist(), *(each.tolist() for each in means), strict=True))
