"""Estimates: intervals that hold the truth as often as they say, where there are few seeds or images."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from flawshot.evaluation.estimates import (
    difference_parts,
    estimate_category,
    estimate_error,
    estimate_known,
    estimate_share,
    independent_answers,
)
from flawshot.evaluation.intervals import difference_interval
from flawshot.evaluation.metrics import corrected_calibration_error, expected_calibration_error
from flawshot.evaluation.scores import QueryPredictions, QueryTable, resample


def answers(rng, seeds, queries, *, by_seed, by_image, ease, of_image=2):
    """Answers whose chance to be right depends on the seed and on the image of two queries, or more."""
    unit = np.arange(queries) // of_image
    effects = rng.normal(0, by_seed, (seeds, 1)) + rng.normal(0, by_image, unit[-1] + 1)[unit]
    right = (ease + effects + rng.normal(0, 1, (seeds, queries)) > 0).astype(float).ravel()
    seed, query = np.repeat(np.arange(seeds), queries), np.tile(np.arange(queries), seeds)
    asked = QueryTable(seeds, seed, query, query % 2, unit[query])
    return QueryPredictions(asked, np.zeros(right.size, int), right, np.full(right.size, 0.65))


@pytest.mark.parametrize(
    ("seeds", "queries", "by_seed", "by_image", "ease"),
    [(5, 200, 0.6, 0.2, 0.5), (5, 20, 0.1, 1.0, 1.5), (1, 20, 0.0, 1.0, 1.5), (15, 20, 0.1, 1.0, 2.0)],
    ids=["few seeds decide", "few images decide", "one seed", "nearly all right"],
)
def test_accuracy_intervals_hold_the_truth_as_often_as_they_say(seeds, queries, by_seed, by_image, ease):
    """Percentiles of a bootstrap over seeds and images hold it in .81 of the first data sets, and .86 of the last."""
    truth = norm.cdf(ease / (1 + by_seed**2 + by_image**2) ** 0.5)
    rng, held = np.random.default_rng(seeds), []
    for number in range(400):
        made = answers(rng, seeds, queries, by_seed=by_seed, by_image=by_image, ease=ease)
        (values,) = resample([made], 2, str(number), 300)
        per_seed = made.right.reshape(seeds, -1).mean(axis=1).tolist()
        low, high = estimate_share(per_seed, values.accuracy, queries, queries // 2).ci95
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.925
    assert np.mean(held) < 0.995  # not by being needlessly wide


def test_few_images_of_many_queries_are_no_proof():
    """With as many independent queries as there are, intervals hold the truth in .88 of these data sets."""
    truth = norm.cdf(2.4 / (1 + 1.5**2) ** 0.5)
    rng, held = np.random.default_rng(4), []
    for number in range(400):
        made = answers(rng, 5, 40, by_seed=0, by_image=1.5, ease=2.4, of_image=8)
        (values,) = resample([made], 2, str(number), 300)
        per_seed = made.right.reshape(5, -1).mean(axis=1).tolist()
        low, high = estimate_share(per_seed, values.accuracy, 40, 5).ci95
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.925


def rarely_wrong(rng, chance):
    """Fifteen seeds' answers to fifty queries: all right but for a few bad seeds, wrong on up to three in ten."""
    bad = 0.3 * rng.uniform(size=(15, 1)) * (rng.uniform(size=(15, 1)) < chance)
    right = (rng.uniform(size=(15, 50)) >= bad).astype(float).ravel()
    seed, query = np.repeat(np.arange(15), 50), np.tile(np.arange(50), 15)
    asked = QueryTable(15, seed, query, np.zeros(750, int), query)
    return QueryPredictions(asked, np.zeros(750, int), right, np.full(750, 0.98))


def test_differences_and_calibration_errors_hold_the_truth_where_a_few_bad_seeds_decide():
    """With one more answer of all 750, differences hold it in .89; without one, calibration errors do in .87."""
    rng, differences, errors = np.random.default_rng(5), [], []
    several = [rarely_wrong(rng, 0.1) for _ in range(2000)]
    gap = np.mean([1 - each.right.mean() for each in several])
    truth = np.mean([calibration_errors(each)[0] for each in several])
    for number in range(300):
        pair = [rarely_wrong(rng, chance) for chance in (0.1, 0)]
        a, b = resample(pair, 1, str(number), 200)
        gaps = np.subtract(*(each.right.reshape(15, -1).mean(axis=1) for each in pair[::-1]))
        if gaps.any():
            parts = difference_parts(gaps.tolist(), b.accuracy - a.accuracy, 50)
            low, high = difference_interval(float(gaps.mean()), parts, independent_answers(50, 15))
            differences.append(low <= gap <= high)
        low, high = estimate_error(*calibration_errors(pair[0]), a.ece, 50, 50).ci95
        errors.append(low <= truth <= high)
    assert np.mean(differences) >= 0.925
    assert np.mean(errors) >= 0.925


def calibration_errors(made):
    """Of each seed, and without what sampling adds."""
    own = [(made.confidence[at], made.right[at], made.asked.unit[at]) for at in made.asked.episodes()]
    plain = [expected_calibration_error(confidence, right) for confidence, right, _ in own]
    return plain, [corrected_calibration_error(*each) for each in own]


def test_a_calibration_error_lies_within_its_interval_however_small():
    """Confidence is as good as it can be, so that the error is due to sampling alone."""
    made = answers(np.random.default_rng(0), 5, 100, by_seed=0, by_image=0, ease=norm.ppf(0.65))
    (values,) = resample([made], 2, "key")
    errors = [abs(made.right[at].mean() - 0.65) for at in made.asked.episodes()]
    _, corrected = calibration_errors(made)
    score = estimate_error(errors, corrected, values.ece, 100, 50)
    assert score.mean == pytest.approx(np.mean(errors))
    assert values.ece.mean() > score.mean  # resampling inflates it
    assert score.ci95[0] == 0 < score.mean < score.ci95[1]


def test_a_category_without_queries_has_no_score():
    made = answers(np.random.default_rng(0), 2, 20, by_seed=0, by_image=0, ease=0)
    score = estimate_category(made, 2, np.full(10, np.nan))
    assert (score.mean, score.ci95, score.n_query) == (None, None, 0)


def test_what_is_known_has_no_width():
    score = estimate_known([0.25, 0.25])
    assert (score.mean, score.std, score.ci95) == (0.25, 0.0, (0.25, 0.25))


def test_a_product_on_which_both_are_always_right_alike_leaves_a_mean_what_wilsons_bound_leaves_open():
    """Not the variance of a unit of which nothing is known, which would hide what the other products show."""
    (part,) = difference_parts([0.0] * 5, np.zeros(100), 21)
    assert norm.ppf(0.975) * part.variance**0.5 == pytest.approx(1 - proportion_low(21), abs=1e-9)


def proportion_low(n):
    """Wilson's lower bound for n of n right: both sides of (p - 1)² = z² p (1 - p) / n."""
    z = norm.ppf(0.975)
    return n / (n + z**2)
