"""Joined names: a weighted geometric mean, with the weights that held-out regions speak for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from flawshot.evaluation.joining import USUAL, HeldOutName, Naming, best_naming, joined, known_shares, named


def shares(*values):
    return np.array(values, dtype=np.float32)


def test_it_is_the_normalized_geometric_mean():
    rng = np.random.default_rng(0)
    p, s = rng.dirichlet(np.ones(4), 5).astype(np.float32), rng.dirichlet(np.ones(4), 5).astype(np.float32)
    made = joined(p, list(s), 0.3)
    assert made == pytest.approx(softmax(0.7 * np.log(p) + 0.3 * np.log(s), axis=1), abs=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_where_the_finder_says_nothing_the_classifier_stands(weight):
    p = shares(0.2, 0.8)[None]
    assert np.array_equal(joined(p, [None], weight), p)
    assert joined(p, [shares(np.nan, np.nan)], weight) == pytest.approx(p, abs=1e-5)


def test_a_category_that_the_finder_does_not_know_keeps_the_classifiers_share():
    made = joined(shares(0.6, 0.3, 0.1)[None], [shares(0.2, 0.8, np.nan)], 1.0)[0]
    assert made == pytest.approx([0.18, 0.72, 0.1], abs=1e-5)


def test_shares_are_put_in_the_models_order():
    made = known_shares(shares(0.3, 0.7), ("b", "z"), ("a", "b", "c"))
    assert made[1] == np.float32(0.3)
    assert np.isnan(made[[0, 2]]).all()
    assert known_shares(None, (), ("a",)) is None


def held_out(rng, right, wrong, count=30):
    """Regions of which one of both knows the category."""
    made = []
    for number in range(count):
        truth = int(rng.integers(3))
        sure = np.full(3, 0.05, np.float32)
        sure[truth] = 0.9
        noise = rng.dirichlet(np.ones(3)).astype(np.float32)
        p, s = (sure, noise) if right == "classifier" else (noise, sure)
        made.append(HeldOutName(truth, p, s, number % 5))
    assert right != wrong
    return made


def test_whoever_is_right_on_held_out_regions_names():
    rng = np.random.default_rng(1)
    assert best_naming(held_out(rng, "classifier", "finder")).weight <= 0.25
    assert best_naming(held_out(rng, "finder", "classifier")).weight >= 0.75


def test_few_regions_do_not_decide():
    rng = np.random.default_rng(2)
    assert best_naming(held_out(rng, "finder", "classifier", 4)) == USUAL
    assert best_naming([]) == USUAL


def test_sharpness_changes_how_sure_the_finder_is():
    region = HeldOutName(0, shares(0.5, 0.5), shares(0.6, 0.4), 0)
    flat, sharp = (named(region, Naming(1.0, sharpness)) for sharpness in (0.25, 32.0))
    assert 0.5 < flat[0] < 0.6 < sharp[0]
    assert named(region, Naming(1.0, USUAL.sharpness)) == pytest.approx([0.6, 0.4], abs=1e-5)
