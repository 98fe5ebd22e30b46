"""Matched-view prototypes: each view is compared with the same view."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import category_means, normalize, softmax

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from flawshot.classifiers.base import Evidence

__all__ = ["MatchedPrototype"]


class MatchedPrototype(FewShotClassifier):
    """Compares every query view with the prototypes of the same view, and adds the scores.

    For each view separately, features are centered by the support set's mean in that view and scaled to length one; a
    prototype is the mean of its category's instances, scaled again; the score is the cosine to it. A query's score is
    the sum over views. The probabilities are the softmax of the mean score over a temperature.

    Training-free and inductive. flawshot's own method; no paper.

    Args:
        temperature: Divisor of the mean scores; it changes probabilities, never predictions.
    """

    matched_views: ClassVar[bool] = True

    positive: ClassVar[tuple[str, ...]] = ("temperature",)

    center_: NDArray[np.float32]
    prototypes_: NDArray[np.float32]

    def __init__(self, temperature: float = 0.1) -> None:
        self.temperature = temperature

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        views = support.features
        self.center_ = views.mean(axis=0)
        instances = normalize(views - self.center_)
        self.prototypes_ = normalize(category_means(instances, labels, len(self.classes_)))

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        views = query.features
        scores = matched_scores(normalize(views - self.center_), self.prototypes_)
        return softmax(scores / (views.shape[1] * self.temperature))

    def _network(self) -> nn.Module:
        from flawshot.classifiers.networks import MatchedNetwork  # noqa: PLC0415 - needs torch

        return MatchedNetwork(self.prototypes_, self.center_, self.n_views_in_ * self.temperature)


def matched_scores(views: NDArray[np.float32], prototypes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines to the prototypes of the same view, added over views.

    Args:
        views: float32 ``[instances, views, dim]`` of length one.
        prototypes: float32 ``[categories, views, dim]`` of length one.

    Returns:
        float32 ``[instances, categories]``.
    """
    scores: NDArray[np.float32] = views.reshape(len(views), -1) @ prototypes.reshape(len(prototypes), -1).T
    return scores
