"""A small task with text for the tests of the field's methods."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Task(NamedTuple):
    """Support set, labels of categories of different size and not in order, queries, and a text feature per category.

    The features overlap, and the text features are some way off them, each of another length.
    """

    support: np.ndarray
    labels: np.ndarray
    query: np.ndarray
    text: np.ndarray


def unit(vectors):
    """In float64, one by one."""
    return np.array([vector / np.sqrt(np.sum(vector**2)) for vector in np.asarray(vectors, dtype=np.float64)])


def mean_views(instances):
    """The mean of each instance's views, of length one, in float64."""
    return unit([instance.astype(np.float64).mean(axis=0) for instance in instances])


def draw_task():
    """A task, always the same."""
    rng = np.random.default_rng(5)
    labels, dim = np.array([2, 0, 1, 1, 0, 1, 2, 1]), 12
    offset, means = 2 * rng.normal(size=dim), 0.6 * rng.normal(size=(3, 1, dim))
    support = means[labels] + offset + rng.normal(size=(8, 4, dim))
    query = means[rng.integers(3, size=30)] + offset + rng.normal(size=(30, 4, dim))
    text = (means[:, 0] + offset + rng.normal(size=(3, dim))) * np.array([[0.5], [1.0], [7.0]])
    return Task(support.astype(np.float32), labels, query.astype(np.float32), text.astype(np.float32))
