"""``evidence-ridge``, which ``default`` stands for, against a plain statement of its maths."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.special import log_softmax, softmax
from scipy.stats import lognorm
from sklearn.linear_model import Ridge

from flawshot import make_classifier
from flawshot.classifiers.evidence_ridge import EvidenceRidge, evidence_weights

LABELS = np.array([0, 0, 0, 1, 1, 2])  # categories of different size; of the last, nothing can be left out
WEIGHTS = np.array([2 / 3, 2 / 3, 2 / 3, 1, 1, 2])
KEPT = [0, 1, 2, 3, 4]


@pytest.fixture
def task():
    """Instances whose views differ by what they show, and by jitter along few directions."""
    rng = np.random.default_rng(28)
    means, nuisance = 0.6 * rng.normal(size=(3, 4, 12)), rng.normal(size=(3, 12))

    def views(labels):
        jitter = rng.normal(size=(len(labels), 4, 3)) @ nuisance
        return (1 + means[labels] + 0.5 * jitter + 0.5 * rng.normal(size=(len(labels), 4, 12))).astype(np.float32)

    truth = rng.integers(3, size=40)
    return views(LABELS), views(truth), truth


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def refit(x, labels, weights, ridge):
    targets = np.eye(3)[labels] - 1 / 3
    return Ridge(alpha=ridge, fit_intercept=False).fit(x, targets, sample_weight=weights)


def embeddings(support, query, labels):
    """The experts' features of support and query, in float64, whitened by the symmetric root."""
    s, q = (unit(each.astype(np.float64)) for each in (support, query))
    mean_s, mean_q = s.mean(axis=1), q.mean(axis=1)
    residuals = (s - mean_s[:, None]).reshape(-1, 12)
    scatter = residuals.T @ residuals / len(residuals)
    root = np.real(sqrtm(np.linalg.inv(scatter / (2 * np.trace(scatter) / 12) + np.eye(12))))
    center = np.mean([mean_s[labels == c].mean(axis=0) for c in range(3)], axis=0)
    centers = np.mean([s[labels == c].mean(axis=0) for c in range(3)], axis=0)
    means = [unit((each - center) @ root) for each in (mean_s, mean_q)]
    whitened = [np.hstack([unit((each[:, v] - centers[v]) @ root) for v in range(4)]) / 2 for each in (s, q)]
    matched = [np.hstack([unit(each[:, v] - centers[v]) for v in range(4)]) / 2 for each in (s, q)]
    return means, whitened, matched


def priors(support, labels, weight=3.0):
    """The experts' prior weights and the temperature's prior median.

    From the variance of instances, every category counting the same, and that of their views.
    """
    views = unit(support.astype(np.float64))
    instances = views.mean(axis=1)
    center = np.mean([instances[labels == c].mean(axis=0) for c in range(3)], axis=0)
    own = np.square(views - instances[:, None]).sum(axis=-1).mean()
    other = np.mean([np.square(instances[labels == c] - center).sum(axis=-1).mean() for c in range(3)])
    matched = other / (weight * own + other)
    return np.array([(1 - matched) / 2, (1 - matched) / 2, matched]), 1.5 * other / (2 * own + other)


def left_out(x):
    """Each instance's scores from a refit to the others, for the five that have another of their category."""
    return np.array(
        [
            refit(np.delete(x, i, 0), np.delete(LABELS, i), np.delete(WEIGHTS, i), 0.5).predict(x[i : i + 1])[0]
            for i in KEPT
        ]
    )


def temperature(logarithms, median):
    candidates, prior = np.geomspace(0.005, 5, 4001), lognorm(0.35, scale=median)
    posterior = [
        log_softmax(logarithms / t, axis=1)[range(5), LABELS[KEPT]].sum() + prior.logpdf(t) + np.log(t)
        for t in candidates
    ]
    return candidates[np.argmax(posterior)]


def test_probabilities_are_those_of_the_plain_statement(task):
    support, query, _ = task
    experts = embeddings(support, query, LABELS)
    left = [log_softmax(left_out(x) / 0.15, axis=1) for x, _ in experts]
    evidence = np.array([each[range(5), LABELS[KEPT]].sum() for each in left])
    prior, median = priors(support, LABELS)
    shares = softmax(np.log(prior) + 2 * evidence)
    t = temperature(np.tensordot(shares, left, 1), median)
    scores = [refit(x, LABELS, WEIGHTS, 0.5).predict(q) for x, q in experts]
    said = [log_softmax(each / 0.15, axis=1) for each in scores]
    expected = softmax(np.tensordot(shares, said, 1) / t, axis=1)

    fitted = make_classifier("evidence-ridge").fit(support, LABELS)
    np.testing.assert_allclose(fitted.shares_, shares, atol=2e-3)
    assert fitted.temperature_ == pytest.approx(t, rel=5e-3)
    np.testing.assert_allclose(fitted.predict_proba(query), expected, atol=3e-3)
    assert shares.min() > 0.03  # all are heard
    assert np.abs(shares - prior).min() > 0.02  # the evidence has moved them
    assert abs(t / median - 1) > 0.02  # and the temperature

    alone = softmax(said[0] / temperature(left[0], median), axis=1)
    cut = fitted.predict_proba(query[:, [0, 1, 2, 3, 0, 1, 2, 3]])  # every view twice: the same means, another layout
    np.testing.assert_allclose(cut, alone, atol=3e-3)


