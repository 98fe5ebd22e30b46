"""TIMO, against loops over its formulas and scikit-learn's linear discriminant analysis."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from flawshot import make_classifier
from text_task import mean_views, unit


@pytest.fixture
def texts(text_task):
    """Four texts per category, at various distances."""
    spread = np.random.default_rng(1).normal(size=(3, 4, 12)) * np.array([0.3, 0.6, 1.0, 2.0])[:, None]
    return (unit(text_task.text)[:, None] * 4 + spread).astype(np.float32)


def timo(task, texts, alpha=0.1, gamma=50.0):
    instances = mean_views(task.support)
    x, labels = list(instances), list(task.labels)
    guided = []
    for category in range(3):
        of_category = [each for each, label in zip(instances, task.labels, strict=True) if label == category]
        (prototype,) = unit([np.mean(of_category, axis=0)])
        own = unit(texts[category])
        matches = np.array([prototype @ each for each in own])
        powers = np.exp(gamma * matches / np.sqrt(np.sum(matches**2)))
        guided.append(sum(power * each for power, each in zip(powers, own, strict=True)))
        x += [match * each for match, each in zip(matches, own, strict=True)]
        labels += [category] * len(own)
    x, queries = np.array(x), mean_views(task.query)
    count, dim = x.shape
    share = dim / (dim + count - 1)  # as in test_gda_text.py
    analysis = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=share).fit(x, labels)
    by_image = dim * (1 - share) / count * (analysis.decision_function(queries) - np.log(analysis.priors_))
    return softmax(100 * queries @ unit(guided).T + alpha * by_image, axis=1)


@pytest.mark.parametrize("parameters", [{}, {"alpha": 2.0}, {"gamma": 3.0}])
def test_images_and_texts_guide_each_other(text_task, texts, parameters):
    found = make_classifier("timo", **parameters).fit(text_task.support, text_task.labels, text=texts)
    want = timo(text_task, texts, **parameters)
    np.testing.assert_allclose(found.predict_proba(text_task.query), want, atol=2e-5)
    without = make_classifier("gda-text", alpha=parameters.get("alpha", 0.1))
    without.fit(text_task.support, text_task.labels, text=texts.mean(axis=1))
    assert np.abs(without.predict_proba(text_task.query) - want).max() > 0.05  # the guidance has its say


def test_one_text_per_category_still_guides_the_images(text_task):
    support, labels, query, text = text_task
    found = make_classifier("timo").fit(support, labels, text=text).predict_proba(query)
    np.testing.assert_allclose(found, timo(text_task, text[:, None]), atol=2e-5)
    several = make_classifier("timo").fit(support, labels, text=np.repeat(text[:, None], 1, axis=1))
    np.testing.assert_array_equal(several.predict_proba(query), found)


@pytest.mark.parametrize("shape", [(2, 4, 12), (3, 0, 12), (3, 4, 11)])
def test_texts_of_another_shape_are_refused(text_task, shape):
    with pytest.raises(ValueError, match=r"text has shape \(.*\), not \(categories, texts, dim\) = \(3, .*, 12\)"):
        make_classifier("timo").fit(text_task.support, text_task.labels, text=np.ones(shape))
