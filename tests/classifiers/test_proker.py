"""ProKeR, with text and without, against scikit-learn's kernel ridge regression: ``proker``, ``proker_text``."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.kernel_ridge import KernelRidge

from flawshot import make_classifier
from text_task import mean_views, unit

PARAMETERS = [{}, {"beta": 6.0}, {"ridge": 0.7}]


def expected(task, prior, beta=1.5, ridge=0.05):
    """scikit-learn's minimizer for what the prior gets wrong, times the ridge, on top of the prior.

    For vectors of length one, beta (1 - cosine) is beta / 2 times the squared distance, scikit-learn's gamma.
    """
    x, q = mean_views(task.support), mean_views(task.query)
    regression = KernelRidge(alpha=ridge, kernel="rbf", gamma=beta / 2)
    regression.fit(x, np.eye(3)[task.labels] - prior(x))
    return softmax(100 * (prior(q) + ridge * regression.predict(q)), axis=1)


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_without_text_it_is_scikit_learns_kernel_ridge(text_task, parameters):
    found = make_classifier("proker", **parameters).fit(text_task.support, text_task.labels)
    want = expected(text_task, lambda x: np.zeros((len(x), 3)), **parameters)
    np.testing.assert_allclose(found.predict_proba(text_task.query), want, atol=1e-6)


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_with_text_it_regresses_what_zero_shot_gets_wrong(text_task, parameters):
    found = make_classifier("proker-text", **parameters).fit(text_task.support, text_task.labels, text=text_task.text)
    want = expected(text_task, lambda x: x @ unit(text_task.text).T, **parameters)
    np.testing.assert_allclose(found.predict_proba(text_task.query), want, atol=1e-5)
    alone = make_classifier("proker", **parameters).fit(text_task.support, text_task.labels)
    by_text = make_classifier("zero-shot").fit(text_task.support, text_task.labels, text=text_task.text)
    for other in (alone, by_text):  # both have their say
        assert np.abs(other.predict_proba(text_task.query) - want).max() > 0.05


def test_far_from_the_support_set_the_prior_answers(text_task):
    """A sharp kernel leaves the queries no support instance."""
    support, labels, query, text = text_task
    by_text = make_classifier("zero-shot").fit(support, labels, text=text).predict_proba(query)
    sharp = make_classifier("proker-text", beta=1e4).fit(support, labels, text=text)
    np.testing.assert_allclose(sharp.predict_proba(query), by_text, atol=1e-5)
    np.testing.assert_allclose(make_classifier("proker", beta=1e4).fit(support, labels).predict_proba(query), 1 / 3)
