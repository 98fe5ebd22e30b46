"""Estimates: intervals that hold the truth as often as they say, where there are few seeds or images."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from flawshot.evaluation.estimates import estimate_category, estimate_error, estimate_known, estimate_share
from flawshot.evaluation.scores import QueryPredictions, QueryTable, resample


def answers(rng, seeds, queries, *, by_seed, by_image, ease):
    """Answers whose chance to be right depends on the seed and on the image of two queries."""
    unit = np.arange(queries) // 2
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


def test_a_calibration_error_lies_within_its_interval_however_small():
    """Confidence is as good as it can be, so that the error is due to sampling alone."""
    made = answers(np.random.default_rng(0), 5, 100, by_seed=0, by_image=0, ease=norm.ppf(0.65))
    (values,) = resample([made], 2, "key")
    errors = [abs(made.right[at].mean() - 0.65) for at in made.asked.episodes()]
    score = estimate_error(errors, values.ece, 50)
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
