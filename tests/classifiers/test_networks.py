"""Classifiers as torch modules: the same probabilities as from numpy, or a refusal in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from flawshot import FlawshotError
from flawshot.classifiers import CLASSIFIERS, make_classifier
from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import join_by_certainty
from flawshot.classifiers.networks import join_by_certainty as joined_by_torch
from flawshot.models.calibration import fit_novelty
from flawshot.models.fitting import pick_classifier


def usable(name):
    try:
        pick_classifier(name)
    except FlawshotError:
        return False
    return True


IN_MODELS = [name for name in CLASSIFIERS if usable(name)]
# Parameters other than the defaults, so that a module that forgets one is found.
OTHERS = {
    "evidence-ridge": {
        "ridge": 2.0,
        "one_shot_ridge": 4.0,
        "shrinkage": 0.5,
        "score_temperature": 0.3,
        "evidence_weight": 0.1,
        "view_weight": 0.5,
        "prior_temperature": 0.5,
    },
    "whitened-ridge": {"ridge": 2.0, "shrinkage": 0.5},
    "matched-prototype": {"temperature": 0.4},
    "zip-adapter": {"beta": 3.0},
    "zip-adapter-f": {"beta": 4.0, "steps": 20, "learning_rate": 0.01},
    "prototype": {"temperature": 0.2},
    "knn": {"n_neighbors": 3},
    "linear-probe": {"C": 2.0},
    "gda": {},
    "proker": {"beta": 4.0, "ridge": 0.5},
}


# Zip-Adapter multiplies cosines by 32 and divides by 0.11, so float32 rounding alone moves its probabilities by more
# than 1e-5, from those that float64 gives as much as from each other.
WITHIN = {"zip-adapter": 1e-4}


def drawn(categories, shots, views, dim=24, queries=40, seed=0):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(categories, 1, dim))
    labels = np.repeat(np.arange(categories), shots)
    support = means[labels] + 0.8 * rng.normal(size=(len(labels), views, dim))
    asked = means[rng.integers(categories, size=queries)] + 0.8 * rng.normal(size=(queries, views, dim))
    return support.astype(np.float32), labels, asked.astype(np.float32)


def by_torch(network, features):
    with torch.inference_mode():
        return network(torch.from_numpy(features)).numpy()


def test_every_classifier_of_a_model_is_tested_with_other_parameters():
    assert sorted(IN_MODELS) == sorted(OTHERS)


@pytest.mark.parametrize("other", [False, True], ids=["defaults", "other parameters"])
@pytest.mark.parametrize(
    ("categories", "shots", "views"),
    [
        pytest.param(3, 1, 9, id="1 shot"),
        pytest.param(5, 5, 3, id="5 shots"),
        pytest.param(2, 30, 3, id="more instances than features, two categories"),
        pytest.param(4, 2, 1, id="one view, so nothing is whitened"),
    ],
)
@pytest.mark.parametrize("name", IN_MODELS)
def test_a_network_gives_the_classifier_s_probabilities(name, categories, shots, views, other):
    support, labels, asked = drawn(categories, shots, views)
    fitted = make_classifier(name, **OTHERS[name] if other else {}).fit(support, labels)
    found = by_torch(fitted.network(), asked)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, fitted.predict_proba(asked), atol=WITHIN.get(name, 1e-5))


@pytest.mark.parametrize("name", [name for name in IN_MODELS if name != "matched-prototype"])
def test_a_network_takes_any_number_of_views(name):
    support, labels, asked = drawn(3, 3, 4)
    fitted = make_classifier(name).fit(support, labels)
    found = by_torch(fitted.network(), asked[:, :2])
    np.testing.assert_allclose(found, fitted.predict_proba(asked[:, :2]), atol=WITHIN.get(name, 1e-5))


# To a neighbor, everything is equally far from 0, so any may be counted.
@pytest.mark.parametrize("name", [name for name in IN_MODELS if name != "knn"])
def test_features_of_zero_are_not_divided_by(name):
    support, labels, asked = drawn(3, 2, 2)
    asked[0] = 0
    fitted = make_classifier(name).fit(support, labels)
    found = by_torch(fitted.network(), asked)
    np.testing.assert_allclose(found, fitted.predict_proba(asked), atol=WITHIN.get(name, 1e-5))


@pytest.mark.parametrize("name", sorted(set(CLASSIFIERS) - set(IN_MODELS)))
def test_a_classifier_that_sees_more_or_all_queries_says_no(name):
    support, labels, _ = drawn(3, 2, 2)
    text, outlines = np.eye(3, 24, dtype=np.float32), np.random.default_rng(0).normal(size=(6, 10))
    fitted = make_classifier(name)
    given = {"text": text} if "text" in fitted.inputs else {}
    if fitted.inputs == {"outlines"}:
        fitted.fit(outlines, labels)
    else:
        fitted.fit(support, labels, **given, **({"outlines": outlines} if "outlines" in fitted.inputs else {}))
    with pytest.raises(FlawshotError, match=f"classifier {type(fitted).__name__}: cannot be exported, .*; use default"):
        fitted.network()


class OfAPackage(FewShotClassifier):
    """A classifier that defines no network."""

    def _fit(self, support, labels):
        pass

    def _probabilities(self, query):
        return np.full((len(query.features), len(self.classes_)), 1 / len(self.classes_), dtype=np.float32)


def test_a_package_s_classifier_without_a_network_says_no():
    support, labels, _ = drawn(3, 2, 2)
    with pytest.raises(FlawshotError, match="classifier OfAPackage: cannot be exported"):
        OfAPackage().fit(support, labels).network()


def test_an_unfitted_classifier_has_no_network():
    with pytest.raises(NotFittedError):
        make_classifier("default").network()


@pytest.mark.parametrize("categories", [1, 2, 6])
def test_views_are_joined_as_by_numpy(categories):
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.full(categories, 0.2), size=(30, 5)).astype(np.float32)
    shares[0] = 1 / categories  # no view is certain
    shares[1] = np.eye(categories)[0]  # all are
    found = joined_by_torch(torch.from_numpy(shares)).numpy()
    np.testing.assert_allclose(found, join_by_certainty(shares), atol=1e-6)


@pytest.mark.parametrize("views", [1, 4])
def test_novelty_has_a_network_too(views):
    support, labels, asked = drawn(3, 1 if views == 1 else 4, views)
    measure = fit_novelty(support, labels)
    np.testing.assert_allclose(by_torch(measure.network(), asked), measure.of(asked), rtol=1e-4)
