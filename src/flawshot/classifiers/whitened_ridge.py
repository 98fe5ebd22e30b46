"""Whitened ridge: directions in which the views of one instance differ have little weight."""

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
    from torch import nn

    from flawshot.classifiers.base import Evidence

__all__ = ["WhitenedRidge"]


class WhitenedRidge(FewShotClassifier):
    """Ridge regression on whitened mean views; ``whitened-ridge``.

    The views of an instance show one flaw in several crops. They differ in how the crop is cut, not in what the flaw
    is. With one to five examples per category, this is the only noise that can be estimated well, and it needs no
    labels. Features are therefore whitened by the scatter of views around their instance's mean, shrunk towards the
    identity (with one view per instance there is no scatter, and nothing is whitened). An instance is the mean of its
    views, each scaled to length one; it is centered by the mean of the category means, whitened, and scaled to length
    one. Ridge regression on category indicators separates the categories, which all have the same weight.

    The probabilities are the softmax of the scores over a temperature. It is fitted on the support set by leaving one
    out (in closed form, keeping whitening, center and the categories' weights), under a log-normal prior around 0.09;
    at one shot it is 0.09.

    Training-free and inductive. flawshot's own method; no paper. Fitting uses only the support set. The method and its
    defaults were found on three development data sets; ``docs/adr/0008`` names them, and what else was tried.

    Args:
        ridge: The ridge penalty, for whitened instances of length one.
        shrinkage: Multiple of the features' mean variance that is added to the scatter of views.

    Attributes:
        whitener_: Lower factor of the shrunk scatter, float32 ``[dim, dim]``, or None.
        center_: float32 ``[dim]``.
        weights_: float32 ``[categories, dim]``.
        temperature_: Divisor of the scores.
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

    def _network(self) -> nn.Module:
        from flawshot.classifiers.networks import LinearNetwork, Whitening  # noqa: PLC0415 - needs torch

        entry = Whitening(self.whitener_, self.center_)
        return LinearNetwork(self.weights_, entry=entry, divisor=self.temperature_)
