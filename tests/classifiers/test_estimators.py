"""The contract of a scikit-learn estimator, and of a few-shot classifier."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from flawshot import CLASSIFIERS, FlawshotError, make_classifier

# Few steps keep the trained one quick; every default is a fit of 500.
QUICK = {"zip-adapter-f": {"steps": 20}}
NAMES = list(CLASSIFIERS)


def make(name):
    return make_classifier(name, **QUICK.get(name, {}))


@parametrize_with_checks([make(name) for name in NAMES])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def features(seed=0, support=6, queries=5, views=4, dim=7):
    rng = np.random.default_rng(seed)
    labels = np.array(["a", "b", "c"] * support)[:support]
    return rng.normal(size=(support, views, dim)), labels, rng.normal(size=(queries, views, dim))


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_are_shares_in_the_order_of_the_classes(name):
    support, labels, query = features()
    fitted = make(name).fit(support, labels)
    shares = fitted.predict_proba(query)
    assert list(fitted.classes_) == ["a", "b", "c"]
    assert shares.shape == (5, 3)
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert (shares >= 0).all()
    np.testing.assert_array_equal(fitted.predict(query), fitted.classes_[shares.argmax(axis=1)])
    assert (fitted.n_features_in_, fitted.n_views_in_) == (7, 4)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_fit_gives_the_same_numbers(name):
    support, labels, query = features()
    first = make(name).fit(support, labels).predict_proba(query)
    again = clone(make(name)).fit(support, labels)
    np.testing.assert_array_equal(again.predict_proba(query), first)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(again)).predict_proba(query), first)  # noqa: S301


@pytest.mark.parametrize("name", NAMES)
def test_a_matrix_is_taken_as_instances_of_one_view(name):
    support, labels, query = features(views=1)
    cube = make(name).fit(support, labels).predict_proba(query)
    matrix = make(name).fit(support[:, 0], labels).predict_proba(query[:, 0])
    np.testing.assert_array_equal(cube, matrix)


@pytest.mark.parametrize("name", NAMES)
def test_what_does_not_fit_is_refused(name):
    support, labels, query = features()
    with pytest.raises(NotFittedError):
        make(name).predict(query)
    fitted = make(name).fit(support, labels)
    with pytest.raises(ValueError, match="7 features"):
        fitted.predict(query[..., :5])
    with pytest.raises(ValueError, match="NaN"):
        fitted.predict(np.where(query > 1, np.nan, query))
    with pytest.raises(ValueError, match="view"):
        make(name).fit(support[:, :0], labels)
    with pytest.raises(ValueError, match="inconsistent"):
        make(name).fit(support, labels[:-1])


def test_matched_views_must_be_those_of_the_support():
    support, labels, query = features()
    with pytest.raises(ValueError, match="X has 3 views, but MatchedPrototype is expecting 4"):
        make("matched-prototype").fit(support, labels).predict(query[:, :3])


def test_a_name_that_is_none_is_one_line_with_those_that_are():
    with pytest.raises(FlawshotError, match="'zip' is not known; there are matched-prototype, zip-adapter"):
        make_classifier("zip")


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    support=st.integers(3, 9),
    views=st.integers(1, 4),
    dim=st.integers(3, 9),  # in fewer, cosines tie
    name=st.sampled_from([name for name in NAMES if name != "zip-adapter-f"]),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_order_of_the_support_and_scale_of_the_features_do_not_matter(seed, support, views, dim, name, scale):
    x, y, query = features(seed, support, 4, views, dim)
    before = make(name).fit(x, y).predict_proba(query)
    order = np.random.default_rng(seed).permutation(support)
    np.testing.assert_allclose(make(name).fit(x[order], y[order]).predict_proba(query), before, atol=2e-3)
    np.testing.assert_allclose(make(name).fit(x * scale, y).predict_proba(query * scale), before, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("matched-prototype", {"temperature": 0.0}),
        ("prototype", {"temperature": -1.0}),
        ("zip-adapter", {"beta": float("nan")}),
        ("knn", {"n_neighbors": 0}),
        ("linear-probe", {"C": "x"}),
        ("zip-adapter-f", {"learning_rate": 0}),
    ],
)
def test_parameters_that_make_no_sense_are_refused_when_fitting(name, parameters):
    support, labels, _ = features()
    with pytest.raises(ValueError, match=f"{next(iter(parameters))} must be a number above 0"):
        make_classifier(name, **parameters).fit(support, labels)


def test_lists_serve_as_arrays():
    support, labels, query = features()
    fitted = make("knn").fit(support.tolist(), labels.tolist())
    np.testing.assert_array_equal(fitted.predict(query.tolist()), make("knn").fit(support, labels).predict(query))
