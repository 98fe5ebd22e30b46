"""Nearest neighbors by cosine distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import normalize, one_hot

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from flawshot.classifiers.base import Evidence

__all__ = ["NearestNeighbors"]


class NearestNeighbors(FewShotClassifier):
    """scikit-learn's k nearest neighbors over mean views, by cosine distance.

    An instance is the mean of its views, scaled to length one.

    Args:
        n_neighbors: How many support instances vote, at most all of them. With 1, a probability is 0 or 1.

    References:
        Cover, Hart: "Nearest neighbor pattern classification", IEEE Transactions on Information Theory 1967.
    """

    positive: ClassVar[tuple[str, ...]] = ("n_neighbors",)

    neighbors_: KNeighborsClassifier
    instances_: NDArray[np.float32]
    labels_: NDArray[np.intp]

    def __init__(self, n_neighbors: int = 1) -> None:
        self.n_neighbors = n_neighbors

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        self.instances_, self.labels_ = normalize(support.features.mean(axis=1)), labels
        # For vectors of length one, Euclidean and cosine distance give the same order.
        self.neighbors_ = KNeighborsClassifier(min(self.n_neighbors, len(labels)))
        self.neighbors_.fit(self.instances_, labels)

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        shares: NDArray[np.float32] = self.neighbors_.predict_proba(normalize(query.features.mean(axis=1))).astype(
            np.float32
        )
        return shares

    def _network(self) -> nn.Module:
        from flawshot.classifiers.networks import NeighborNetwork  # noqa: PLC0415 - needs torch

        membership = one_hot(self.labels_, len(self.classes_))
        return NeighborNetwork(self.instances_, membership, self.neighbors_.n_neighbors)
