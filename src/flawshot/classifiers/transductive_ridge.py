"""Transductive ridge: whitened ridge that uses all queries at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from flawshot.classifiers.functional import one_hot, softmax
from flawshot.classifiers.ridge import (
    ViewStatistics,
    balance,
    ridge_regression,
    view_statistics,
    view_whitener,
    whiten,
)
from flawshot.classifiers.whitened_ridge import WhitenedRidge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence

__all__ = ["TransductiveRidge"]

# Number of features by which queries are sorted.
ORDERING_FEATURES = 8


class TransductiveRidge(WhitenedRidge):
    """Whitened ridge that also uses the queries' statistics; ``default-transductive``.

    Like :class:`flawshot.classifiers.whitened_ridge.WhitenedRidge`, but the scatter of views and the center are those
    of support and query instances together, and the queries' probabilities repeatedly enter the regression as soft
    labels. It sees all queries at once: the result for a query depends on the others predicted with it, so its figures
    are not comparable with those of inductive classifiers. It needs many queries with a fair share of each category:
    with few queries, or one category far more frequent than the others, it can be much worse than the inductive one,
    and more confident.

    flawshot's own method; no paper.

    Args:
        ridge: As for the inductive one.
        shrinkage: As for the inductive one.
        query_weight: Weight of a query's soft label, relative to a support instance.
        iterations: How often the soft labels are updated.
    """

    transductive: ClassVar[bool] = True
    positive: ClassVar[tuple[str, ...]] = ("ridge", "shrinkage", "query_weight")
    whole: ClassVar[tuple[str, ...]] = ("iterations",)

    support_: ViewStatistics
    support_views_: int
    labels_: NDArray[np.intp]

    def __init__(
        self, ridge: float = 0.5, shrinkage: float = 2.0, query_weight: float = 0.5, iterations: int = 10
    ) -> None:
        super().__init__(ridge, shrinkage)
        self.query_weight = query_weight
        self.iterations = iterations

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        views = support.features
        super()._fit(support, labels)
        self.support_, self.support_views_, self.labels_ = (
            view_statistics(views),
            views.shape[0] * views.shape[1],
            labels,
        )

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        views = query.features
        categories, support = len(self.classes_), len(self.labels_)
        # Sorted, so that not even rounding depends on the order of the queries.
        order = np.lexsort(views.mean(axis=1)[:, :ORDERING_FEATURES].T)
        asked = view_statistics(views[order])
        share = np.float32(self.support_views_ / (self.support_views_ + views.shape[0] * views.shape[1]))
        scatter = share * self.support_.scatter + (1 - share) * asked.scatter
        instances = np.concatenate([self.support_.instances, asked.instances])
        x = whiten(instances - instances.mean(axis=0), view_whitener(scatter, self.shrinkage))
        known, own = one_hot(self.labels_, categories), balance(self.labels_, categories)
        weights = np.concatenate([own, np.full(len(views), self.query_weight, dtype=np.float32)])
        offset = np.float32(1 / categories)
        solved = ridge_regression(x[:support], known - offset, own, self.ridge)
        for _ in range(self.iterations):
            shares = softmax(x[support:] @ solved.T / np.float32(self.temperature_))
            solved = ridge_regression(x, np.concatenate([known, shares]) - offset, weights, self.ridge)
        out = np.empty((len(views), categories), dtype=np.float32)
        out[order] = softmax(x[support:] @ solved.T / np.float32(self.temperature_))
        return out
