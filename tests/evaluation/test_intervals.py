"""Intervals: against scipy, and against what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binomtest, bootstrap, chi2, gamma, t, ttest_ind

from flawshot.evaluation.intervals import (
    Part,
    combined,
    count_interval,
    difference_interval,
    draws,
    error_interval,
    mean_parts,
    poisson,
    share_interval,
    variance_parts,
    wilson,
)
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
    units = np.concatenate(list(draws(40, "key", 3000)))
    assert units.shape == (3000, 40)
    assert (units.sum(axis=1) == 40).all()
    np.testing.assert_array_equal(np.concatenate(list(draws(40, "key", 3000))), units)
    assert not np.array_equal(np.concatenate(list(draws(40, "other", 3000))), units)
    # Each unit is drawn once a draw on average, with the variance of a binomial.
    assert np.abs(units.mean(axis=0) - 1).max() < 0.1
    assert units.var() == pytest.approx(1 - 1 / 40, abs=0.05)


def test_chunks_change_nothing_that_is_drawn_within_them(monkeypatch):
    monkeypatch.setattr("flawshot.evaluation.intervals.CHUNK_CELLS", 40 * 100)
    assert [len(chunk) for chunk in draws(40, "key", 250)] == [100, 100, 50]


def test_freedom_is_welchs():
    """Of a difference of two means, as scipy computes it for Welch's test."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 3, 5), rng.normal(0, 1, 30)
    welch = ttest_ind(a, b, equal_var=False)
    total = combined([Part(np.var(each, ddof=1) / len(each), len(each) - 1) for each in (a, b)])
    assert total.freedom == pytest.approx(welch.df)
    assert total.variance == pytest.approx(((a.mean() - b.mean()) / welch.statistic) ** 2)
    assert combined([Part(2.0, math.inf), Part(0.0, 0)]) == Part(2.0, math.inf)


def test_parts_are_the_variances_of_seeds_and_of_units_each_for_its_number():
    """Answers that differ by seed alone, and by unit alone: what the mean of as many independent ones varies by."""
    rng = np.random.default_rng(1)
    units = rng.normal(0.5, 0.1, 12)
    values = np.concatenate([chunk @ units / 12 for chunk in draws(12, "key", 10_000)])
    (seeds, own) = variance_parts([0.4, 0.6, 0.8], values, 12, 0.25)
    assert seeds == pytest.approx((0.04 / 3, 2))
    assert own == (pytest.approx(np.var(units, ddof=1) / 12, rel=0.05), 11)
    assert variance_parts([0.5], values, 12, 0.25)[0] == (0, 0)
    assert variance_parts([0.5, 0.5], np.full(9, 0.5), 12, 0.25) == [Part(0.25 / 12, math.inf)]
    assert variance_parts([0.4, 0.6], np.full(9, 0.5), 1, 0.25) == [Part(pytest.approx(0.01), 1), Part(0.25, math.inf)]
    gaps = np.append(values, np.nan)  # a draw without any query counts for nothing
    assert variance_parts([0.5], gaps, 12, 0.25)[1] == own


def test_parts_of_a_mean_are_those_of_independent_scores():
    total = combined(mean_parts([[Part(0.04, 4)], [Part(0.01, 9), Part(0.03, 9)]]))
    assert total.variance == pytest.approx(0.08 / 4)


@pytest.mark.parametrize(("mean", "variance", "freedom"), [(0.9, 0.004, 19), (0.02, 0.0001, 4), (0.5, 0.2, 1)])
def test_a_shares_interval_is_what_a_score_test_does_not_reject(mean, variance, freedom):
    low, high = share_interval(mean, [Part(variance, freedom)], 20)
    quantile, items = t.ppf(0.975, freedom), mean * (1 - mean) / variance

    def rejected(p):
        return (mean - p) ** 2 - quantile**2 * p * (1 - p) / items

    assert (low, high) == pytest.approx((brentq(rejected, 0, mean), brentq(rejected, mean, 1)))
    assert 0 <= low < mean < high <= 1


def test_a_share_has_no_more_items_than_it_may_and_wilsons_at_its_ends():
    parts = [Part(1e-6, 4)]
    assert share_interval(0.9, parts, 20, most=40) == pytest.approx(wilson(36, 40, t.ppf(0.975, 4)))
    assert share_interval(1.0, parts, 20) == wilson(20, 20)
    assert share_interval(0.0, parts, 20) == wilson(0, 20)


