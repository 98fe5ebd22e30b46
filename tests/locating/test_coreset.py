"""Coresets: near to all, within twice the optimum; distances are scipy's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from flawshot.locating.coreset import ROWS_AT_ONCE, distances, greedy_coreset

POINTS = st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=2, max_size=9)


def radius(points, chosen):
    """The largest distance of a point to its nearest chosen one."""
    return cdist(points, points[list(chosen)]).min(axis=1).max()


@settings(max_examples=150, deadline=None)
@given(POINTS, st.integers(1, 4))
def test_the_remaining_distance_is_at_most_twice_the_smallest_possible(points, count):
    given_points = np.array(points, dtype=np.float32)
    chosen = greedy_coreset(given_points, count)
    assert len(chosen) == min(count, len(points)) == len(set(chosen.tolist()))
    best = min(radius(given_points, each) for each in itertools.combinations(range(len(points)), len(chosen)))
    assert radius(given_points, chosen) <= 2 * best + 1e-4


def test_the_first_is_nearest_to_the_mean_and_each_further_one_the_farthest():
    points = np.array([[0, 0], [1, 0], [10, 0], [4, 0], [0, 7]], dtype=np.float32)  # mean (3, 1.4)
    assert greedy_coreset(points, 4).tolist() == [3, 4, 2, 0]


@pytest.mark.parametrize("count", [3, 4, 100])
def test_all_are_chosen_in_their_order_if_there_are_no_more(count):
    assert greedy_coreset(np.eye(3, dtype=np.float32), count).tolist() == [0, 1, 2]


def test_duplicates_are_chosen_last_and_once():
    points = np.array([[0.0], [0.0], [5.0], [5.0], [9.0], [0.0]], dtype=np.float32)
    chosen = greedy_coreset(points, 5).tolist()
    assert {float(points[row, 0]) for row in chosen[:3]} == {0, 5, 9}
    assert len(set(chosen)) == 5
    assert len(set(greedy_coreset(np.ones((6, 2), dtype=np.float32), 4).tolist())) == 4


def test_far_from_the_origin_the_choice_is_the_same():
    """Squares of large numbers lose what distances consist of; a shift must not matter to features of usual size."""
    points = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    shifted = (points + 8).astype(np.float32)
    assert radius(points, greedy_coreset(shifted, 10)) == pytest.approx(radius(points, greedy_coreset(points, 10)))


@pytest.mark.parametrize("count", [1, 5, ROWS_AT_ONCE + 3])
def test_distances_are_scipys(count):
    rng = np.random.default_rng(count)
    vectors, bank = rng.normal(size=(count, 7)).astype(np.float32), rng.normal(size=(30, 7)).astype(np.float32)
    made = distances(vectors, bank)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, cdist(vectors, bank).min(axis=1), atol=2e-3)


def test_distances_of_nothing_and_of_known_vectors():
    bank = np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32)
    assert distances(np.zeros((0, 6), np.float32), bank).shape == (0,)
    np.testing.assert_allclose(distances(bank, bank), 0, atol=5e-3)
