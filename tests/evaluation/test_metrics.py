"""Metrics against scikit-learn, or a plain statement."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

import plain_intervals as plain
from flawshot.evaluation.metrics import (
    confusion_matrix,
    corrected_calibration_error,
    expected_calibration_error,
    macro_recall,
)


@pytest.mark.parametrize("seed", range(20))
def test_recall_and_confusion_are_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(5, size=(2, int(rng.integers(1, 40))))
    with np.errstate(all="ignore"):
        expected = reference.recall_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0)
    assert macro_recall(truth, predicted) == pytest.approx(expected)
    np.testing.assert_array_equal(
        confusion_matrix(truth, predicted, 5), reference.confusion_matrix(truth, predicted, labels=range(5))
    )


@pytest.mark.parametrize("seed", range(10))
def test_calibration_error_is_that_of_its_definition(seed):
    rng = np.random.default_rng(seed)
    confidence = np.concatenate([rng.uniform(size=50), [0.0, 0.1, 0.5, 1.0]])
    right = rng.integers(2, size=54).astype(float)
    expected = 0.0
    for lower in range(10):
        low, high = lower / 10, (lower + 1) / 10
        inside = (confidence > low) & (confidence <= high) if lower else confidence <= high
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert expected_calibration_error(confidence, right) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(10))
def test_corrected_calibration_error_is_that_of_pairs_of_units(seed):
    rng = np.random.default_rng(seed)
    confidence, right, unit = rng.uniform(size=40), rng.integers(2, size=40).astype(float), rng.integers(15, size=40)
    corrected = corrected_calibration_error(confidence, right, unit)
    assert corrected == pytest.approx(plain.corrected_error(confidence, right, unit))
    assert corrected <= expected_calibration_error(confidence, right)
    assert corrected_calibration_error(confidence, right, np.zeros(40, int)) == 0  # one unit says nothing


@pytest.mark.parametrize(("accuracy", "truth"), [(0.75, 0.0), (0.5, 0.25), (1.0, 0.25)])
def test_corrected_calibration_error_is_near_the_truth(accuracy, truth):
    """Twenty queries of ten images, all with the same confidence."""
    rng, errors, corrected = np.random.default_rng(0), [], []
    confidence, unit = np.full(20, 0.75), np.arange(20) // 2
    for _ in range(400):
        right = (rng.uniform(size=20) < accuracy).astype(float)
        errors.append(expected_calibration_error(confidence, right))
        corrected.append(corrected_calibration_error(confidence, right, unit))
    assert abs(np.mean(corrected) - truth) < 0.04
    if not truth:  # all of the error is sampling
        assert np.mean(corrected) < 0.6 * np.mean(errors)
