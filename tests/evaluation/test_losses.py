"""Brier score and log loss against scikit-learn, and their intervals against a plain statement."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

import plain_intervals as plain
from flawshot import evaluate, make_classifier, sample_episodes
from flawshot.evaluation.intervals import wilson
from flawshot.evaluation.losses import (
    LEAST_PROBABILITY,
    WORST,
    Loss,
    brier_scores,
    estimate_loss,
    estimate_mean_loss,
    log_losses,
)
from flawshot.evaluation.scores import QueryPredictions, QueryTable, resample

IMAGES = [(f"{p}/{c}{n}", [c] * (1 + n % 3)) for p in "pq" for c in ("dent", "scratch", "stain") for n in range(9)]
NAMES = ("prototype", "knn")
# Bounds from other draws differ by this share of the interval's width.
SLACK = 0.03


def forecasts(seed, categories=4):
    """Probabilities float32, some of them 0 and 1, and true categories."""
    rng = np.random.default_rng(seed)
    given = rng.dirichlet(np.full(categories, 0.3), 60).astype(np.float32)
    given[:2] = np.eye(categories, dtype=np.float32)[:2]
    return given, rng.integers(0, categories, 60)


@pytest.mark.parametrize("seed", range(10))
def test_log_loss_is_scikit_learns(seed):
    given, truth = forecasts(seed)
    floored = np.maximum(given.astype(np.float64), LEAST_PROBABILITY)
    expected = reference.log_loss(truth, floored / floored.sum(axis=1, keepdims=True), labels=range(4))
    assert log_losses(given, truth).mean() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("categories", [2, 4])
@pytest.mark.parametrize("seed", range(5))
def test_brier_score_is_scikit_learns(seed, categories):
    given, truth = forecasts(seed, categories)
    if categories == 2:  # its classic form looks at one of the two
        expected = 2 * reference.brier_score_loss(truth, given[:, 1])
    elif "scale_by_half" not in inspect.signature(reference.brier_score_loss).parameters:
        pytest.skip("this scikit-learn has no Brier score of several categories")
    else:
        expected = reference.brier_score_loss(truth, given, labels=range(categories), scale_by_half=False)
    assert brier_scores(given, truth).mean() == pytest.approx(expected)


def test_losses_have_the_bounds_that_are_documented():
    given, truth = np.array([[1.0, 0.0], [1.0 + 1e-7, 0.0]], dtype=np.float32), np.array([1, 0])
    assert brier_scores(given, truth) == pytest.approx([2.0, 0.0], abs=1e-12)
    assert log_losses(given, truth).tolist() == [-math.log(1e-7), 0.0]
    assert {"brier": 2.0, "log_loss": -math.log(1e-7)} == WORST


class Asked:
    """What classifiers said of one product's queries, fitted here once more: each query's losses by seed and image."""

    def __init__(self, bank, episodes, name):
        category = dict(zip(bank.catalog.column("id"), bank.catalog.column("category"), strict=True))
        image = dict(zip(bank.catalog.column("id"), bank.catalog.column("image"), strict=True))
        rows = []
        for number, episode in enumerate(episodes.episodes):
            labels = [category[each] for each in episode.support]
            fitted = make_classifier(name).fit(bank.features(episode.support), labels)
            for query, shares in zip(episode.query, fitted.predict_proba(bank.features(episode.query)), strict=True):
                true = fitted.classes_ == category[query]
                loss = -math.log(max(float(shares[true][0]), 1e-7))
                rows.append((number, image[query], ((shares - true) ** 2).sum(), loss))
        seed, unit, brier, log_loss = zip(*rows, strict=True)
        self.seed, self.unit = np.array(seed), np.array(unit)
        self.losses = {"brier": np.array(brier, float), "log_loss": np.array(log_loss)}

    def spread(self, loss):
        """Mean over seeds, its standard error and degrees of freedom."""
        value = self.losses[loss]
        per_seed = [value[self.seed == seed].mean() for seed in np.unique(self.seed)]
        values = plain.drawn(self.unit, self.seed, value[:, None])[:, 0]
        return np.mean(per_seed), *plain.spread(per_seed, values, len(np.unique(self.unit)))


@pytest.mark.parametrize("name", NAMES)
def test_runs_and_means_have_the_plain_losses_and_intervals(bank_of, catalog_of, name):
    bank = bank_of(catalog_of(IMAGES, layout="{product}/**"), spread=1.8)
    episodes = [sample_episodes(bank.catalog, product, 2) for product in "pq"]
    results = evaluate(bank, episodes, NAMES)
    (overall,) = [each for each in results.means if each.classifier == name]
    asked = {each.product: Asked(bank, each, name) for each in episodes}
    for loss, worst in WORST.items():
        of_products = [asked[product].spread(loss) for product in "pq"]
        for product, (mean, error, freedom) in zip("pq", of_products, strict=True):
            (run,) = [each for each in results.runs if (each.product, each.classifier) == (product, name)]
            check(getattr(run, loss), mean, plain.loss(mean, error, freedom, worst))
        mean, error, freedom = (np.array(column) for column in zip(*of_products, strict=True))
        total = (error**2).sum() / 4
        joined = total**2 / ((error**2 / 4) ** 2 / freedom).sum()
        check(getattr(overall, loss), mean.mean(), plain.loss(mean.mean(), total**0.5, joined, worst))


def check(estimate, mean, bounds):
    assert estimate.mean == pytest.approx(mean, rel=1e-5)
    assert estimate.ci95 == pytest.approx(bounds, abs=SLACK * (bounds[1] - bounds[0]))
    assert estimate.ci95[0] < estimate.mean < estimate.ci95[1]


@pytest.mark.parametrize("name", WORST)
def test_no_loss_at_all_and_the_worst_have_wilsons_interval(name):
    worst = WORST[name]
    for share in (0, 1):
        score = estimate_loss(name, Loss([share * worst] * 3, np.full(50, share * worst), 24, 12))
        assert score.mean == share * worst
        assert score.ci95 == pytest.approx([worst * bound for bound in wilson(24 * share, 24)])


@pytest.mark.parametrize("name", WORST)
def test_equal_losses_and_a_single_image_are_no_certainty(name):
    for values, units in ((np.full(50, 0.4), 12), (np.full(50, 0.4), 1)):
        low, high = estimate_loss(name, Loss([0.4] * 3, values, 24, units)).ci95
        assert 0 < low < 0.35
        assert 0.5 < high < WORST[name]


@pytest.mark.parametrize("name", WORST)
def test_tiny_losses_have_intervals_of_their_size(name):
    rng = np.random.default_rng(0)
    low, high = estimate_loss(name, Loss([1e-8, 2e-8, 3e-8], 2e-8 + 1e-9 * rng.normal(size=500), 24, 12)).ci95
    assert 0 < low < 1e-8
    assert 3e-8 < high < 1e-7
    for tiny in (1e-17, 3e-17, 1e-90):
        score = estimate_loss(name, Loss([tiny] * 2, np.full(50, tiny), 24, 12))
        assert 0 <= score.ci95[0] < score.mean < score.ci95[1]


def test_means_over_products_whose_losses_are_known_have_no_width():
    known = [Loss([share] * 2, np.full(50, share), 24, 12, known=True) for share in (0.5, 0.75)]
    assert estimate_mean_loss("brier", known, 0.0).ci95 == (0.625, 0.625)
    measured = [known[0], known[1]._replace(known=False)]
    assert np.ptp(estimate_mean_loss("brier", measured, 0.0).ci95) > 0.1


def test_intervals_hold_the_truth_more_often_than_students():
    """Most losses are next to nothing and a few are great, as those of a sure and accurate classifier."""
    seeds, queries, rng = 5, 50, np.random.default_rng(1)

    def draw(seeds, queries):
        known = 2.5 + rng.normal(0, 0.3, (seeds, 1)) + rng.normal(0, 1, queries) + rng.normal(0, 1, (seeds, queries))
        given = 1 / (1 + np.exp(-3 * known))
        return {"brier": 2 * (1 - given) ** 2, "log_loss": -np.log(np.maximum(given, 1e-7))}

    several = [draw(1000, 1000) for _ in range(3)]
    truth = {name: np.mean([each[name].mean() for each in several]) for name in WORST}
    seed, query = np.repeat(np.arange(seeds), queries), np.tile(np.arange(queries), seeds)
    asked, nothing = QueryTable(seeds, seed, query, query % 2, query), np.zeros(seeds * queries)
    held, students = {name: [] for name in WORST}, {name: [] for name in WORST}
    for number in range(400):
        losses = draw(seeds, queries)
        flat = {name: value.ravel() for name, value in losses.items()}
        (values,) = resample([QueryPredictions(asked, query % 2, nothing, nothing, flat)], 2, str(number), 300)
        for name, value in losses.items():
            per_seed = value.mean(axis=1).tolist()
            low, high = estimate_loss(name, Loss(per_seed, values.losses[name], queries, queries)).ci95
            held[name].append(low <= truth[name] <= high)
            error, freedom = plain.spread(per_seed, values.losses[name], queries)
            low, high = stats.t.interval(0.95, freedom, np.mean(per_seed), error)
            students[name].append(low <= truth[name] <= high)
    for name in WORST:
        assert 0.925 <= np.mean(held[name]) < 0.995
        assert np.mean(students[name]) < np.mean(held[name]) - 0.02
