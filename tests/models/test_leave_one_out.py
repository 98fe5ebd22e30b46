"""Leaving out against scikit-learn's, and against the plain statement fold by fold."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

from flawshot import CLASSIFIERS, make_classifier
from flawshot.classifiers.base import Evidence, Support
from flawshot.classifiers.knn import NearestNeighbors
from flawshot.models.calibration import calibrate, novelty
from flawshot.models.leave_one_out import leave_one_out

LABELS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
GROUPS = np.array(["a", "a", "b", "c", "d", "e", "d", "f", "g"])


def drawn(labels, dim=10, views=3, seed=1):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(max(labels) + 1, dim))
    return (means[labels][:, None] + 0.7 * rng.normal(size=(len(labels), views, dim))).astype(np.float32)


@pytest.mark.parametrize("name", ["default", "zip-adapter", "gda", "linear-probe"])
def test_predictions_are_scikit_learns_for_left_out_groups(name):
    features, classifier = drawn(LABELS), make_classifier(name)
    left = leave_one_out(classifier, features, LABELS, GROUPS)
    expected = cross_val_predict(
        classifier, features, LABELS, groups=GROUPS, cv=LeaveOneGroupOut(), method="predict_proba"
    )
    np.testing.assert_allclose(left.probabilities, expected, atol=1e-4)
    assert left.estimated.all()
    for group in np.unique(GROUPS):
        out = group == GROUPS
        np.testing.assert_allclose(left.novelty[out], novelty(features[~out], LABELS[~out], features[out]), rtol=1e-5)


def test_unknown_is_what_the_other_categories_say_without_its_images():
    features = drawn(LABELS)
    left = leave_one_out(make_classifier("prototype"), features, LABELS, GROUPS)
    expected = [
        novelty(features[kept], LABELS[kept], features[category == LABELS])
        for category, kept in ((0, [3, 4, 5, 6, 7, 8]), (1, [0, 1, 2, 7, 8]), (2, [0, 1, 2, 3, 5]))  # d holds 4 and 6
    ]
    np.testing.assert_allclose(left.held_out_novelty, np.concatenate(expected), rtol=1e-5)


def test_a_category_that_vanishes_has_no_probability_and_is_not_estimated():
    labels = np.array([0, 0, 1, 1, 1, 2])  # 0 lies in one image, 2 has one instance
    groups = ["a", "a", "b", "c", "d", "e"]
    features = drawn(labels)
    left = leave_one_out(make_classifier("default"), features, labels, groups)
    assert left.estimated.tolist() == [False, False, True, True, True, False]
    assert (left.probabilities[[0, 1, 5], labels[[0, 1, 5]]] == 0).all()
    assert np.isinf(left.novelty).tolist() == (~left.estimated).tolist()
    np.testing.assert_allclose(left.probabilities.sum(axis=1), 1, atol=1e-5)
    without = clone(make_classifier("default")).fit(features[2:], labels[2:])
    np.testing.assert_allclose(left.probabilities[:2, 1:], without.predict_proba(features[:2]), atol=1e-5)
    assert left.held_out_novelty.shape == (6,)


@pytest.mark.parametrize("folds", [0, 3])
def test_the_order_of_instances_does_not_matter(folds):
    features, classifier = drawn(LABELS), make_classifier("default")
    left = leave_one_out(classifier, features, LABELS, GROUPS, folds=folds)
    order = np.random.default_rng(0).permutation(len(LABELS))
    other = leave_one_out(classifier, features[order], LABELS[order], GROUPS[order], folds=folds)
    np.testing.assert_allclose(other.probabilities, left.probabilities[order], atol=1e-4)
    np.testing.assert_allclose(other.novelty, left.novelty[order], rtol=1e-3)
    np.testing.assert_allclose(np.sort(other.held_out_novelty), np.sort(left.held_out_novelty), rtol=1e-3)
    assert (other.estimated == left.estimated[order]).all()


def test_names_are_as_good_as_numbers():
    features, classifier = drawn(LABELS), make_classifier("default")
    named = [("hole", "hole\0", "stain")[label] for label in LABELS]  # numpy's own texts cannot tell the first two
    left, other = (leave_one_out(classifier, features, labels, GROUPS) for labels in (LABELS, named))
    for one, two in zip(left, other, strict=True):
        np.testing.assert_array_equal(one, two)


class Counting(NearestNeighbors):
    """Notes the support sets that it is fitted on."""

    def fit_many(self, supports):
        self.seen = [*getattr(self, "seen", []), *(np.asarray(each.labels) for each in supports)]
        return super().fit_many(supports)


@pytest.mark.parametrize(("folds", "fits"), [(0, 20), (5, 5), (2, 2), (20, 20), (99, 20)])
def test_folds_bound_the_fits_and_each_leaves_some_of_every_category(folds, fits):
    labels = np.repeat([0, 1], 10)
    classifier = Counting()
    leave_one_out(classifier, drawn(labels), labels, np.arange(20), folds=folds)
    assert len(classifier.seen) == fits
    for kept in classifier.seen:
        shares = np.bincount(kept)
        assert shares.sum() >= 20 - -(-20 // fits)
        assert abs(shares[0] - shares[1]) <= 1


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if not make_classifier(name).transductive])
def test_every_inductive_classifier_can_be_left_out(name):
    classifier = make_classifier(name)
    if "steps" in classifier.get_params():
        classifier.set_params(steps=3)
    features = drawn(LABELS)
    text = np.eye(3, 10, dtype=np.float32) if "text" in classifier.inputs else None
    outlines = drawn(LABELS, views=1, seed=2)[:, 0] if "outlines" in classifier.inputs else None
    left = leave_one_out(classifier, features, LABELS, GROUPS, text=text, outlines=outlines)
    out = GROUPS == "d"

    def evidence(rows):
        made = Evidence(features[rows])
        made = made if text is None else made._replace(text=text)
        return made if outlines is None else made._replace(outlines=outlines[rows])

    fitted = clone(classifier).fit_support(Support(evidence(~out), LABELS[~out]))
    np.testing.assert_allclose(left.probabilities[out], fitted.predict_evidence(evidence(out)), atol=1e-4)
    two = np.array([0, 0, 1])  # a single category is left once
    left = leave_one_out(
        classifier,
        features[:3],
        two,
        "abc",
        text=None if text is None else text[:2],
        outlines=None if outlines is None else outlines[:3],
    )
    assert left.probabilities[2].tolist() == [1, 0]


def test_of_one_category_little_can_be_said():
    features = drawn(np.zeros(4, dtype=int))
    left = leave_one_out(make_classifier("default"), features, [0] * 4, "abcd")
    assert (left.probabilities == 1).all()
    assert left.estimated.all()
    assert left.held_out_novelty.shape == (0,)


@pytest.mark.parametrize("labels", [[0], [0, 1, 1]], ids=["one instance", "one image"])
def test_of_one_image_nothing_can_be_said(labels):
    left = leave_one_out(make_classifier("default"), drawn(labels), labels, ["a"] * len(labels))
    assert not left.probabilities.any()
    assert not left.estimated.any()
    assert np.isinf(left.novelty).all()
    assert left.held_out_novelty.shape == (0,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classifier": make_classifier("default-transductive")}, "transductive"),
        ({"folds": 1}, "folds"),
        ({"folds": -2}, "folds"),
        ({"labels": LABELS[1:]}, "do not match"),
        ({"groups": "ab"}, "do not match"),
        ({"features": np.zeros((9, 10), np.float32)}, "do not match"),
        ({"features": np.full((9, 3, 10), np.nan, np.float32)}, "NaN"),
        ({"features": np.zeros((0, 3, 10)), "labels": [], "groups": []}, "do not match"),
    ],
)
def test_what_cannot_be_left_out_is_refused(change, message):
    sound = {"classifier": make_classifier("default"), "features": drawn(LABELS), "labels": LABELS, "groups": GROUPS}
    with pytest.raises(ValueError, match=message):
        leave_one_out(**(sound | change))


def kept_promises(copies, *, grouped, episodes=40, categories=4, shots=6):
    """Shares that the thresholds cover and call unknown, over support sets that show each sample several times."""
    rng = np.random.default_rng(5)
    covered, alarms = [], []
    for _ in range(episodes):
        means = 0.8 * rng.normal(size=(categories, 10))

        def drawn_of(labels, repeats, means=means):
            own = (means[labels] + rng.normal(size=(len(labels), 10))).repeat(repeats, axis=0)
            return (own[:, None] + 0.1 * rng.normal(size=(len(own), 2, 10))).astype(np.float32)

        samples, truth = np.repeat(np.arange(categories), shots // copies), np.arange(categories).repeat(10)
        labels = samples.repeat(copies)
        support, query = drawn_of(samples, copies), drawn_of(truth, 1)
        groups = np.arange(len(labels)) // (copies if grouped else 1)
        classifier = make_classifier("prototype")  # quick to fit
        left = leave_one_out(classifier, support, labels, groups)
        made = calibrate(left.probabilities, labels, left.novelty, left.held_out_novelty, 0.8, groups=groups)
        assert made.promised == 0.8
        given = classifier.fit(support, labels).predict_proba(query)
        covered.append((given[np.arange(len(truth)), truth] >= made.least[0]).mean())
        alarms.append(made.judge(given, novelty(support, labels, query)).unknown.mean())
    return np.mean(covered), np.mean(alarms), 3 * np.std(covered) / episodes**0.5


@pytest.mark.parametrize("copies", [1, 2], ids=["samples", "pairs"])
def test_what_is_calibrated_on_left_out_fits_holds_of_the_whole_fit(copies):
    covered, alarms, slack = kept_promises(copies, grouped=True)
    assert covered >= 0.8 - slack
    assert covered < 0.95  # not by taking everything in
    assert alarms <= 0.1 + slack


def test_left_out_one_by_one_pictures_of_one_sample_break_the_promise():
    covered, _, slack = kept_promises(2, grouped=False)
    assert covered < 0.8 - slack
