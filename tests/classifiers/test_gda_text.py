"""GDA with text, against scikit-learn's linear discriminant analysis."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from flawshot import make_classifier
from text_task import mean_views, unit


def scikit_learns_discriminants(x, labels, queries):
    """x'P mu - mu'P mu / 2 of each query and category, P being d ((N - 1) Cov + trace(Cov) I)^-1.

    scikit-learn shrinks the covariance S / N to (1 - s) S / N + s trace(S) / (N d) I: with s = d / (d + N - 1), that is
    the inverse of P, times d (1 - s) / N.
    """
    count, dim = x.shape
    share = dim / (dim + count - 1)
    analysis = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=share).fit(x, labels)
    logits = analysis.decision_function(queries) - np.log(analysis.priors_)
    return dim * (1 - share) / count * logits


@pytest.mark.parametrize("parameters", [{}, {"alpha": 3.0}])
def test_it_adds_scikit_learns_discriminants_to_zero_shot(text_task, parameters):
    support, labels, query, text = text_task
    queries = mean_views(query)
    by_text = 100 * queries @ unit(text).T
    by_image = scikit_learns_discriminants(mean_views(support), labels, queries)
    found = make_classifier("gda-text", **parameters).fit(support, labels, text=text).predict_proba(query)
    want = softmax(by_text + parameters.get("alpha", 0.1) * by_image, axis=1)
    np.testing.assert_allclose(found, want, atol=2e-5)
    assert np.abs(softmax(by_text, axis=1) - want).max() > 0.05  # the discriminants have their say


def test_a_great_weight_leaves_gda_without_text(text_task):
    support, labels, query, text = text_task
    found = make_classifier("gda-text", alpha=1e6).fit(support, labels, text=text)
    np.testing.assert_array_equal(found.predict(query), make_classifier("gda").fit(support, labels).predict(query))
