"""Evidence ridge: three ridge regressions, weighted by how well each names the support instances it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import category_means, log_softmax, normalize, one_hot, softmax
from flawshot.classifiers.ridge import (
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

__all__ = ["EvidenceRidge", "Expert", "evidence_weights"]

# Bounds of the share of instances in the variance of views, and of what is divided by.
LEAST_SHARE, LEAST_VARIANCE = 1e-3, 1e-12


class Expert(NamedTuple):
    """One regression, fitted to the support set.

    Attributes:
        weights: float32 ``[categories, features]``; with them a query's features give scores.
        left_out: The scores of each support instance from a fit to the others, float32 ``[instances, categories]``.
    """

    weights: NDArray[np.float32]
    left_out: NDArray[np.float32]


class EvidenceRidge(FewShotClassifier):
    """Three ridge regressions, joined by their evidence; ``default``.

    Whether the differences between the views of one instance are noise or information depends on the data, and nobody
    can tell before. Three experts take the two sides, and the middle. All see views scaled to length one and centered
    by the category means of that view:

    - the *mean* one is :class:`~flawshot.classifiers.whitened_ridge.WhitenedRidge`: the mean of an instance's views,
      whitened by the scatter of views;
    - the *matched* one compares each view with the same view, as
      :class:`~flawshot.classifiers.matched_prototype.MatchedPrototype` does: each view is scaled to length one, and all
      are put side by side;
    - the *whitened* one does the same with each view whitened first.

    Each is a ridge regression on category indicators in which all categories have the same weight. The matched expert's
    prior weight is b / (b + g w): b is the variance of instances, w that of the views around their instance. The more
    the views of one instance differ, compared with different instances, the more there is to whiten. The other two
    share the rest equally. An expert's evidence is the log-likelihood of the support instances' categories, when each
    instance is scored by a fit to the others (in closed form). The experts' weights are the softmax of the logarithms
    of prior weights plus a multiple of the evidence; the answer is the softmax of the weighted mean of their
    log-probabilities over a temperature, which is fitted to the left-out instances as in the mean expert.

    The temperature's prior median is a multiple of b / (b + 2 w), because views that differ much also shorten the
    distances between whitened instances. At one shot nothing can be left out: the prior weights and this median hold.
    With one view per instance the experts are the same, and with queries of another number of views only the mean one
    applies; then it decides alone.

    Training-free and inductive. flawshot's own method; no paper. Fitting uses only the support set. ``docs/adr/0032``
    says how its constants were chosen, and what else was tried.

    Args:
        ridge: The ridge penalty, for instances of length one.
        one_shot_ridge: The penalty if no category has a second instance.
        shrinkage: Multiple of the features' mean variance that is added to the scatter of views.
        score_temperature: Divisor of the scores in each expert's log-probabilities.
        evidence_weight: What the evidence is multiplied by.
        view_weight: The factor g of the variance of views in the prior weights.
        prior_temperature: The prior median of the temperature is this times b / (b + 2 w).

    Attributes:
        whitener_: Lower factor of the shrunk scatter, float32 ``[dim, dim]``, or None.
        view_centers_: float32 ``[views, dim]``; their mean is the center of mean views.
        mean_weights_: float32 ``[categories, dim]``.
        whitened_weights_: float32 ``[categories, views * dim]``; None with one view.
        matched_weights_: The same of the matched expert.
        shares_: The weights of the mean, the whitened and the matched expert; their sum is 1.
        temperature_: Divisor of the joined log-probabilities.
        alone_temperature_: Divisor of the mean expert's, when it decides alone.

    References:
        Hinton: "Products of experts", ICANN 1999, for the weighted mean of log-probabilities; Yao et al.: "Using
        stacking to average Bayesian predictive distributions", Bayesian Analysis 2018, section 2, for weights from
        leave-one-out predictive densities (pseudo-BMA).
    """

    positive: ClassVar[tuple[str, ...]] = (
        "ridge",
        "one_shot_ridge",
        "shrinkage",
        "score_temperature",
        "evidence_weight",
        "view_weight",
        "prior_temperature",
    )

    whitener_: NDArray[np.float32] | None
    view_centers_: NDArray[np.float32]
    mean_weights_: NDArray[np.float32]
    whitened_weights_: NDArray[np.float32] | None
    matched_weights_: NDArray[np.float32] | None
    shares_: tuple[float, float, float]
    temperature_: float
    alone_temperature_: float

    def __init__(
        self,
        ridge: float = 0.5,
        *,
        one_shot_ridge: float = 0.5,
        shrinkage: float = 2.0,
        score_temperature: float = 0.15,
        evidence_weight: float = 2.0,
        view_weight: float = 3.0,
        prior_temperature: float = 1.5,
    ) -> None:
        self.ridge = ridge
        self.one_shot_ridge = one_shot_ridge
        self.shrinkage = shrinkage
        self.score_temperature = score_temperature
        self.evidence_weight = evidence_weight
        self.view_weight = view_weight
        self.prior_temperature = prior_temperature

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        several = np.bincount(labels)[labels] > 1
        instances, scatter = view_statistics(support.features)
        self.whitener_ = view_whitener(scatter, self.shrinkage)
        views = normalize(support.features)
        self.view_centers_ = category_means(views, labels, len(self.classes_)).mean(axis=0)
        centered = instances - self.view_centers_.mean(axis=0)
        seen = [whiten(centered, self.whitener_)]
        if self.n_views_in_ > 1:
            seen += self._matched(views - self.view_centers_)
        experts = [self._expert(x, labels, several) for x in seen]
        self.mean_weights_, *others = (each.weights for each in experts)
        self.whitened_weights_, self.matched_weights_ = others or (None, None)
        logarithms = [log_softmax(each.left_out[several] / np.float32(self.score_temperature)) for each in experts]
        within = float(np.trace(scatter))
        between = float(balance(labels, len(self.classes_)) @ np.square(centered).sum(axis=1)) / len(labels)
        shares = np.ones(1)
        if others:
            matched = _share(between, self.view_weight * within)
            before = np.array([(1 - matched) / 2, (1 - matched) / 2, matched])
            shares = evidence_weights(logarithms, labels[several], before, self.evidence_weight)
            self.shares_ = (float(shares[0]), float(shares[1]), float(shares[2]))
        else:
            self.shares_ = (1.0, 0.0, 0.0)
        prior = self.prior_temperature * _share(between, 2 * within)
        self.temperature_ = self.alone_temperature_ = prior
        if several.any():
            joined = np.tensordot(shares.astype(np.float32), np.stack(logarithms), axes=1)
            self.temperature_ = fit_temperature(joined, labels[several], prior=prior)
            self.alone_temperature_ = fit_temperature(logarithms[0], labels[several], prior=prior)

    def _expert(self, x: NDArray[np.float32], labels: NDArray[np.intp], several: NDArray[np.bool_]) -> Expert:
        """One expert, from instances ``[instances, features]`` of length one."""
        categories = len(self.classes_)
        targets, weights = one_hot(labels, categories) - np.float32(1 / categories), balance(labels, categories)
        if several.any():
            return Expert(*(f(x, targets, weights, self.ridge) for f in (ridge_regression, left_out_scores)))
        # Scores shrink as the penalty grows: these are of the size that the usual penalty gives.
        size = np.float32((1 + self.one_shot_ridge) / (1 + self.ridge))
        return Expert(size * ridge_regression(x, targets, weights, self.one_shot_ridge), targets)

    def _matched(self, centered: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """What the whitened and the matched expert see, of length one.

        ``[instances, views, dim]`` to ``[instances, views * dim]``.
        """
        count, views, dim = centered.shape
        apart = centered.reshape(-1, dim)
        return [
            each.reshape(count, -1) / np.float32(np.sqrt(views))
            for each in (whiten(apart, self.whitener_), normalize(apart))
        ]

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        views = query.features
        instances = whiten(instance_means(views) - self.view_centers_.mean(axis=0), self.whitener_)
        joined = self._logarithms(instances, self.mean_weights_)
        if self.whitened_weights_ is None or self.matched_weights_ is None or views.shape[1] != self.n_views_in_:
            return softmax(joined / np.float32(self.alone_temperature_))
        whitened, matched = self._matched(normalize(views) - self.view_centers_)
        joined = np.float32(self.shares_[0]) * joined
        joined += np.float32(self.shares_[1]) * self._logarithms(whitened, self.whitened_weights_)
        joined += np.float32(self.shares_[2]) * self._logarithms(matched, self.matched_weights_)
        return softmax(joined / np.float32(self.temperature_))

    def _logarithms(self, x: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        return log_softmax(x @ weights.T / np.float32(self.score_temperature))

    def _network(self) -> nn.Module:
        from flawshot.classifiers.networks import ExpertsNetwork  # noqa: PLC0415 - needs torch

        return ExpertsNetwork(
            self.whitener_,
            self.view_centers_,
            self.mean_weights_,
            self.whitened_weights_,
            self.matched_weights_,
            shares=self.shares_,
            divisor=self.score_temperature,
            temperatures=(self.temperature_, self.alone_temperature_),
        )


def _share(part: float, other: float) -> float:
    """The part's share of both, neither 0 nor 1."""
    return float(np.clip(part / max(part + other, LEAST_VARIANCE), LEAST_SHARE, 1 - LEAST_SHARE))


def evidence_weights(
    logarithms: list[NDArray[np.float32]], labels: NDArray[np.intp], prior: NDArray[np.float64], factor: float
) -> NDArray[np.float64]:
    """The experts' weights, from what each says of instances that it has not seen.

    Args:
        logarithms: Each expert's log-probabilities of left-out instances, float32 ``[instances, categories]``.
        labels: The category numbers of these.
        prior: The experts' weights if there are no instances, above 0, float64 ``[experts]``.
        factor: What the evidence is multiplied by.

    Returns:
        Weights with a sum of 1, float64 ``[experts]``.

    >>> sure, unsure = np.log([[0.9, 0.1]]), np.log([[0.3, 0.7]])
    >>> evidence_weights([sure, unsure], np.array([0]), np.array([0.5, 0.5]), 1.0).round(2).tolist()
    [0.75, 0.25]
    """
    own = np.arange(len(labels))
    evidence = np.array([each[own, labels].sum(dtype=np.float64) for each in logarithms])
    weights: NDArray[np.float64] = softmax(np.log(prior) + factor * evidence)
    return weights
