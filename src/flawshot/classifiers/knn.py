"""Nearest neighbors by cosine distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import normalize

if TYPE_CHECKING:
    from numpy.typing import NDArray

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

    def __init__(self, n_neighbors: int = 1) -> None:
        self.n_neighbors = n_neighbors

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        views = support.features
        # For vectors of length one, Euclidean and cosine distance give the same order.
        self.neighbors_ = KNeighborsClassifier(min(self.n_neighbors, len(views)))
        self.neighbors_.fit(normalize(views.mean(axis=1)), labels)

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        shares: NDArray[np.float32] = self.neighbors_.predict_proba(normalize(query.features.mean(axis=1))).astype(
            np.float32
        )
        return shares
