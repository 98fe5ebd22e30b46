"""Intervals: against scipy, and against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap, chi2

from flawshot.evaluation.intervals import draws, percentile_interval, poisson, wilson
from flawshot.evaluation.scores import QueryPredictions, QueryTable, resample


@pytest.mark.parametrize(("right", "total"), [(0, 1), (1, 1), (0, 21), (21, 21), (7, 20), (199, 200)])
def test_wilson_is_scipys(right, total):
    expected = binomtest(right, total).proportion_ci(0.95, method="wilson")
    assert wilson(right, total) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("total", "units"), [(0, 1), (0, 12), (1, 1), (7, 20)])
def test_poissons_interval_is_garwoods(total, units):
    expected = (chi2.ppf(0.025, 2 * total) / 2 if total else 0.0, chi2.ppf(0.975, 2 * total + 2) / 2)
    assert poisson(total / units, units) == pytest.approx(np.divide(expected, units), rel=1e-9)


def test_draws_are_with_replacement_the_same_for_a_key_and_even():
    first = list(draws(5, 40, "key", 3000))
    seeds, units = np.concatenate([d.seeds for d in first]), np.concatenate([d.units for d in first])
    assert seeds.shape == (3000, 5)
    assert units.shape == (3000, 40)
    assert (seeds.sum(axis=1) == 5).all()
    assert (units.sum(axis=1) == 40).all()
    again = np.concatenate([d.units for d in draws(5, 40, "key", 3000)])
    np.testing.assert_array_equal(again, units)
    assert not np.array_equal(np.concatenate([d.units for d in draws(5, 40, "other", 3000)]), units)
    # Each unit is drawn once a draw on average, with the variance of a binomial.
    assert np.abs(units.mean(axis=0) - 1).max() < 0.1
    assert units.var() == pytest.approx(1 - 1 / 40, abs=0.05)


def test_chunks_change_nothing_that_is_drawn_within_them(monkeypatch):
    monkeypatch.setattr("flawshot.evaluation.intervals.CHUNK_CELLS", 45 * 100)
    assert sum(len(d.seeds) for d in draws(5, 40, "key", 250)) == 250


def predictions(right, units):
    """What is right, ``[seeds, queries]``, of one category, every query asked in every seed."""
    right = np.asarray(right, dtype=float)
    seed, query = np.nonzero(np.ones(right.shape))
    asked = QueryTable(len(right), seed, query, np.zeros(right.size, int), np.asarray(units)[query])
    return QueryPredictions(asked, (1 - right).astype(int).ravel(), right.ravel(), np.full(right.size, 0.55))


def test_with_one_seed_and_single_units_it_is_the_ordinary_bootstrap():
    """Percentiles of the resampled mean, as scipy computes them."""
    rng = np.random.default_rng(0)
    right = (rng.uniform(size=(1, 60)) < 0.7).astype(float)
    (ours,) = resample([predictions(right, np.arange(60))], 2, "key")
    expected = bootstrap(
        (right[0],), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert percentile_interval(ours.accuracy) == pytest.approx((expected.low, expected.high), abs=0.02)


def test_instances_of_a_unit_stay_together():
    """Ten units of twenty identical instances are worth ten, not two hundred."""
    right = np.repeat(np.arange(10) % 2, 20)[None].astype(float)
    (apart,) = resample([predictions(right, np.arange(200))], 2, "key")
    (together,) = resample([predictions(right, np.repeat(np.arange(10), 20))], 2, "key")
    assert together.accuracy.std() == pytest.approx(0.5 / 10**0.5, rel=0.05)
    assert apart.accuracy.std() == pytest.approx(0.5 / 200**0.5, rel=0.05)


def test_seeds_are_drawn_too():
    right = np.zeros((4, 30))
    right[:2] = 1  # two seeds all right, two all wrong: only seeds vary
    (ours,) = resample([predictions(right, np.arange(30))], 2, "key")
    assert ours.accuracy.std() == pytest.approx(0.5 / 4**0.5, rel=0.05)


def test_classifiers_meet_the_same_draws():
    rng = np.random.default_rng(3)
    right = (rng.uniform(size=(3, 50)) < 0.6).astype(float)
    a, b = resample([predictions(right, np.arange(50)), predictions(right, np.arange(50))], 2, "key")
    np.testing.assert_array_equal(a.accuracy, b.accuracy)
    better = right.copy()
    better[:, :5] = 1
    a, b = resample([predictions(right, np.arange(50)), predictions(better, np.arange(50))], 2, "key")
    assert (b.accuracy >= a.accuracy - 1e-6).all()


def test_every_statistic_of_the_draw_that_takes_all_once_is_the_plain_one(monkeypatch):
    """A draw with each seed and unit once must give back what the metrics give."""
    from flawshot.evaluation import scores
    from flawshot.evaluation.intervals import Draw
    from flawshot.evaluation.metrics import expected_calibration_error, macro_recall

    rng = np.random.default_rng(5)
    truth = rng.integers(3, size=40)
    predicted = rng.integers(3, size=(4, 40))
    asked = rng.uniform(size=(4, 40)) < 0.8
    confidence = rng.uniform(size=(4, 40))
    seed, query = np.nonzero(asked)
    of_query = (each[seed, query] for each in (predicted, (predicted == truth).astype(float), confidence))
    made = QueryPredictions(QueryTable(4, seed, query, truth[query], query % 13), *of_query)
    once = Draw(np.ones((1, 4), np.float32), np.ones((1, 13), np.float32))
    monkeypatch.setattr(scores, "draws", lambda *_: iter([once]))
    (ours,) = resample([made], 3, "key")
    per_seed = [(truth[a], p[a], c[a]) for a, p, c in zip(asked, predicted, confidence, strict=True)]
    assert ours.accuracy[0] == pytest.approx(np.mean([(t == p).mean() for t, p, _ in per_seed]), abs=1e-6)
    assert ours.macro_recall[0] == pytest.approx(np.mean([macro_recall(t, p) for t, p, _ in per_seed]), abs=1e-6)
    errors = [expected_calibration_error(c, (t == p).astype(float)) for t, p, c in per_seed]
    assert ours.ece[0] == pytest.approx(np.mean(errors), abs=1e-6)
    for category in range(3):
        recalls = [(p[t == category] == category).mean() for t, p, _ in per_seed if (t == category).any()]
        assert ours.per_category[0, category] == pytest.approx(np.mean(recalls), abs=1e-6)
