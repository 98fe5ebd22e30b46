"""``whitened-ridge`` and its transductive variant against plain statements of their maths."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.special import log_softmax, softmax
from scipy.stats import lognorm
from sklearn.linear_model import Ridge
from sklearn.preprocessing import normalize

from flawshot import make_classifier
from flawshot.classifiers import functional, ridge
from flawshot.classifiers.ridge import fit_temperature, left_out_scores, ridge_regression, view_whitener, whiten

LABELS = np.array([0, 0, 0, 1, 1, 2])  # categories of different size


@pytest.fixture
def task():
    """Instances whose views differ along few directions, far more than their categories do."""
    rng = np.random.default_rng(2)
    means, nuisance = rng.normal(size=(3, 12)), 4 * rng.normal(size=(3, 12))

    def views(labels):
        jitter = rng.normal(size=(len(labels), 5, 3)) @ nuisance
        return (5 + means[labels][:, None] + jitter + 0.2 * rng.normal(size=(len(labels), 5, 12))).astype(np.float32)

    truth = rng.integers(3, size=60)
    return views(LABELS), views(truth), truth


def plain(x, targets, weights, ridge):
    return Ridge(alpha=ridge, fit_intercept=False).fit(x, targets, sample_weight=weights)


def unit_views(views):
    unit = np.array([normalize(instance.astype(np.float64)) for instance in views])
    return unit, unit.mean(axis=1)


def whitened(instances, residuals, shrinkage=2.0):
    """By the symmetric root of the precision: another factor, the same inner products."""
    scatter = sum(np.outer(r, r) for r in residuals) / len(residuals)
    mean = np.trace(scatter) / len(scatter)
    return normalize(instances @ np.real(sqrtm(np.linalg.inv(scatter + shrinkage * mean * np.eye(len(scatter))))))


def scores_by_hand(support, query):
    unit, instances = unit_views(support)
    residuals = (unit - instances[:, None]).reshape(-1, 12)
    center = np.mean([instances[c == LABELS].mean(axis=0) for c in range(3)], axis=0)
    x, q = (whitened(each - center, residuals) for each in (instances, unit_views(query)[1]))
    targets = np.eye(3)[LABELS] - 1 / 3
    weights = np.array([2 / 3, 2 / 3, 2 / 3, 1, 1, 2])
    return x, targets, weights, plain(x, targets, weights, 0.5).predict(q)


def temperature_by_hand(x, targets, weights):
    kept = [i for i in range(6) if LABELS[i] != 2]  # a category's only instance cannot be left out
    left = np.array(
        [
            plain(np.delete(x, i, 0), np.delete(targets, i, 0), np.delete(weights, i), 0.5).predict(x[i : i + 1])[0]
            for i in kept
        ]
    )
    candidates = np.geomspace(0.005, 5, 4001)
    prior = lognorm(0.35, scale=0.09)
    # The density over log T: that over T times T.
    posterior = [
        log_softmax(left / t, axis=1)[range(5), LABELS[kept]].sum() + prior.logpdf(t) + np.log(t) for t in candidates
    ]
    return candidates[np.argmax(posterior)]


def test_probabilities_are_those_of_the_plain_statement(task):
    support, query, _ = task
    x, targets, weights, scores = scores_by_hand(support, query)
    temperature = temperature_by_hand(x, targets, weights)
    fitted = make_classifier("whitened-ridge").fit(support, LABELS)
    assert fitted.temperature_ == pytest.approx(temperature, rel=5e-3)
    assert abs(temperature / 0.09 - 1) > 0.02  # the support has moved it
    np.testing.assert_allclose(fitted.predict_proba(query), softmax(scores / temperature, axis=1), atol=2e-3)


def test_what_views_differ_by_is_taken_out(task):
    support, query, truth = task
    right = {
        name: (make_classifier(name).fit(support, LABELS).predict(query) == truth).mean()
        for name in ("whitened-ridge", "prototype", "matched-prototype")
    }
    assert right["whitened-ridge"] > max(right["prototype"], right["matched-prototype"]) + 0.1


def test_with_one_view_nothing_is_whitened(task):
    support, query, _ = task
    fitted = make_classifier("whitened-ridge").fit(support[:, :1], LABELS)
    assert fitted.whitener_ is None
    assert make_classifier("whitened-ridge").fit(support, LABELS).whitener_ is not None
    repeated = make_classifier("whitened-ridge").fit(np.repeat(support[:, :1], 3, axis=1), LABELS)
    expected = fitted.predict_proba(query[:, :1])
    np.testing.assert_allclose(repeated.predict_proba(query[:, :1]), expected, atol=1e-5)


def test_at_one_shot_the_temperature_is_the_priors(task):
    support, _, _ = task
    assert make_classifier("whitened-ridge").fit(support[[0, 3, 5]], [0, 1, 2]).temperature_ == 0.09


@pytest.mark.parametrize(("instances", "dim"), [(9, 30), (40, 6)], ids=["fewer instances", "fewer features"])
def test_both_normal_equations_give_scikit_learns_ridge_and_its_refits(instances, dim):
    rng = np.random.default_rng(1)
    x, targets = (
        rng.normal(size=(instances, dim)).astype(np.float32),
        rng.normal(size=(instances, 3)).astype(np.float32),
    )
    weights = rng.uniform(0.3, 3, size=instances).astype(np.float32)
    expected = plain(x, targets, weights, 0.7).coef_
    np.testing.assert_allclose(ridge_regression(x, targets, weights, 0.7), expected, atol=1e-5)
    left = [
        plain(np.delete(x, i, 0), np.delete(targets, i, 0), np.delete(weights, i), 0.7).predict(x[i : i + 1])[0]
        for i in range(instances)
    ]
    np.testing.assert_allclose(left_out_scores(x, targets, weights, 0.7), left, atol=2e-5)


def test_the_whitener_is_a_root_of_the_shrunk_scatter():
    rows = np.random.default_rng(0).normal(size=(24, 5))
    scatter = rows.T @ rows / len(rows)
    shrunk = scatter / (0.5 * np.trace(scatter) / 5) + np.eye(5)
    factor = view_whitener(scatter.astype(np.float32), 0.5)
    np.testing.assert_allclose(factor @ factor.T, shrunk, rtol=1e-4)
    x = np.eye(5, dtype=np.float32)
    np.testing.assert_allclose(whiten(x, factor), functional.normalize(np.linalg.inv(factor).T), atol=1e-5)


def test_statistics_of_many_views_are_those_of_all_at_once(task, monkeypatch):
    views = task[1]
    unit, instances = unit_views(views)
    rows = (unit - instances[:, None]).reshape(-1, 12)
    monkeypatch.setattr(ridge, "BLOCK", 7)
    found = ridge.view_statistics(views)
    np.testing.assert_allclose(found.instances, instances, atol=1e-6)
    np.testing.assert_allclose(found.scatter, rows.T @ rows / len(rows), atol=1e-6)
    np.testing.assert_array_equal(ridge.instance_means(views), found.instances)


def test_a_temperature_says_how_sure_the_left_out_scores_may_be():
    labels = np.arange(30) % 3
    sharp = np.eye(3, dtype=np.float32)[labels]
    wrong = np.eye(3, dtype=np.float32)[(labels + (np.arange(30) < 12)) % 3]
    assert fit_temperature(sharp, labels) < 0.09 < fit_temperature(wrong, labels)


def test_the_transductive_one_is_its_plain_statement(task):
    support, query, _ = task
    query = query[:15]
    fitted = make_classifier("default-transductive", iterations=3).fit(support, LABELS)
    (unit, instances), (query_unit, queries) = unit_views(support), unit_views(query)
    residuals = np.concatenate(
        [(unit - instances[:, None]).reshape(-1, 12), (query_unit - queries[:, None]).reshape(-1, 12)]
    )
    both = np.concatenate([instances, queries])
    x = whitened(both - both.mean(axis=0), residuals)
    known, own = np.eye(3)[LABELS], np.array([2 / 3, 2 / 3, 2 / 3, 1, 1, 2])
    model = plain(x[:6], known - 1 / 3, own, 0.5)
    for _ in range(3):
        soft = softmax(model.predict(x[6:]) / fitted.temperature_, axis=1)
        model = plain(x, np.concatenate([known, soft]) - 1 / 3, np.concatenate([own, np.full(15, 0.5)]), 0.5)
    expected = softmax(model.predict(x[6:]) / fitted.temperature_, axis=1)
    np.testing.assert_allclose(fitted.predict_proba(query), expected, atol=2e-3)
    assert fitted.temperature_ == make_classifier("whitened-ridge").fit(support, LABELS).temperature_


def test_the_order_of_views_does_not_matter_nor_their_number_in_a_query(task):
    support, query, _ = task
    fitted = make_classifier("whitened-ridge").fit(support, LABELS)
    np.testing.assert_allclose(fitted.predict_proba(query[:, ::-1]), fitted.predict_proba(query), atol=1e-4)
    assert fitted.predict_proba(query[:, :2]).shape == (60, 3)