def test_at_one_shot_the_prior_weights_and_temperature_hold(task):
    support, query, _ = task
    one, labels = support[[0, 3, 5]], np.arange(3)
    experts = embeddings(one, query, labels)
    scores = [refit(x, labels, np.ones(3), 3.0).predict(q) * 4 / 1.5 for x, q in experts]
    said = [log_softmax(each / 0.15, axis=1) for each in scores]
    prior, median = priors(one, labels, 0.3)
    expected = softmax(np.tensordot(prior, said, 1) / median, axis=1)
    fitted = make_classifier("default", one_shot_ridge=3.0, view_weight=0.3).fit(one, labels)
    np.testing.assert_allclose(fitted.predict_proba(query), expected, atol=2e-3)
    assert fitted.shares_ == pytest.approx(prior, abs=1e-5)
    assert prior.min() > 0.05
    assert fitted.temperature_ == pytest.approx(median, rel=1e-4)


def test_the_evidence_finds_the_expert_that_the_data_are_for():
    """Views that each show something else are matched; views that only jitter are not."""
    rng = np.random.default_rng(0)
    labels, truth = np.repeat(np.arange(4), 4), rng.integers(4, size=200)
    base, signs = rng.normal(size=(4, 30)), np.array([1.0, -1.0, 1.0, -1.0])[:, None]

    def opposed(which):
        """What a category adds to one view, it takes from the next: the means of the views say nothing."""
        return 1 + signs * base[which][:, None] + 0.8 * rng.normal(size=(len(which), 4, 30))

    nuisance = 6 * rng.normal(size=(2, 30))

    def jittered(which):
        jitter = rng.normal(size=(len(which), 4, 2)) @ nuisance
        return 1 + base[which][:, None] + jitter + 0.8 * rng.normal(size=(len(which), 4, 30))

    for draw, matched in ((opposed, True), (jittered, False)):
        support, query = draw(labels), draw(truth)
        fitted = EvidenceRidge().fit(support, labels)
        assert fitted.shares_[0 if matched else 2] < 0.1, fitted.shares_
        best = make_classifier("matched-prototype" if matched else "whitened-ridge").fit(support, labels)
        assert (fitted.predict(query) == truth).mean() >= (best.predict(query) == truth).mean() - 0.02


def test_with_one_view_it_is_whitened_ridge_but_for_the_temperature(task):
    support, query, _ = task
    fitted = make_classifier("default").fit(support[:, :1], LABELS)
    other = make_classifier("whitened-ridge").fit(support[:, :1], LABELS)
    assert fitted.shares_ == (1.0, 0.0, 0.0)
    np.testing.assert_array_equal(fitted.predict(query[:, :1]), other.predict(query[:, :1]))
    np.testing.assert_allclose(
        np.log(fitted.predict_proba(query[:, :1])) @ [1, -1, 0] * fitted.alone_temperature_ * 0.15,
        np.log(other.predict_proba(query[:, :1])) @ [1, -1, 0] * other.temperature_,
        atol=1e-4,
    )


def test_a_network_of_another_layout_uses_the_mean_expert_alone(task):
    support, query, _ = task
    fitted = make_classifier("default").fit(support, LABELS)
    with torch.inference_mode():
        found = fitted.network()(torch.from_numpy(query[:, :2])).numpy()
    np.testing.assert_allclose(found, fitted.predict_proba(query[:, :2]), atol=1e-5)


def test_without_evidence_the_weights_are_the_priors_and_much_of_it_decides():
    prior = np.array([0.75, 0.25])
    none = [np.zeros((0, 3))] * 2
    np.testing.assert_allclose(evidence_weights(none, np.zeros(0, dtype=int), prior, 2.0), prior)
    better = [np.log(np.full((200, 2), 0.5)), np.log(np.tile([0.9, 0.1], (200, 1)))]
    np.testing.assert_allclose(evidence_weights(better, np.zeros(200, dtype=int), prior, 2.0), [0, 1], atol=1e-12)
