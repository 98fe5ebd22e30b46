"""Resampled scores: the same numbers however the sums are held."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from flawshot.evaluation import scores
from flawshot.evaluation.scores import Predictions, resample


def test_sparse_sums_and_few_draws_at_a_time_give_the_same_scores(monkeypatch):
    rng = np.random.default_rng(0)
    seeds, queries, categories = 12, 40, 5
    units = rng.integers(0, 30, queries)
    _, units = np.unique(units, return_inverse=True)
    asked = rng.random((seeds, queries)) < 0.3
    asked[:, 0] = True
    right = (rng.random((seeds, queries)) < 0.6).astype(float)
    truth = rng.integers(0, categories, queries)
    made = [
        Predictions(asked, truth, np.zeros((seeds, queries), int), each, rng.random((seeds, queries)), units.max() + 1)
        for each in (right, 1 - right)
    ]
    dense = resample(made, units, categories, "key")
    monkeypatch.setattr(scores, "DENSE_CELLS", 0)
    monkeypatch.setattr(scores, "SUMS_AT_ONCE", 5000)
    for a, b in zip(dense, resample(made, units, categories, "key"), strict=True):
        for field in fields(a):
            np.testing.assert_allclose(getattr(a, field.name), getattr(b, field.name), rtol=1e-5)
