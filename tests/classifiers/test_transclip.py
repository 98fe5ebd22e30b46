"""TransCLIP, with text and without, against its updates as loops: ``transclip``, ``transclip_text``."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from flawshot import make_classifier
from text_task import mean_views, unit


def neighbors(cosines):
    """The three queries of greatest cosine."""
    return set(sorted(range(len(cosines)), key=lambda number: -cosines[number])[:3])


def transclip(task, text_weight, support_weight=1.0, iterations=10):
    """The queries' assignments; text_weight 0 is without text, whose first assignments are all equal."""
    known, queries = mean_views(task.support), mean_views(task.query)
    count, dim = queries.shape
    cosines = 100 * queries @ unit(task.text).T if text_weight else np.zeros((count, 3))
    by_text = softmax(cosines, axis=1)
    among = [neighbors([-np.inf if j == i else queries[i] @ queries[j] for j in range(count)]) for i in range(count)]
    of_known = [neighbors(queries @ each) for each in known]
    means = unit([sum(x for x, y in zip(known, task.labels, strict=True) if y == c) for c in range(3)])
    variance = np.full(dim, 1 / dim)
    z = by_text.copy()
    for iteration in range(iterations + 1):
        likelihood = [[-np.sum((q - mean) ** 2 / variance) / 2 for mean in means] for q in queries]
        for _ in range(5):
            new = np.zeros_like(z)
            for i in range(count):
                logits = np.array(likelihood[i]) / 50 + text_weight * np.log(by_text[i])
                for j in range(count):
                    times = (j in among[i]) + (i in among[j])
                    logits += times * max(0, queries[i] @ queries[j]) * z[j] / 6
                for x, y, near in zip(known, task.labels, of_known, strict=True):
                    if i in near:
                        logits[y] += max(0, queries[i] @ x) / 6
                new[i] = softmax(logits)
            z = new
        if iteration == iterations:
            return z
        share = support_weight / len(known)
        sums = []
        for c in range(3):
            own = [x for x, y in zip(known, task.labels, strict=True) if y == c]
            sums.append(sum(z[i, c] * queries[i] for i in range(count)) / count + share * sum(own))
        means = unit(sums)
        total = sum(z[i, c] * (queries[i] - means[c]) ** 2 for i in range(count) for c in range(3)) / count
        total += share * sum((x - means[y]) ** 2 for x, y in zip(known, task.labels, strict=True))
        variance = total / (1 + support_weight)
    raise AssertionError


@pytest.mark.parametrize("parameters", [{}, {"iterations": 0}, {"support_weight": 0.1}])
def test_without_text_it_is_the_updates_as_loops(text_task, parameters):
    found = make_classifier("transclip", **parameters).fit(text_task.support, text_task.labels)
    want = transclip(text_task, 0, **parameters)
    np.testing.assert_allclose(found.predict_proba(text_task.query), want, atol=1e-6)


WITH_TEXT = [
    {},
    {"iterations": 1, "support_weight": 5.0},
    {"iterations": 0, "text_weight": 0.05},  # before the assignments have forgotten where they began
]


@pytest.mark.parametrize("parameters", WITH_TEXT)
def test_with_text_it_is_the_updates_as_loops(text_task, parameters):
    support, labels, query, text = text_task
    found = make_classifier("transclip-text", **parameters).fit(support, labels, text=text).predict_proba(query)
    np.testing.assert_allclose(found, transclip(text_task, **{"text_weight": 0.5} | parameters), atol=2e-5)


@pytest.mark.parametrize("name", ["transclip", "transclip-text"])
def test_queries_have_no_order_and_may_be_few(text_task, name):
    support, labels, query, text = text_task
    fitted = make_classifier(name).fit(support, labels, text=text)
    order = np.random.default_rng(0).permutation(len(query))
    np.testing.assert_allclose(fitted.predict_proba(query[order]), fitted.predict_proba(query)[order], atol=1e-6)
    for few in (1, 2, 3):
        np.testing.assert_allclose(fitted.predict_proba(query[:few]).sum(axis=1), 1, atol=1e-6)
