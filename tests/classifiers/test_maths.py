"""Each classifier against an independent statement of its maths: plain loops, or the library that owns it."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine
from scipy.special import softmax
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize
from torch.nn import functional

from flawshot import make_classifier
from flawshot.classifiers.zip_adapter_f import Adapter, Inputs, _gradient, adapt

CATEGORIES = ["bent", "cut", "dent"]


@pytest.fixture
def task():
    """Support and query features with an offset that all share, as CLIP's have."""
    rng = np.random.default_rng(11)
    offset = rng.normal(size=16) * 3
    means = rng.normal(size=(3, 5, 16))
    labels = np.array([0, 0, 1, 1, 1, 2])  # categories of different size
    query_labels = rng.integers(3, size=40)
    support = means[labels] + offset + 0.8 * rng.normal(size=(6, 5, 16))
    query = means[query_labels] + offset + 0.8 * rng.normal(size=(40, 5, 16))
    return support.astype(np.float32), np.array(CATEGORIES)[labels], query.astype(np.float32)


def similarity(a, b):
    return 1 - cosine(a.astype(np.float64), b.astype(np.float64))


def zip_adapter(support, labels, query, beta):
    out = []
    for instance in query:
        shares, weights = [], []
        for view in instance:
            logits = []
            for category in CATEGORIES:
                keys = [
                    s.astype(np.float64).mean(axis=0) for s, y in zip(support, labels, strict=True) if y == category
                ]
                logits.append(sum(math.exp(-beta * (1 - similarity(view, key))) for key in keys) / 0.11)
            shares.append(softmax(logits))
            weights.append(1 - entropy(shares[-1]) / math.log(3))
        out.append(np.average(shares, axis=0, weights=weights))
    return np.array(out)


def matched_prototype(support, labels, query, temperature=0.1):
    out = []
    views = support.shape[1]
    for instance in query:
        scores = np.zeros(3)
        for v in range(views):
            center = support[:, v].astype(np.float64).mean(axis=0)
            unit = normalize(support[:, v] - center)
            for c, category in enumerate(CATEGORIES):
                scores[c] += similarity(instance[v] - center, unit[labels == category].mean(axis=0))
        out.append(softmax(scores / views / temperature))
    return np.array(out)


def prototype(support, labels, query, temperature=0.01):
    unit = normalize(support.astype(np.float64).mean(axis=1))
    cosines = [
        [similarity(instance.mean(axis=0), unit[labels == category].mean(axis=0)) for category in CATEGORIES]
        for instance in query
    ]
    return softmax(np.array(cosines) / temperature, axis=1)


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("zip-adapter", {}, lambda s, y, q: zip_adapter(s, y, q, 32)),
        ("zip-adapter", {"beta": 4.0}, lambda s, y, q: zip_adapter(s, y, q, 4)),
        ("matched-prototype", {}, matched_prototype),
        ("matched-prototype", {"temperature": 1.0}, lambda s, y, q: matched_prototype(s, y, q, 1.0)),
        ("prototype", {}, prototype),
    ],
)
def test_probabilities_are_those_of_the_plain_statement(task, name, parameters, expected):
    support, labels, query = task
    got = make_classifier(name, **parameters).fit(support, labels).predict_proba(query)
    np.testing.assert_allclose(got, expected(support, labels, query), atol=3e-5)


def test_knn_is_scikit_learns_by_cosine(task):
    support, labels, query = task
    for n in (1, 3):
        theirs = KNeighborsClassifier(n, metric="cosine").fit(support.mean(axis=1), labels)
        ours = make_classifier("knn", n_neighbors=n).fit(support, labels)
        np.testing.assert_allclose(ours.predict_proba(query), theirs.predict_proba(query.mean(axis=1)), atol=1e-6)


def test_linear_probe_is_scikit_learns_logistic_regression(task):
    support, labels, query = task
    theirs = LogisticRegression(C=31.6, max_iter=1000).fit(normalize(support.mean(axis=1)), labels)
    ours = make_classifier("linear-probe").fit(support, labels)
    expected = theirs.predict_proba(normalize(query.mean(axis=1)))
    np.testing.assert_allclose(ours.predict_proba(query), expected, atol=1e-3)


def plain_zip_adapter_f():
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "plain_zip_adapter_f.py"
    spec = importlib.util.spec_from_file_location("plain_zip_adapter_f", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fit_and_predict


@pytest.mark.parametrize("steps", [60, 300])
def test_zip_adapter_f_takes_autograds_steps(task, steps):
    """The gradient is written out; the plain way lets torch find it."""
    support, labels, query = task
    numbers = torch.tensor([CATEGORIES.index(label) for label in labels])
    expected = plain_zip_adapter_f()(torch.from_numpy(support), numbers, torch.from_numpy(query), 3, steps).numpy()
    ours = make_classifier("zip-adapter-f", steps=steps).fit(support, labels).predict_proba(query)
    start = make_classifier("zip-adapter", beta=1.0).fit(support, labels).predict_proba(query)
    moved = np.abs(expected - start).max()
    assert moved > 5e-5  # training does something, and ours does the same
    np.testing.assert_allclose(ours, expected, atol=0.02 * moved)


def test_zip_adapter_fs_gradient_is_autograds():
    """Away from the start, where every term counts."""
    torch.manual_seed(5)
    support, views, dim, categories, beta = 5, 3, 9, 3, 1.7
    inputs = torch.randn(support * views, dim)
    labels = torch.tensor([0, 0, 1, 2, 2])
    parts = Adapter(torch.randn(dim, dim) / 3, torch.randn(dim) / 3, torch.randn(support, dim))
    membership = functional.one_hot(labels, categories).float() / 0.11
    targets = labels.repeat_interleave(views)
    for part in parts:
        part.requires_grad_()
    keys, queries = adapt(parts.keys, *parts[:2]), adapt(inputs, *parts[:2])
    cosines = functional.normalize(queries, dim=-1) @ functional.normalize(keys, dim=-1).T
    functional.cross_entropy(torch.exp(-beta * (1 - cosines)) @ membership, targets).backward()
    with torch.no_grad():
        rows = torch.cat([inputs, parts.keys])[None]
        episode = Adapter(*(part[None] for part in parts))
        one_hot = functional.one_hot(targets, categories).float()
        ours = _gradient(Inputs(rows.mT.contiguous(), rows), episode, membership[None], one_hot[None], beta)
    for mine, part, name in zip(ours, parts, Adapter._fields, strict=True):
        torch.testing.assert_close(mine[0], part.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_zip_adapter_f_without_a_step_is_zip_adapter(task):
    support, labels, query = task
    ours = make_classifier("zip-adapter-f", steps=0).fit(support, labels).predict_proba(query)
    theirs = make_classifier("zip-adapter", beta=1.0).fit(support, labels).predict_proba(query)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_queries_do_not_see_each_other(task):
    """Inductive: what an instance gets does not depend on the others asked with it."""
    support, labels, query = task
    for name in ("zip-adapter", "matched-prototype", "prototype", "knn", "linear-probe"):
        fitted = make_classifier(name).fit(support, labels)
        together = fitted.predict_proba(query)
        alone = np.concatenate([fitted.predict_proba(query[n : n + 1]) for n in range(len(query))])
        np.testing.assert_allclose(together, alone, atol=1e-5, err_msg=name)
