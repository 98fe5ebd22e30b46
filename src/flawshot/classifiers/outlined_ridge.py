"""Outlined ridge: the default's scores, plus a small contribution of the outline."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from flawshot.classifiers.functional import category_means, one_hot, softmax
from flawshot.classifiers.ridge import (
    PRIOR_TEMPERATURE,
    balance,
    fit_temperature,
    instance_means,
    left_out_scores,
    ridge_regression,
    whiten,
)
from flawshot.classifiers.whitened_ridge import WhitenedRidge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence

__all__ = ["OutlinedRidge"]

# The ridge penalty for outlines in standard deviations, as in classifiers/outline.py.
OUTLINE_RIDGE = 3.0
# Lower bound of the spread of outline scores, which is 0 for identical outlines.
LEAST_SPREAD = 1e-6


class OutlinedRidge(WhitenedRidge):
    """``default`` with the outline as a further cue; ``default-outline``.

    The scores of the same regression on the instances' outlines are added to those of
    :class:`~flawshot.classifiers.whitened_ridge.WhitenedRidge`. They are first scaled to the same spread, measured on
    support instances that are each scored by a fit to the others, because ten numbers give greater scores than a
    strong encoder's hundreds. They are then weighted by ``outline_weight / K``, where K is the mean number of instances
    per category: the fewer the examples, the more the shape helps. ``docs/adr/0012`` explains how the weight was found.
    Without outlines it is ``default``.

    Args:
        ridge: As in ``default``.
        shrinkage: As in ``default``.
        outline_weight: Weight of the outline's scores at one shot, relative to those of the features.
    """

    positive: ClassVar[tuple[str, ...]] = ("ridge", "shrinkage", "outline_weight")
    inputs: ClassVar[frozenset[str]] = frozenset({"features", "outlines"})

    def __init__(self, ridge: float = 0.5, shrinkage: float = 2.0, outline_weight: float = 0.2) -> None:
        super().__init__(ridge, shrinkage)
        self.outline_weight = outline_weight

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        super()._fit(support, labels)
        self.outline_weights_: NDArray[np.float32] | None = None
        if not support.outlines.size:
            return
        categories = len(self.classes_)
        targets, weights = one_hot(labels, categories) - np.float32(1 / categories), balance(labels, categories)
        self.outline_center_ = category_means(support.outlines, labels, categories).mean(axis=0)
        centered = support.outlines - self.outline_center_
        instances = whiten(instance_means(support.features) - self.center_, self.whitener_)
        scores = left_out_scores(instances, targets, weights, self.ridge)
        other = left_out_scores(centered, targets, weights, OUTLINE_RIDGE)
        share = np.float32(
            self.outline_weight * categories / len(labels) * _spread(scores) / max(_spread(other), LEAST_SPREAD)
        )
        self.outline_weights_ = share * ridge_regression(centered, targets, weights, OUTLINE_RIDGE)
        self.temperature_ = PRIOR_TEMPERATURE
        several = np.bincount(labels)[labels] > 1
        if several.any():
            self.temperature_ = fit_temperature((scores + share * other)[several], labels[several])

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        if self.outline_weights_ is None:
            return super()._probabilities(query)
        if not query.outlines.size:
            raise ValueError("OutlinedRidge was fitted with outlines: call predict_proba(X, outlines)")
        queries = whiten(instance_means(query.features) - self.center_, self.whitener_)
        scores = queries @ self.weights_.T + (query.outlines - self.outline_center_) @ self.outline_weights_.T
        return softmax(scores / np.float32(self.temperature_))


def _spread(scores: NDArray[np.float32]) -> float:
    """Root mean square distance of an instance's scores from their mean."""
    return float((scores - scores.mean(axis=1, keepdims=True)).std())