@pytest.mark.parametrize(("mean", "freedom"), [(0.1, 4), (-0.3, 9), (0.99, 30)])
def test_a_differences_interval_is_students(mean, freedom):
    low, high = difference_interval(mean, [Part(0.01, freedom)], 1e9)
    expected = t.interval(0.95, freedom, mean, 0.1)
    assert (low, high) == pytest.approx((max(expected[0], -1), min(expected[1], 1)))
    wider = difference_interval(mean, [Part(0.01, freedom)], 10)
    assert mean - wider[0] == pytest.approx((mean - expected[0]) * 2**0.5)


def test_a_difference_of_all_is_bounded_by_the_number_of_answers():
    low, high = difference_interval(1.0, [Part(0.1, 4)], 20)
    assert (low, high) == pytest.approx((2 * wilson(20, 20)[0] - 1, 1.0))
    assert difference_interval(-1.0, [Part(0.1, 4)], 20) == pytest.approx((-high, -low))


def test_an_errors_lower_end_is_that_of_the_corrected_error_and_its_upper_end_has_one_more_answer():
    low, high = error_interval(0.3, 0.26, [Part(0.0025, 9)], 20)
    assert low == pytest.approx(t.interval(0.95, 9, 0.26, 0.05)[0])
    assert high == pytest.approx(t.interval(0.95, 9, 0.3, 0.05 * 2**0.5)[1])
    assert error_interval(0.02, 0.0, [Part(0.0025, 9)], 20)[0] == 0
    assert error_interval(0.98, 0.9, [Part(0.0025, 9)], 20)[1] == 1


@pytest.mark.parametrize(("mean", "variance", "freedom"), [(0.5, 0.025, math.inf), (2.0, 0.3, 6), (0.05, 0.0025, 19)])
def test_a_counts_interval_is_fays_and_feuers_with_students_quantile(mean, variance, freedom):
    """Gamma quantiles with the mean and variance, and for the upper end one more event."""
    wide = variance * ((t.ppf(0.975, freedom) if freedom < math.inf else 1.959963984540054) / 1.959963984540054) ** 2
    weight = wide / mean
    low = gamma.ppf(0.025, mean**2 / wide, scale=weight)
    high = gamma.ppf(0.975, (mean + weight) ** 2 / (wide + weight**2), scale=weight)
    assert count_interval(mean, [Part(variance, freedom)], 20) == pytest.approx((low, high))
    assert low < mean < high


def test_a_count_of_none_is_bounded_by_the_number_of_units():
    assert count_interval(0.0, [], 20) == poisson(0.0, 20)


def predictions(right, units):
    """What is right, ``[seeds, queries]``, of one category, every query asked in every seed."""
    right = np.asarray(right, dtype=float)
    seed, query = np.nonzero(np.ones(right.shape))
    asked = QueryTable(len(right), seed, query, np.zeros(right.size, int), np.asarray(units)[query])
    return QueryPredictions(asked, (1 - right).astype(int).ravel(), right.ravel(), np.full(right.size, 0.55))


def test_with_single_units_it_is_the_ordinary_bootstrap():
    """The standard error of the mean, as scipy's bootstrap finds it."""
    rng = np.random.default_rng(0)
    right = (rng.uniform(size=(1, 60)) < 0.7).astype(float)
    (ours,) = resample([predictions(right, np.arange(60))], 2, "key")
    expected = bootstrap((right[0],), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(1))
    assert ours.accuracy.std() == pytest.approx(expected.standard_error, rel=0.03)


def test_instances_of_a_unit_stay_together():
    """Ten units of twenty identical instances are worth ten, not two hundred."""
    right = np.repeat(np.arange(10) % 2, 20)[None].astype(float)
    (apart,) = resample([predictions(right, np.arange(200))], 2, "key")
    (together,) = resample([predictions(right, np.repeat(np.arange(10), 20))], 2, "key")
    assert together.accuracy.std() == pytest.approx(0.5 / 10**0.5, rel=0.05)
    assert apart.accuracy.std() == pytest.approx(0.5 / 200**0.5, rel=0.05)


def test_seeds_are_not_drawn():
    """Their variance is computed, not resampled."""
    right = np.zeros((4, 30))
    right[:2] = 1  # two seeds all right, two all wrong
    (ours,) = resample([predictions(right, np.arange(30))], 2, "key")
    assert ours.accuracy == pytest.approx(0.5)


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
    from flawshot.evaluation.metrics import expected_calibration_error, macro_recall

    rng = np.random.default_rng(5)
    truth = rng.integers(3, size=40)
    predicted = rng.integers(3, size=(4, 40))
    asked = rng.uniform(size=(4, 40)) < 0.8
    confidence = rng.uniform(size=(4, 40))
    seed, query = np.nonzero(asked)
    of_query = (each[seed, query] for each in (predicted, (predicted == truth).astype(float), confidence))
    made = QueryPredictions(QueryTable(4, seed, query, truth[query], query % 13), *of_query)
    once = np.ones((1, 13), np.float32)
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
