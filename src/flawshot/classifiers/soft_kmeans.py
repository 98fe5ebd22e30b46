"""Soft k-means: prototypes that are refined by the queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.special import softmax
from sklearn.preprocessing import normalize

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import one_hot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence

__all__ = ["SoftKMeans"]


class SoftKMeans(FewShotClassifier):
    """Prototypes of the support set, refined by all queries at once: transductive.

    An instance is the mean of its views, centered by the support set's mean and scaled to length one; a prototype is
    the mean of its category's instances, scaled again. The following is repeated: every query is divided among the
    categories by the softmax of its cosines over a temperature, and a prototype becomes the mean of its support
    instances, with weight 1, and of all queries, weighted by their shares. The last shares are the probabilities.

    The result for an instance depends on the queries predicted with it. Computed in float64, so that their order does
    not matter.

    Args:
        temperature: Divisor of the cosines. The authors learn an embedding in which squared distances need none; for
            vectors of length one, a cosine over 0.1 is the squared distance times -5, plus a constant. flawshot's own
            choice, not tuned.
        iterations: How many times the prototypes are refined. The authors refine once, in training and testing; with
            frozen features, prototypes are refined until the shares hardly change. With 0, these are centered
            prototypes.

    References:
        Ren et al.: "Meta-Learning for Semi-Supervised Few-Shot Classification", ICLR 2018, without the meta-learning,
        and with the queries as the unlabeled instances.
    """

    transductive: ClassVar[bool] = True

    positive: ClassVar[tuple[str, ...]] = ("temperature",)
    whole: ClassVar[tuple[str, ...]] = ("iterations",)

    center_: NDArray[np.float64]
    sums_: NDArray[np.float64]

    def __init__(self, temperature: float = 0.1, iterations: int = 10) -> None:
        self.temperature = temperature
        self.iterations = iterations

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        views = support.features
        self.center_ = views.mean(axis=(0, 1), dtype=np.float64)
        self.sums_ = one_hot(labels, len(self.classes_)).T @ self._instances(views)

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        queries = self._instances(query.features)
        shares = self._shares(queries, self.sums_)
        for _ in range(self.iterations):
            # Sums can replace means, because prototypes are scaled to length one.
            shares = self._shares(queries, self.sums_ + shares.T @ queries)
        return shares.astype(np.float32)

    def _instances(self, views: NDArray[np.float32]) -> NDArray[np.float64]:
        scaled: NDArray[np.float64] = normalize(views.mean(axis=1, dtype=np.float64) - self.center_)
        return scaled

    def _shares(self, queries: NDArray[np.float64], sums: NDArray[np.float64]) -> NDArray[np.float64]:
        shares: NDArray[np.float64] = softmax(queries @ normalize(sums).T / self.temperature, axis=1)
        return shares
