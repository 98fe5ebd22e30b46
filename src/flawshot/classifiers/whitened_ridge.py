"""Whitened ridge: what the views of one instance differ by says nothing of its category, and counts for little."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import category_means, one_hot, softmax
from flawshot.classifiers.ridge import (
    PRIOR_TEMPERATURE,
    balance,
    fit_temperature,
    instance_means,
    left_out_scores,
    ridge_regression,
    view_statistics,
    view_whitener,
    whiten,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence

__all__ = ["WhitenedRidge"]


class WhitenedRidge(FewShotClassifier):
    """Ridge regression on whitened mean views; ``default``.

    The views of an instance show one flaw in several crops. What they differ by is how a crop is cut, not what the
    flaw is; with one to five examples a category it is the only measure of noise that is well known, and it needs no
    labels. So features are whitened by the scatter of views around their instance's mean, shrunk towards the identity
    (with one view an instance there is no scatter, and nothing is whitened). Then: an instance is the mean of its
    views of length one, centered by the mean of the category means, whitened, scaled to length one; categories are
    separated by ridge regression on their indicators, each category weighing alike.

    The probabilities are the softmax of the scores over a temperature, fitted on the support set by leaving one out
    (in closed form, with whitening, center and the categories' weights kept), under a log-normal prior around 0.09; at
    one shot it is 0.09.

    Training-free and inductive. Ours; no paper. Fitting sees the support set alone. The method and its defaults were
    found on three development data sets: ``docs/adr/0008`` names them, and what else was tried.

    Args:
        ridge: The ridge penalty, beside whitened instances of length one.
        shrinkage: How much of the mean variance of a feature is added to the scatter of views.

    Attributes:
        whitener_: Lower factor of the shrunk scatter, float32 ``[dim, dim]``, or None.
        center_: float32 ``[dim]``.
        weights_: float32 ``[categories, dim]``.
        temperature_: What scores are divided by.
    """

    positive: ClassVar[tuple[str, ...]] = ("ridge", "shrinkage")

    whitener_: NDArray[np.float32] | None
    center_: NDArray[np.float32]
    weights_: NDArray[np.float32]
    temperature_: float

    def __init__(self, ridge: float = 0.5, shrinkage: float = 2.0) -> None:
        self.ridge = ridge
        self.shrinkage = shrinkage

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        categories = len(self.classes_)
        instances, scatter = view_statistics(support.features)
        self.whitener_ = view_whitener(scatter, self.shrinkage)
        self.center_ = category_means(instances, labels, categories).mean(axis=0)
        whitened = whiten(instances - self.center_, self.whitener_)
        targets, weights = one_hot(labels, categories) - np.float32(1 / categories), balance(labels, categories)
        self.weights_ = ridge_regression(whitened, targets, weights, self.ridge)
        self.temperature_ = PRIOR_TEMPERATURE
        several = np.bincount(labels)[labels] > 1
        if several.any():
            scores = left_out_scores(whitened, targets, weights, self.ridge)
            self.temperature_ = fit_temperature(scores[several], labels[several])

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        queries = whiten(instance_means(query.features) - self.center_, self.whitener_)
        return softmax(queries @ self.weights_.T / np.float32(self.temperature_))
