"""Which regions to label next: strategies that choose some of many, as pure functions of their places and doubts."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Strategy = Callable[["Candidates", int, random.Random], list[int]]

__all__ = [
    "STRATEGIES",
    "Candidates",
    "at_random",
    "doubtful_first",
    "doubts",
    "k_center",
    "mixture",
    "represented",
    "typical_first",
]

# Typicality is measured by the mean distance to so many neighbors, as in Hacohen et al.
NEIGHBORS = 20
# There are no more clusters than this, as in the code of Hacohen et al., unless as many regions are wanted.
MOST_CLUSTERS = 500
# Steps of Lloyd's algorithm; later ones change next to nothing.
LLOYD_STEPS = 20
ROWS_AT_ONCE = 1024


class Candidates(NamedTuple):
    """Regions to choose from.

    Attributes:
        places: Where each region is in a space of which the Euclidean distance makes sense, float32 ``[n, dim]``.
        known: Where the model's examples are in that space, float32 ``[m, dim]``, at least one.
        doubt: How doubtful each region is, from 0 to 1, float32 ``[n]``; see :func:`doubts`.
        units: The number of each region's image, or group of images, intp ``[n]``; one region of each is chosen at
            most.
    """

    places: NDArray[np.float32]
    known: NDArray[np.float32]
    doubt: NDArray[np.float32]
    units: NDArray[np.intp]


def doubts(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """How doubtful predictions are: 1 minus the margin between the two most probable categories.

    Args:
        probabilities: float32 ``[n, categories]``, two categories or more.

    Returns:
        float32 ``[n]``, from 0 (certain) to 1 (two categories are equally probable).

    References:
        Scheffer, Decomain, Wrobel: "Active Hidden Markov Models for Information Extraction", IDA 2001, for the margin.

    >>> doubts(np.array([[0.5, 0.5, 0.0], [0.75, 0.25, 0.0]], dtype=np.float32)).tolist()
    [1.0, 0.5]
    """
    highest = np.partition(probabilities, -2, axis=1)[:, -2:]
    return (1 - (highest[:, 1] - highest[:, 0])).astype(np.float32)


def at_random(candidates: Candidates, count: int, rng: random.Random) -> list[int]:
    """Regions drawn at random.

    Args:
        candidates: What to choose from.
        count: How many to choose, at most.
        rng: Draws them.

    Returns:
        Rows in the order in which they were chosen; fewer than ``count`` if there are fewer units.
    """
    order = list(range(len(candidates.places)))
    rng.shuffle(order)
    return _first_of_units(order, candidates.units, count)


def doubtful_first(
    candidates: Candidates,
    count: int,
    rng: random.Random,  # noqa: ARG001 - all strategies are called alike
) -> list[int]:
    """The most doubtful regions, most doubtful first.

    Args:
        candidates: What to choose from.
        count: How many to choose, at most.
        rng: Not used.

    Returns:
        As :func:`at_random`.
    """
    order = np.argsort(-candidates.doubt, kind="stable").tolist()
    return _first_of_units(order, candidates.units, count)


def k_center(
    candidates: Candidates,
    count: int,
    rng: random.Random,  # noqa: ARG001 - all strategies are called alike
) -> list[int]:
    """The region farthest from all examples, then the farthest from these and the first, and so on.

    Args:
        candidates: What to choose from.
        count: How many to choose, at most.
        rng: Not used.

    Returns:
        As :func:`at_random`.

    References:
        Sener, Savarese: "Active Learning for Convolutional Neural Networks: A Core-Set Approach", ICLR 2018, the
        greedy variant.
    """
    return _farthest(candidates, count, np.ones(len(candidates.places), dtype=np.float32))


def typical_first(candidates: Candidates, count: int, rng: random.Random) -> list[int]:
    """The most typical region of each of the largest clusters that contain no example.

    All regions and examples are clustered into as many clusters as there would be examples afterwards, and 500 at most
    unless more regions are wanted. The typicality of a region is the inverse of its mean distance to its nearest
    neighbors in the cluster. If more regions are wanted than there are such clusters, those with the fewest examples
    and chosen regions are next.

    Args:
        candidates: What to choose from.
        count: How many to choose, at most.
        rng: Draws the first centers of the clusters, as k-means++ does.

    Returns:
        As :func:`at_random`.

    References:
        Hacohen, Dekel, Weinshall: "Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets",
        ICML 2022 (TypiClust).
    """
    if not len(candidates.places):
        return []
    known = len(candidates.known)
    wanted = min(known + count, max(MOST_CLUSTERS, count))
    clusters = _clusters(np.concatenate([candidates.known, candidates.places]), wanted, rng)
    own = clusters[known:]
    covered = np.bincount(clusters[:known], minlength=int(clusters.max()) + 1)
    sizes = np.bincount(own, minlength=len(covered))
    spread = np.empty(len(own), dtype=np.float32)
    for cluster in np.unique(own):
        rows = np.flatnonzero(own == cluster)
        spread[rows] = _spread(candidates.places[rows])
    free, chosen = np.ones(len(own), dtype=bool), list[int]()
    while len(chosen) < count and free.any():
        left = np.unique(own[free])
        cluster = min(left.tolist(), key=lambda each: (covered[each], -sizes[each], each))
        row = int(np.where(free & (own == cluster), spread, np.inf).argmin())
        chosen.append(row)
        covered[cluster] += 1
        free &= candidates.units != candidates.units[row]
    return chosen


def mixture(
    candidates: Candidates,
    count: int,
    rng: random.Random,  # noqa: ARG001 - all strategies are called alike
) -> list[int]:
    """Far and doubtful regions: :func:`k_center` with each distance multiplied by 1 plus its doubt.

    So doubt counts for a factor of two at most. Doubt alone would pass over categories that have no example yet: a
    classifier is often certain of them, and wrong.

    Args:
        candidates: What to choose from.
        count: How many to choose, at most.
        rng: Not used.

    Returns:
        As :func:`at_random`.

    References:
        Ash et al.: "Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds", ICLR 2020 (BADGE), for
        choosing far points in a space where doubt is length; this product, without gradients or draws, is flawshot's
        own.
    """
    return _farthest(candidates, count, 1 + candidates.doubt)


def represented(candidates: Candidates, chosen: Sequence[int]) -> list[int]:
    """How many regions that were not chosen are nearer to each chosen one than to any other, or to an example.

    Args:
        candidates: What was chosen from.
        chosen: The chosen rows.

    Returns:
        A number for each chosen row, in order.
    """
    if not chosen:
        return []
    rows = np.setdiff1d(np.arange(len(candidates.places)), chosen)
    centers = np.concatenate([candidates.known, candidates.places[list(chosen)]])
    nearest = [_squared(part, centers).argmin(axis=1) for part in _blocks(candidates.places[rows])]
    counts = np.bincount(np.concatenate([*nearest, np.zeros(0, dtype=np.intp)]), minlength=len(centers))
    own: list[int] = counts[len(candidates.known) :].tolist()
    return own


# By the names under which users choose them.
STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "random": at_random,
        "doubt": doubtful_first,
        "k-center": k_center,
        "typicality": typical_first,
        "mixture": mixture,
    }
)


def _farthest(candidates: Candidates, count: int, weights: NDArray[np.float32]) -> list[int]:
    """The regions that are farthest from all examples and from those chosen before, by weighted distances."""
    apart = _nearest(candidates.places, candidates.known)
    free, chosen = np.ones(len(apart), dtype=bool), list[int]()
    while len(chosen) < count and free.any():
        row = int(np.where(free, weights * np.sqrt(apart), -1).argmax())
        chosen.append(row)
        free &= candidates.units != candidates.units[row]
        apart = np.minimum(apart, _squared(candidates.places, candidates.places[row : row + 1])[:, 0])
    return chosen


def _first_of_units(order: list[int], units: NDArray[np.intp], count: int) -> list[int]:
    """The first rows of an order that belong to different units."""
    first: dict[int, int] = {}
    for row in order:
        first.setdefault(int(units[row]), row)
    return list(first.values())[:count]


def _blocks(x: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    return (x[start : start + ROWS_AT_ONCE] for start in range(0, len(x), ROWS_AT_ONCE))


def _squared(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distances, float32 ``[len(x), len(y)]``."""
    lengths = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1)
    squared: NDArray[np.float32] = np.maximum(lengths - 2 * (x @ y.T), 0)
    return squared


