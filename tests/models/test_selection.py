"""Strategies against plain loops and scikit-learn, and what holds for all of them."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from flawshot.models import selection
from flawshot.models.selection import STRATEGIES, Candidates, doubts, represented


def made(places, known, *, doubt=None, units=None):
    places = np.array(places, dtype=np.float32).reshape(len(places), -1)
    return Candidates(
        places,
        np.array(known, dtype=np.float32).reshape(len(known), -1),
        np.full(len(places), 0.5, dtype=np.float32) if doubt is None else np.array(doubt, dtype=np.float32),
        np.arange(len(places)) if units is None else np.array(units, dtype=np.intp),
    )


def choose(name, candidates, count, seed=0):
    return STRATEGIES[name](candidates, count, random.Random(seed))


@pytest.fixture
def scattered():
    """60 places, two or three on each of 25 images."""
    rng = np.random.default_rng(3)
    doubt = rng.random(60)
    return made(rng.normal(size=(60, 4)), rng.normal(size=(5, 4)), doubt=doubt, units=np.arange(60) % 25)


def test_doubt_is_the_margin():
    shares = np.random.default_rng(1).dirichlet(np.ones(4), size=50).astype(np.float32)
    ordered = np.sort(shares, axis=1)
    assert doubts(shares) == pytest.approx(1 - (ordered[:, -1] - ordered[:, -2]), abs=1e-6)


def test_the_most_doubtful_come_first_one_per_image(scattered):
    expected, seen = [], set()
    for row in sorted(range(60), key=lambda row: -scattered.doubt[row]):
        if scattered.units[row] not in seen:
            seen.add(scattered.units[row])
            expected.append(row)
    assert choose("doubt", scattered, 9) == expected[:9]
    assert choose("doubt", scattered, 100) == expected


@pytest.mark.parametrize("name", ["k-center", "mixture"])
def test_the_farthest_is_next_and_for_the_mixture_doubt_is_a_factor(scattered, name):
    expected: list[int] = []
    for _ in range(12):
        centers = [*scattered.known, *scattered.places[expected]]
        apart = cdist(scattered.places, centers).min(axis=1) * (1 + scattered.doubt if name == "mixture" else 1)
        taken = {scattered.units[row] for row in expected}
        expected.append(max((row for row in range(60) if scattered.units[row] not in taken), key=lambda r: apart[r]))
    assert choose(name, scattered, 12) == expected


def blobs(sizes):
    rng = np.random.default_rng(5)
    return [rng.normal(size=(size, 3)) + np.array([100 * number, 0, 0]) for number, size in enumerate(sizes)]


def test_typical_ones_come_from_the_largest_clusters_without_an_example():
    parts = blobs([40, 30, 60, 20])
    candidates = made(np.concatenate(parts), [parts[2].mean(axis=0)])
    # Four clusters: the example is in that of 60, so that of 40 is the first, and then those of 30 and 20.
    chosen = choose("typicality", candidates, 3)
    starts = np.cumsum([0, 40, 30, 60])
    assert [int(np.searchsorted(starts, row, "right")) - 1 for row in chosen] == [0, 1, 3]
    for row, part, start in zip(chosen, (0, 1, 3), starts[[0, 1, 3]], strict=True):
        neighbors = min(20, len(parts[part]) - 1)
        near = NearestNeighbors(n_neighbors=neighbors).fit(parts[part]).kneighbors()[0]
        assert row - start == near.mean(axis=1).argmin()


def test_once_all_clusters_are_covered_those_with_the_fewest_examples_are_next():
    candidates = made([[0]] * 10 + [[5]] * 10, [[0], [5]])
    chosen = choose("typicality", candidates, 12)
    assert len(chosen) == len(set(chosen)) == 12
    assert sum(row < 10 for row in chosen) == 6


def test_there_are_no_more_clusters_than_a_limit(monkeypatch):
    monkeypatch.setattr(selection, "MOST_CLUSTERS", 2)
    candidates = made([[0]] * 5 + [[10]] * 9 + [[11]] * 2, [[0], [0.1]])
    # Two clusters, of which only the right one has no example.
    assert choose("typicality", candidates, 1) == [5]


def test_spread_of_one_place_is_zero_and_that_of_many_agrees_with_scikit_learn():
    places = np.random.default_rng(2).normal(size=(2100, 5)).astype(np.float32)
    near = NearestNeighbors(n_neighbors=20).fit(places).kneighbors()[0]
    # A square root of what rounding leaves of a distance to oneself is within this.
    assert selection._spread(places) == pytest.approx(near.mean(axis=1), abs=2e-3)
    assert selection._spread(places[:1]).tolist() == [0]


def test_how_many_each_chosen_one_stands_for(scattered):
    chosen = [3, 17, 40]
    centers = [*scattered.known, *scattered.places[chosen]]
    nearest = cdist(scattered.places, centers).argmin(axis=1)
    expected = [sum(nearest[row] == 5 + n for row in range(60) if row not in chosen) for n in range(3)]
    assert represented(scattered, chosen) == expected
    assert sum(expected) > 0
    assert represented(scattered, []) == []
    assert represented(made([[1], [2]], [[0]]), [0, 1]) == [0, 0]


PLACES = st.integers(0, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=n, max_size=n),
        st.lists(st.integers(0, 10), min_size=n, max_size=n),
        st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=n, max_size=n),
    )
)


@pytest.mark.parametrize("name", STRATEGIES)
@settings(deadline=None)
@given(drawn=PLACES, count=st.integers(1, 30), seed=st.integers(0, 3))
def test_one_per_image_as_many_as_there_are_and_the_same_each_time(name, drawn, count, seed):
    places, units, doubt = drawn
    candidates = Candidates(
        np.array(places, dtype=np.float32).reshape(-1, 2),
        np.array([[0, 0], [1, 1]], dtype=np.float32),
        np.array(doubt, dtype=np.float32),
        np.array(units, dtype=np.intp),
    )
    chosen = choose(name, candidates, count, seed)
    assert len({units[row] for row in chosen}) == len(chosen) == min(count, len(set(units)))
    assert chosen == choose(name, candidates, count, seed)
    assert len(represented(candidates, chosen)) == len(chosen)


@pytest.mark.parametrize("name", STRATEGIES)
def test_places_that_are_all_the_same(name):
    candidates = made(np.ones((7, 3)), np.ones((2, 3)), doubt=np.zeros(7))
    assert sorted(choose(name, candidates, 7)) == list(range(7))


@pytest.mark.parametrize("name", ["random", "typicality"])
def test_what_is_drawn_depends_on_the_seed(name, scattered):
    assert len({tuple(choose(name, scattered, 5, seed)) for seed in range(5)}) > 1
