"""The contract of a scikit-learn estimator, and of a few-shot classifier."""

from __future__ import annotations

import contextlib
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from flawshot import CLASSIFIERS, FlawshotError, make_classifier

# Few steps keep the trained ones quick; their defaults are fits of 100 to 500.
QUICK = {name: {"steps": 20} for name in ("zip-adapter-f", "tip-adapter-f", "clip-adapter", "lp-plus-plus", "clap")}
NAMES = list(CLASSIFIERS)


def make(name):
    return make_classifier(name, **QUICK.get(name, {}))


def fit(name, support, labels):
    """Fit a classifier, with text features where it needs them."""
    fitted = clone(make(name))
    text = np.random.default_rng(7).normal(size=(len(np.unique(labels)), support.shape[-1]))
    return fitted.fit(support, labels, text=text if "text" in fitted.inputs else None)


class TextFromSupport:
    """scikit-learn's checks know of no text: the support set's category means stand for it."""

    def fit(self, X, y, *, text=None):
        with contextlib.suppress(IndexError, TypeError, ValueError):  # what is wrong is the estimator's to say
            matrix = np.asarray(X)
            categories, numbers = np.unique(np.ravel(np.asarray(y)), return_inverse=True)
            text = [matrix[numbers == number].mean(axis=0) for number in range(len(categories))]
        return super().fit(X, y, text=text)


def shell(estimator):
    """The estimator, or one of a class of the same name that makes its text features itself."""
    kind = type(estimator)
    if "text" not in kind.inputs:
        return estimator
    made = type(kind.__name__, (TextFromSupport, kind), {"__module__": __name__, "__doc__": kind.__doc__})
    globals()[kind.__name__] = made  # where pickle looks for it
    return made(**estimator.get_params())


def checks_that_do_not_apply(estimator):
    if estimator.transductive:
        return {"check_methods_subset_invariance": "transductive: what a query gets depends on those asked with it"}
    return {}


@parametrize_with_checks([shell(make(name)) for name in NAMES], expected_failed_checks=checks_that_do_not_apply)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def features(seed=0, support=6, queries=5, views=4, dim=7):
    rng = np.random.default_rng(seed)
    labels = np.array(["a", "b", "c"] * support)[:support]
    return rng.normal(size=(support, views, dim)), labels, rng.normal(size=(queries, views, dim))


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_are_shares_in_the_order_of_the_classes(name):
    support, labels, query = features()
    fitted = fit(name, support, labels)
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
    first = fit(name, support, labels).predict_proba(query)
    again = fit(name, support, labels)
    np.testing.assert_array_equal(again.predict_proba(query), first)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(again)).predict_proba(query), first)  # noqa: S301


@pytest.mark.parametrize("name", NAMES)
def test_a_matrix_is_taken_as_instances_of_one_view(name):
    support, labels, query = features(views=1)
    cube = fit(name, support, labels).predict_proba(query)
    matrix = fit(name, support[:, 0], labels).predict_proba(query[:, 0])
    np.testing.assert_array_equal(cube, matrix)


@pytest.mark.parametrize("name", NAMES)
def test_what_does_not_fit_is_refused(name):
    support, labels, query = features()
    with pytest.raises(NotFittedError):
        make(name).predict(query)
    fitted = fit(name, support, labels)
    with pytest.raises(ValueError, match="7 features"):
        fitted.predict(query[..., :5])
    with pytest.raises(ValueError, match="NaN"):
        fitted.predict(np.where(query > 1, np.nan, query))
    with pytest.raises(ValueError, match="view"):
        fit(name, support[:, :0], labels)
    with pytest.raises(ValueError, match="inconsistent"):
        fit(name, support, labels[:-1])


def test_matched_views_must_be_those_of_the_support():
    support, labels, query = features()
    with pytest.raises(ValueError, match="X has 3 views, but MatchedPrototype is expecting 4"):
        make("matched-prototype").fit(support, labels).predict(query[:, :3])