def _nearest(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """The squared distance of each row of x to the nearest of y."""
    made = [_squared(part, y).min(axis=1) for part in _blocks(x)]
    return np.concatenate(made) if made else np.zeros(0, dtype=np.float32)


def _spread(places: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean distance of each place to its nearest neighbors; that of a single place is 0."""
    neighbors = min(NEIGHBORS, len(places) - 1)
    if not neighbors:
        return np.zeros(len(places), dtype=np.float32)
    made = []
    for part in _blocks(places):
        # The place itself, at distance 0, is one of them.
        near = np.partition(np.sqrt(_squared(part, places)), neighbors, axis=1)[:, : neighbors + 1]
        made.append(near.sum(axis=1) / np.float32(neighbors))
    return np.concatenate(made)


def _clusters(x: NDArray[np.float32], count: int, rng: random.Random) -> NDArray[np.intp]:
    """The cluster of each row, by k-means from the centers of k-means++.

    References:
        Arthur, Vassilvitskii: "k-means++: The Advantages of Careful Seeding", SODA 2007.
    """
    first = rng.randrange(len(x))
    centers = [x[first]]
    apart = _squared(x, x[first : first + 1])[:, 0]
    while len(centers) < min(count, len(x)) and apart.any():
        (row,) = rng.choices(range(len(x)), weights=apart.astype(np.float64).tolist())
        centers.append(x[row])
        apart = np.minimum(apart, _squared(x, x[row : row + 1])[:, 0])
    middles = np.stack(centers)
    own: NDArray[np.intp] = _squared(x, middles).argmin(axis=1)
    for _ in range(LLOYD_STEPS):
        for cluster in range(len(middles)):
            if (rows := own == cluster).any():  # an empty one keeps its center
                middles[cluster] = x[rows].mean(axis=0)
        before, own = own, _squared(x, middles).argmin(axis=1)
        if np.array_equal(before, own):
            break
    return own
