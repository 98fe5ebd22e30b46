"""Prediction sets and novelty against plain statements of them, and what they promise against draws."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import normalize

from flawshot.models.calibration import Calibration, calibrate, fit_novelty, novelty

NOTHING = np.zeros(0)


def drawn_probabilities(rng, n, categories=4, sharpness=2.0, labels=None):
    """Probabilities that lean to the label by more or less."""
    labels = rng.integers(categories, size=n) if labels is None else labels
    logits = rng.normal(size=(n, categories)) + sharpness * np.eye(categories)[labels]
    powers = np.exp(logits)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32), labels


@pytest.fixture
def examples():
    probabilities, labels = drawn_probabilities(np.random.default_rng(3), 40)
    return probabilities, labels, np.random.default_rng(4).gamma(5, size=40).astype(np.float32)


@pytest.mark.parametrize("coverage", [0.85, 0.9, 0.95])
def test_the_threshold_is_numpys_quantile_of_the_conformal_level(examples, coverage):
    probabilities, labels, newness = examples
    made = calibrate(probabilities, labels, newness, NOTHING, coverage, false_alarms=1 - coverage)
    level = math.ceil(41 * coverage) / 40
    own = probabilities[np.arange(40), labels]
    assert made.least == (pytest.approx(1 - np.quantile(1 - own, level, method="inverted_cdf")),) * 4
    assert made.novelty_limit == pytest.approx(np.quantile(newness, level, method="inverted_cdf"))
    assert made.promised == coverage
    assert not made.by_category


@settings(max_examples=12, deadline=None)
@given(
    n=st.integers(9, 70),
    coverage=st.sampled_from([0.6, 0.8, 0.9]),
    sharpness=st.floats(0, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_of_exchangeable_regions_the_promised_share_is_covered(n, coverage, sharpness, seed):
    rng = np.random.default_rng(seed)
    covered, alarms, draws, asked = 0, 0, 300, 40
    for _ in range(draws):
        labels = np.concatenate([np.arange(4), rng.integers(4, size=n - 4)])
        probabilities, _ = drawn_probabilities(rng, n, 4, sharpness, labels)
        made = calibrate(probabilities, labels, rng.normal(size=n) ** 2, NOTHING, coverage, false_alarms=1 - coverage)
        assert made.promised == coverage
        queries, truth = drawn_probabilities(rng, asked, 4, sharpness)
        judged = made.judge(queries, rng.normal(size=asked) ** 2)
        covered += judged.sets[np.arange(asked), truth].sum()
        alarms += judged.unknown.sum()
    # A draw's coverage is beta distributed, its mean rank / (n + 1); four deviations of the mean of all draws.
    rank = math.ceil((n + 1) * coverage - 1e-9)
    variance = rank * (n + 1 - rank) / ((n + 1) ** 2 * (n + 2)) + coverage * (1 - coverage) / asked
    slack = 4 * math.sqrt(variance / draws)
    assert covered / (draws * asked) >= coverage - slack
    assert alarms / (draws * asked) == pytest.approx(1 - rank / (n + 1), abs=slack)


def test_with_enough_examples_each_category_is_covered_however_hard_it_is_and_however_frequent():
    rng = np.random.default_rng(0)
    hard = np.array([4.0, 2.0, 0.5, 3.0])
    covered, draws, each = np.zeros((2, 4)), 200, 25
    for _ in range(draws):
        for row, enough in enumerate((18, 19)):  # pooled, and each by itself
            labels = np.repeat(np.arange(4), enough)
            probabilities, _ = drawn_probabilities(rng, 4 * enough, 4, hard[labels][:, None], labels)
            made = calibrate(probabilities, labels, np.ones(len(labels)), NOTHING)
            assert made.by_category == (enough == 19)
            truth = np.repeat(np.arange(4), each)
            queries, _ = drawn_probabilities(rng, len(truth), 4, hard[truth][:, None], truth)
            sets = made.judge(queries, np.ones(len(truth))).sets
            covered[row] += sets[np.arange(len(truth)), truth].reshape(4, each).sum(axis=1)
    shares = covered / (draws * each)
    assert shares[0].mean() >= 0.9 - 0.01
    assert shares[0].min() < 0.85  # what is promised over all regions is not promised for the hard category
    assert (shares[1] >= 0.9 - 4 * math.sqrt(0.9 * 0.1 * (1 / 20 + 1 / each) / draws)).all()


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(4, 120),
    shares=st.lists(st.floats(0.05, 0.97), min_size=2, max_size=4).map(sorted),
    seed=st.integers(0, 2**32 - 1),
)
def test_more_coverage_means_larger_sets_and_more_alarms_more_unknowns(n, shares, seed):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(4), rng.integers(4, size=n - 4)])
    probabilities, _ = drawn_probabilities(rng, n, 4, 2.0, labels)
    queries, _ = drawn_probabilities(rng, 30)
    newness, asked = rng.normal(size=n) ** 2, rng.normal(size=30) ** 2
    made = [calibrate(probabilities, labels, newness, NOTHING, share, false_alarms=share) for share in shares]
    judged = [each.judge(queries, asked) for each in made]
    for (one, less), (two, more) in itertools.pairwise(zip(made, judged, strict=True)):
        if one.by_category == two.by_category:
            assert not (less.sets & ~more.sets).any()
        assert not (less.unknown & ~more.unknown).any()
    for each in judged:
        assert each.sets[np.arange(30), queries.argmax(axis=1)].all()


def test_the_order_of_examples_does_not_matter_nor_how_labels_are_named(examples):
    probabilities, labels, newness = examples
    order = np.random.default_rng(1).permutation(40)
    held, groups = newness[:9] + 3, np.arange(40) // 2
    expected = calibrate(probabilities, labels, newness, held, groups=groups)
    assert calibrate(probabilities[order], labels[order], newness[order], held[::-1], groups=groups[order]) == expected
    named = [("a", "b", "c", "d\0")[label] for label in labels]
    assert calibrate(probabilities, named, newness, held, groups=[f"{group}.png" for group in groups]) == expected


def test_none_or_several_probable_categories_are_unsure():
    labels = np.repeat([0, 1], 10)
    probabilities = np.where(np.eye(2)[labels] > 0, 0.7, 0.3)
    made = calibrate(probabilities, labels, np.arange(20.0), NOTHING)
    assert made.least == (0.7, 0.7)
    queries = np.array([[0.7, 0.3], [0.69, 0.31], [0.9, 0.8]])
    judged = made.judge(queries, [0, 18, 18.5])
    assert judged.unsure.tolist() == [False, True, True]
    assert judged.sets.tolist() == [[True, False], [True, False], [True, True]]
    assert judged.unknown.tolist() == [False, False, True]  # the 19th of 20, 0.9 of 21, is 18


@pytest.mark.parametrize(
    ("labels", "own", "promised"),
    [
        ([0, 1] * 4, 0.99, None),  # eight examples: 0.9 takes nine
        ([0, 1] * 4 + [1], 0.99, 0.9),
        ([0, 1, 2, 3], 0.0, None),  # one example a category: each vanishes when it is left out
        ([0] * 9 + [1] * 9 + [2], 0.99, 0.9),  # one of nineteen may be below the threshold
        ([0] * 5 + [1] * 5 + [2, 3], 0.99, None),  # two of twelve may not
        ([0], 1.0, None),  # one example
        ([0] * 9, 1.0, 0.9),  # one category
    ],
    ids=["eight", "nine", "one shot", "one single", "two singles", "one example", "one category"],
)
def test_what_cannot_be_promised_is_not(labels, own, promised):
    labels = np.array(labels)
    categories = labels.max() + 1
    single = np.bincount(labels)[labels] == 1
    share = np.where(single & (categories > 1), 0.0, own)
    probabilities = np.full((len(labels), categories), 0.001)
    probabilities[np.arange(len(labels)), labels] = share
    newness = np.where(share > 0, 1.0, np.inf)
    made = calibrate(probabilities, labels, newness, NOTHING)
    assert made.promised == promised
    assert (made.novelty_limit is None) == (promised is None)
    query = np.full((2, categories), 0.01)
    query[:, 0] = (0.89, 0.995) if categories > 1 else (1, 1)
    judged = made.judge(query, [0.5, 1e9])
    assert judged.sets.all() == (promised is None or categories == 1)
    assert judged.unsure.tolist() == [categories > 1, False]
    assert judged.unknown.tolist() == [False, promised is not None]


def test_examples_that_are_all_alike_are_all_covered():
    labels = np.repeat([0, 1], 10)
    made = calibrate(np.full((20, 2), 0.5), labels, np.full(20, 2.0), np.full(6, 2.0))
    assert made.judge(np.full((1, 2), 0.5), [2.0]).sets.all()
    assert not made.judge(np.full((1, 2), 0.5), [2.0]).unknown.any()
    assert made.unknown_found == 0
    assert made.unknown_auroc == 0.5


def test_instances_of_few_images_count_as_few(examples):
    probabilities, labels, newness = examples
    alone = calibrate(probabilities, labels, newness, NOTHING, 0.8)
    several = calibrate(probabilities, labels, newness, NOTHING, 0.8, groups=np.arange(40) // 5)
    assert (alone.groups, several.groups) == (40, 8)
    assert several.least[0] <= alone.least[0]
    assert calibrate(probabilities, labels, newness, NOTHING, 0.8, groups=np.arange(40) // 14).promised is None
    ten = np.repeat(np.arange(4), 10)
    copied = [np.repeat(x, 5, axis=0) for x in (probabilities, ten, newness)]
    again = calibrate(*copied, NOTHING, 0.8, groups=np.repeat(np.arange(40), 5))
    assert again.least == calibrate(probabilities, ten, newness, NOTHING, 0.8).least


def test_how_well_unknown_is_told_is_scikit_learns_auroc(examples):
    probabilities, labels, newness = examples
    held = np.random.default_rng(5).gamma(9, size=25)
    made = calibrate(probabilities, labels, newness, held)
    assert made.unknown_auroc == pytest.approx(roc_auc_score([0] * 40 + [1] * 25, [*newness, *held]))
    assert made.unknown_found == (held > made.novelty_limit).mean()


def test_a_calibration_is_kept_as_json(examples):
    probabilities, labels, newness = examples
    made = calibrate(probabilities, labels, newness, newness + 1)
    text = made.model_dump_json()
    assert Calibration.model_validate_json(text) == made
    with pytest.raises(ValidationError, match="novelty_limit"):
        Calibration.model_validate_json(text.replace(f"{made.novelty_limit}", "NaN"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probabilities": np.full((4, 2), np.nan)}, "finite"),
        ({"probabilities": np.full((4, 2), -0.1)}, "not negative"),
        ({"probabilities": np.full((4, 3), 0.1)}, "do not match"),
        ({"novelty": [1, 2, np.nan, 3]}, "not be NaN"),
        ({"novelty": [1, 2, 3]}, "do not match"),
        ({"labels": [0, 1, 1]}, "do not match"),
        ({"held_out_novelty": [np.nan]}, "no NaN"),
        ({"coverage": 1.0}, "above 0 and below 1"),
        ({"false_alarms": 0.0}, "above 0 and below 1"),
        ({"groups": [1, 2]}, "do not match"),
        ({"probabilities": np.zeros((0, 0)), "labels": [], "novelty": []}, "needs at least one example"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_be_calibrated_is_refused(change, message):
    sound = {
        "probabilities": np.full((4, 2), 0.5),
        "labels": [0, 1, 0, 1],
        "novelty": np.ones(4),
        "held_out_novelty": [],
    }
    calibrate(**sound)
    with pytest.raises(ValueError, match=message):
        calibrate(**(sound | change))


def test_predictions_that_do_not_fit_are_refused(examples):
    made = calibrate(*examples, NOTHING)
    for probabilities, newness in (
        (np.full((2, 3), 0.3), [1, 1]),
        (np.full((2, 4), np.nan), [1, 1]),
        (np.full((2, 4), 0.2), [1, np.nan]),
        (np.full((2, 4), 0.2), [1]),
    ):
        with pytest.raises(ValueError, match=r"do not match|were calibrated|finite"):
            made.judge(probabilities, newness)
    assert made.judge(np.zeros((0, 4)), []).sets.shape == (0, 4)


@pytest.fixture
def support():
    rng = np.random.default_rng(2)
    labels = np.array([0, 0, 0, 1, 1, 2])
    means, stray = 3 * rng.normal(size=(3, 8)), rng.normal(size=(2, 8))

    def views(labels, instances=1.0):
        own = means[labels] + instances * rng.normal(size=(len(labels), 2)) @ stray
        return (own[:, None] + 0.2 * rng.normal(size=(len(labels), 4, 8))).astype(np.float32)

    return views(labels), labels, views(rng.integers(3, size=30))


def by_hand(support, labels, query, shrinkage=2.0):
    unit, asked = (np.array([normalize(instance.astype(float)) for instance in x]) for x in (support, query))
    instances = unit.mean(axis=1)
    means = np.array([instances[labels == label].mean(axis=0) for label in np.unique(labels)])
    counts = np.array([(labels == label).sum() for label in np.unique(labels)])
    residuals = (unit - instances[:, None]).reshape(-1, unit.shape[2])
    within = sum(
        np.cov(instances[labels == label].T, bias=True) * (labels == label).sum()
        for label, count in zip(np.unique(labels), counts, strict=True)
        if count > 1
    )
    scatter = residuals.T @ residuals / len(residuals) + within / (len(labels) - len(means))
    level = shrinkage * np.trace(scatter) / len(scatter)
    precision = np.linalg.inv(scatter / level + np.eye(len(scatter)))
    away = asked.mean(axis=1)[:, None] - means
    return (np.einsum("qcd,de,qce->qc", away, precision, away) * counts / (counts + 1)).min(axis=1)


def test_novelty_is_its_plain_statement(support):
    views, labels, query = support
    found = novelty(views, labels, query)
    np.testing.assert_allclose(found, by_hand(views, labels, query), rtol=1e-4)
    assert found.dtype == np.float32
    named = [("hole", "scratch", "stain")[label] for label in labels]
    order = np.array([5, 2, 0, 4, 1, 3])
    np.testing.assert_array_equal(novelty(views, named, query), found)
    np.testing.assert_allclose(novelty(views[order], labels[order], query), found, rtol=1e-4)
    np.testing.assert_allclose(novelty(views, labels, query[:, ::-1]), found, rtol=1e-4)
    measure = fit_novelty(views, labels)
    np.testing.assert_allclose(np.concatenate([measure.of(query[:11]), measure.of(query[11:])]), found, rtol=1e-4)
    np.testing.assert_allclose(novelty(7 * views, labels, 3 * query), found, rtol=1e-4)


def test_what_is_of_no_category_is_newer_than_what_is(support):
    views, labels, query = support
    other = np.random.default_rng(8).normal(size=(30, 4, 8)).astype(np.float32)
    new = np.concatenate([novelty(views, labels, query), novelty(views, labels, other)])
    assert roc_auc_score(np.repeat([0, 1], 30), new) > 0.9


def test_novelty_of_little_or_nothing(support):
    views, labels, query = support
    one = novelty(views[:1], labels[:1], query)
    assert np.isfinite(one).all()
    assert novelty(views[:1], labels[:1], views[:1]) == pytest.approx(0, abs=1e-6)
    assert np.isfinite(novelty(views[:1, :1], labels[:1], query)).all()  # no scatter at all
    assert novelty(views, labels, query[:0]).shape == (0,)


@pytest.mark.parametrize("which", ["support", "query", "shape", "labels", "empty"])
def test_features_that_say_nothing_are_refused(support, which):
    views, labels, query = (x.copy() for x in support)
    if which == "shape":
        query = query[..., :5]
    elif which == "labels":
        labels = labels[:-1]
    elif which == "empty":
        views, labels = views[:0], labels[:0]
    else:
        (views if which == "support" else query)[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="novelty takes finite"):
        novelty(views, labels, query)
