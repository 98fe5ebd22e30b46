"""The field's methods against independent statements of their maths, in float64 loops or plain autograd."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine
from scipy.special import softmax
from sklearn.preprocessing import normalize
from torch.nn import functional

from flawshot import make_classifier
from flawshot.classifiers.clip_adapter import first_weights

CATEGORIES = ["bent", "cut", "dent"]
LABELS = np.array([2, 0, 1, 1, 0, 1])  # categories of different size, not in order
DIM = 16


@pytest.fixture
def task():
    """Support and query features that overlap, and text features some way off them, each of another length."""
    rng = np.random.default_rng(23)
    offset = 2 * rng.normal(size=DIM)
    means = 0.4 * rng.normal(size=(3, 1, DIM))
    support = means[LABELS] + offset + rng.normal(size=(6, 5, DIM))
    query = means[rng.integers(3, size=40)] + offset + rng.normal(size=(40, 5, DIM))
    text = (means[:, 0] + offset + 2 * rng.normal(size=(3, DIM))) * np.array([[0.5], [1.0], [7.0]])
    return tuple(x.astype(np.float32) for x in (support, query, text))


def ours(name, support, query, text=None, labels=LABELS, **parameters):
    fitted = make_classifier(name, **parameters).fit(support, np.array(CATEGORIES)[labels], text=text)
    return fitted.predict_proba(query)


def mean_view(instance):
    mean = instance.astype(np.float64).mean(axis=0)
    return mean / math.sqrt(sum(mean**2))


def similarity(a, b):
    return 1 - cosine(a.astype(np.float64), b.astype(np.float64))


def tip_adapter(support, query, text, alpha=1.0, beta=5.5, scale=100.0):
    """With alpha 0, zero-shot."""
    out = []
    for instance in query:
        f = mean_view(instance)
        logits = [scale * similarity(f, text[c]) for c in range(3)]
        for views, label in zip(support, LABELS, strict=True):
            logits[label] += alpha * math.exp(-beta * (1 - similarity(f, mean_view(views))))
        out.append(softmax(logits))
    return np.array(out)


@pytest.mark.parametrize("scale", [100.0, 7.0])
def test_zero_shot_is_the_softmax_of_scaled_cosines(task, scale):
    support, query, text = task
    expected = tip_adapter(support, query, text, alpha=0, scale=scale)
    np.testing.assert_allclose(ours("zero-shot", support, query, text, scale=scale), expected, atol=2e-5)


def test_zero_shot_learns_nothing_from_the_support(task):
    support, query, text = task
    np.testing.assert_array_equal(ours("zero-shot", -support, query, text), ours("zero-shot", support, query, text))


@pytest.mark.parametrize("parameters", [{}, {"alpha": 9.0}, {"beta": 0.5}, {"alpha": 3.0, "beta": 12.0}])
def test_tip_adapter_adds_its_cache_to_zero_shot(task, parameters):
    support, query, text = task
    expected = tip_adapter(support, query, text, **parameters)
    assert np.abs(expected - tip_adapter(support, query, text, alpha=0)).max() > 0.05  # the cache has its say
    np.testing.assert_allclose(ours("tip-adapter", support, query, text, **parameters), expected, atol=2e-5)


class PlainTip(torch.nn.Module):
    """Tip-Adapter-F of one episode, in float64."""

    def __init__(self, support, text, alpha, beta):
        super().__init__()
        keys = torch.from_numpy(np.stack([mean_view(views) for views in support]))
        self.keys = torch.nn.Linear(DIM, len(support), bias=False, dtype=torch.float64)
        self.keys.weight = torch.nn.Parameter(keys)
        self.text = functional.normalize(torch.from_numpy(text).double(), dim=-1)
        self.values = torch.eye(3, dtype=torch.float64)[torch.from_numpy(LABELS)]
        self.alpha, self.beta = alpha, beta

    def forward(self, x):
        return 100 * x @ self.text.T + self.alpha * torch.exp(self.beta * self.keys(x) - self.beta) @ self.values


class PlainClip(torch.nn.Module):
    """CLIP-Adapter of one episode, in float64, its first weights drawn by torch's Linear in float32."""

    def __init__(self, text, ratio, seed):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.down = torch.nn.Linear(DIM, DIM // 4, bias=False)
            self.up = torch.nn.Linear(DIM // 4, DIM, bias=False)
        self.double()
        self.text = functional.normalize(torch.from_numpy(text).double(), dim=-1)
        self.ratio = ratio

    def forward(self, x):
        adapted = torch.relu(self.up(torch.relu(self.down(x))))
        blended = self.ratio * adapted + (1 - self.ratio) * x
        return 100 * functional.cosine_similarity(blended[:, None], self.text[None], dim=-1)


def plain_training(module, support, query, optimizer, steps, first):
    """Train on all views one by one in order of the instances; what the mean views of the queries then get."""
    views = [view.astype(np.float64) / np.linalg.norm(view.astype(np.float64)) for s in support for view in s]
    inputs = torch.from_numpy(np.array(views))
    targets = torch.tensor([label for label in LABELS for _ in range(support.shape[1])])
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = first * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.zero_grad()
        functional.cross_entropy(module(inputs), targets).backward()
        optimizer.step()
    with torch.no_grad():
        return torch.softmax(module(torch.from_numpy(np.array([mean_view(q) for q in query]))), dim=1).numpy()


@pytest.mark.parametrize("parameters", [{}, {"alpha": 4.0, "beta": 2.0, "steps": 40, "learning_rate": 0.01}])
def test_tip_adapter_f_takes_plain_autograds_steps(task, parameters):
    support, query, text = task
    given = {"alpha": 1.0, "beta": 5.5, "steps": 100, "learning_rate": 1e-3} | parameters
    module = PlainTip(support, text, given["alpha"], given["beta"])
    optimizer = torch.optim.AdamW(module.parameters(), eps=1e-4, weight_decay=0.01)
    expected = plain_training(module, support, query, optimizer, given["steps"], given["learning_rate"])
    moved = np.abs(expected - tip_adapter(support, query, text, given["alpha"], given["beta"])).max()
    assert moved > 0.05  # training does something, and ours does the same
    fitted = make_classifier("tip-adapter-f", **parameters).fit(support, np.array(CATEGORIES)[LABELS], text=text)
    np.testing.assert_allclose(fitted.predict_proba(query), expected, atol=2e-3 * moved)
    np.testing.assert_allclose(fitted.keys_, module.keys.weight.detach(), atol=2e-5)


def test_tip_adapter_f_without_a_step_is_tip_adapter(task):
    np.testing.assert_allclose(ours("tip-adapter-f", *task, steps=0), ours("tip-adapter", *task), atol=1e-6)


@pytest.mark.parametrize("parameters", [{}, {"ratio": 0.6, "steps": 40, "learning_rate": 0.01, "random_state": 5}])
def test_clip_adapter_takes_plain_autograds_steps(task, parameters):
    support, query, text = task
    given = {"ratio": 0.2, "steps": 200, "learning_rate": 1e-3, "random_state": 0} | parameters
    module = PlainClip(text, given["ratio"], given["random_state"])
    expected = plain_training(
        module, support, query, torch.optim.Adam(module.parameters()), given["steps"], given["learning_rate"]
    )
    moved = np.abs(expected - ours("clip-adapter", support, query, text, **parameters | {"steps": 0})).max()
    assert moved > 0.05
    np.testing.assert_allclose(ours("clip-adapter", support, query, text, **parameters), expected, atol=2e-3 * moved)


def test_clip_adapters_first_weights_are_those_of_torchs_linear():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = [torch.nn.Linear(10, 2, bias=False).weight, torch.nn.Linear(2, 10, bias=False).weight]
    for mine, theirs in zip(first_weights(10, seed=3), expected, strict=True):
        torch.testing.assert_close(mine, theirs.detach())
    assert [tuple(weight.shape) for weight in first_weights(3, seed=0)] == [(1, 3), (3, 1)]


def gda_logits(support, query, labels):
    """The paper's formula word for word, with the pseudo-inverse of a matrix [dim, dim]."""
    x = np.array([mean_view(s) for s in support])
    means = np.array([x[labels == c].mean(axis=0) for c in range(3)])
    centered = np.concatenate([x[labels == c] - means[c] for c in range(3)])
    covariance = np.cov(centered, rowvar=False, ddof=1)
    precision = DIM * np.linalg.pinv((len(x) - 1) * covariance + np.trace(covariance) * np.eye(DIM))
    return np.array(
        [[mean_view(q) @ precision @ mu + math.log(1 / 3) - mu @ precision @ mu / 2 for mu in means] for q in query]
    )


@pytest.mark.parametrize("count", [6, 40])  # fewer instances than dimensions, and more
def test_gda_is_the_formula_with_the_pseudo_inverse(task, count):
    support, query, _ = task
    support, labels = np.concatenate([support, query])[:count], np.resize(LABELS, count)
    expected = gda_logits(support, query, labels)
    fitted = make_classifier("gda").fit(support, labels)
    np.testing.assert_allclose(fitted.predict_proba(query), softmax(expected, axis=1), atol=1e-6)
    # Most probabilities are 0 or 1: the logits tell more.
    logits = np.array([mean_view(q) for q in query]) @ fitted.weight_.T + fitted.bias_
    np.testing.assert_allclose(logits, expected - math.log(1 / 3), rtol=1e-9, atol=1e-9)


def test_gda_at_one_shot_is_the_nearest_mean(task):
    support, query, _ = task
    got = ours("gda", support[:3], query, labels=np.array([2, 0, 1]))
    means = np.array([mean_view(support[n]) for n in (1, 2, 0)])
    expected = softmax([[-DIM * np.sum((mean_view(q) - mu) ** 2) / 2 for mu in means] for q in query], axis=1)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    twice = np.concatenate([support[:3], 3 * support[:3]])  # the same directions again: no spread but rounding
    np.testing.assert_allclose(ours("gda", twice, query, labels=np.array([2, 0, 1] * 2)), expected, atol=1e-4)


def soft_kmeans(support, query, temperature=0.1, iterations=10):
    center = np.mean([s.astype(np.float64).mean(axis=0) for s in support], axis=0)
    known, asked = (
        [x / np.linalg.norm(x) for x in (instance.astype(np.float64).mean(axis=0) - center for instance in instances)]
        for instances in (support, query)
    )
    shares = np.zeros((len(asked), 3))
    for _ in range(iterations + 1):
        prototypes = []
        for c in range(3):
            weights = [float(label == c) for label in LABELS] + list(shares[:, c])
            prototypes.append(np.average(known + asked, axis=0, weights=weights))
        shares = np.array([softmax([similarity(q, p) / temperature for p in prototypes]) for q in asked])
    return shares


@pytest.mark.parametrize("parameters", [{}, {"iterations": 0}, {"iterations": 1}, {"temperature": 0.4}])
def test_soft_kmeans_refines_prototypes_by_the_queries(task, parameters):
    support, query, _ = task
    expected = soft_kmeans(support, query, **parameters)
    np.testing.assert_allclose(ours("soft-kmeans", support, query, **parameters), expected, atol=1e-6)


def test_soft_kmeans_with_temperature_is_of_squared_distances(task):
    """As the paper has it: minus the squared distance, of vectors of length one, times 5."""
    support, query, _ = task
    center = support.mean(axis=(0, 1))
    known, asked = normalize(support.mean(axis=1) - center), normalize(query.mean(axis=1) - center)
    prototypes = normalize([known[c == LABELS].mean(axis=0) for c in range(3)])
    distances = ((asked[:, None] - prototypes) ** 2).sum(axis=2)
    np.testing.assert_allclose(
        ours("soft-kmeans", support, query, iterations=0), softmax(-5 * distances, axis=1), atol=1e-5
    )


SEEN = [
    "zero-shot", "tip-adapter", "tip-adapter-f", "clip-adapter", "gda", "gda-text", "timo", "proker", "proker-text",
    "lp-plus-plus", "clap", "soft-kmeans", "transclip", "transclip-text",
]  # fmt: skip


@pytest.mark.parametrize("name", SEEN)
def test_only_the_transductive_ones_see_queries_together(task, name):
    support, query, text = task
    fitted = make_classifier(name).fit(support, np.array(CATEGORIES)[LABELS], text=text)
    alone = np.concatenate([fitted.predict_proba(query[n : n + 1]) for n in range(len(query))])
    apart = np.abs(fitted.predict_proba(query) - alone).max()
    assert apart > 0.1 if fitted.transductive else apart < 3e-5