def test_a_name_that_is_none_is_one_line_with_those_that_are():
    with pytest.raises(FlawshotError, match="'zip': is not known; there are default, evidence-ridge, whitened-ridge, "):
        make_classifier("zip")


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    support=st.integers(3, 9),
    views=st.integers(1, 4),
    dim=st.integers(3, 9),  # in fewer, cosines tie
    # Zip-Adapter-F adds SiLU(W x + b) to x: what it learns depends on how long x is, in its paper as here.
    # outline's numbers are standard deviations already: how large they are is what they say.
    name=st.sampled_from([name for name in NAMES if name not in {"zip-adapter-f", "outline"}]),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_order_of_the_support_and_scale_of_the_features_do_not_matter(seed, support, views, dim, name, scale):
    x, y, query = features(seed, support, 4, views, dim)
    before = fit(name, x, y).predict_proba(query)
    order = np.random.default_rng(seed).permutation(support)
    np.testing.assert_allclose(fit(name, x[order], y[order]).predict_proba(query), before, atol=2e-3)
    np.testing.assert_allclose(fit(name, x * scale, y).predict_proba(query * scale), before, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("matched-prototype", {"temperature": 0.0}),
        ("prototype", {"temperature": -1.0}),
        ("zip-adapter", {"beta": float("nan")}),
        ("knn", {"n_neighbors": 0}),
        ("linear-probe", {"C": "x"}),
        ("zip-adapter-f", {"learning_rate": 0}),
        ("zero-shot", {"scale": 0.0}),
        ("tip-adapter", {"beta": -5.5}),
        ("tip-adapter-f", {"alpha": 0.0}),
        ("clip-adapter", {"ratio": 0.0}),
        ("clip-adapter", {"ratio": 1.5}),  # more than all of the blend
        ("soft-kmeans", {"temperature": 0}),
        ("gda-text", {"alpha": -1.0}),
        ("timo", {"gamma": 0}),
        ("proker", {"ridge": 0.0}),
        ("proker-text", {"beta": 0.0}),
        ("clap", {"text_length": 0.0}),
        ("transclip", {"support_weight": 0.0}),
        ("transclip-text", {"text_weight": 0.0}),
        ("default", {"shrinkage": 0}),
        ("evidence-ridge", {"evidence_weight": -1}),
        ("whitened-ridge", {"shrinkage": 0}),
        ("default-transductive", {"query_weight": -0.5}),
    ],
)
def test_parameters_that_make_no_sense_are_refused_when_fitting(name, parameters):
    support, labels, _ = features()
    with pytest.raises(ValueError, match=f"{next(iter(parameters))} must be a number above 0"):
        make_classifier(name, **parameters).fit(support, labels)


@pytest.mark.parametrize("name", [name for name in NAMES if "text" in make(name).inputs])
def test_text_features_must_be_there_one_a_category(name):
    support, labels, _ = features()
    with pytest.raises(ValueError, match=r"needs text features of the categories: fit\(X, y, text=…\)"):
        make(name).fit(support, labels)
    with pytest.raises(ValueError, match=r"text has shape \(2, 7\), not \(categories, dim\) = \(3, 7\)"):
        make(name).fit(support, labels, text=np.ones((2, 7)))


def test_lists_serve_as_arrays():
    support, labels, query = features()
    fitted = make("knn").fit(support.tolist(), labels.tolist())
    np.testing.assert_array_equal(fitted.predict(query.tolist()), make("knn").fit(support, labels).predict(query))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("soft-kmeans", {"iterations": -3}),
        ("transclip", {"iterations": -1}),
        ("lp-plus-plus", {"steps": 1.5}),
        ("default-transductive", {"iterations": 0.5}),
        ("tip-adapter-f", {"steps": 2.5}),
        ("zip-adapter-f", {"steps": -1}),
        ("clip-adapter", {"random_state": None}),
    ],
)
def test_counts_that_are_no_counts_are_refused_when_fitting(name, parameters):
    support, labels, _ = features()
    with pytest.raises(ValueError, match=f"{next(iter(parameters))} must be a whole number of at least 0"):
        make_classifier(name, **parameters).fit(support, labels)
