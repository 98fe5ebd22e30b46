"""Resampled scores: the same numbers however the sums are held."""

from __future__ import annotations

import tracemalloc
from dataclasses import fields

import numpy as np

from flawshot.evaluation import scores
from flawshot.evaluation.scores import QueryPredictions, QueryTable, resample


def test_sparse_sums_and_few_draws_at_a_time_give_the_same_scores(monkeypatch):
    rng = np.random.default_rng(0)
    seeds, queries, categories = 12, 40, 5
    of_query = rng.integers(0, 30, queries)
    _, units = np.unique(of_query, return_inverse=True)
    truth = rng.integers(0, categories, queries)
    chosen = rng.random((seeds, queries)) < 0.3
    chosen[0] = True
    seed, query = np.nonzero(chosen)
    asked = QueryTable(seeds, seed, query, truth[query], units[query])
    right = (rng.random(len(seed)) < 0.6).astype(float)
    losses = {"a": rng.random(len(seed)), "b": 16 * rng.random(len(seed))}
    made = [
        QueryPredictions(asked, np.zeros(len(seed), int), each, rng.random(len(seed)), losses)
        for each in (right, 1 - right)
    ]
    dense = resample(made, categories, "key")
    width = seeds * (2 * categories + 10 + 2)
    with monkeypatch.context() as limited:
        limited.setattr(scores, "DENSE_CELLS", 1.5 * asked.units * width)  # dense alone, sparse together
        for number, one in enumerate(resample(made, categories, "key")):
            (other,) = resample(made[number : number + 1], categories, "key", beside=1)
            for name in ("accuracy", "macro_recall", "ece", "per_category"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
            assert all((one.losses[name] == other.losses[name]).all() for name in losses)
    monkeypatch.setattr(scores, "DENSE_CELLS", 0)
    monkeypatch.setattr(scores, "SUMS_AT_ONCE", 5000)
    for a, b in zip(dense, resample(made, categories, "key"), strict=True):
        for field in fields(a):
            one, other = (getattr(each, field.name) for each in (a, b))
            if field.name == "losses":
                assert list(one) == list(other) == list(losses)
                one, other = (list(each.values()) for each in (one, other))
            np.testing.assert_allclose(one, other, rtol=1e-5)


def test_memory_follows_the_queries_asked_and_not_tasks_by_instances():
    """A thousand tasks over ten thousand instances, each asking ten of them."""
    seeds, queries, each = 1000, 10_000, 10
    rng = np.random.default_rng(0)
    seed, query = np.repeat(np.arange(seeds), each), rng.integers(0, queries, seeds * each)
    asked = QueryTable(seeds, seed, query, query % 5, query)
    right = rng.integers(0, 2, len(seed)).astype(float)
    made = QueryPredictions(asked, np.zeros(len(seed), int), right, np.full(len(seed), 0.5))
    tracemalloc.start()
    try:
        resample([made], 5, "key")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200 * 2**20
