"""Linear probe: logistic regression on frozen features."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from sklearn.linear_model import LogisticRegression

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import normalize

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from flawshot.classifiers.base import Evidence

__all__ = ["LinearProbe"]


class LinearProbe(FewShotClassifier):
    """scikit-learn's logistic regression over mean views.

    An instance is the mean of its views, scaled to length one.

    Args:
        C: Inverse strength of the L2 penalty. The default is that of CLIP's published example (0.316 on features of
            length about 10), converted to length one; nothing is tuned.
        max_iter: Maximum number of solver steps.

    References:
        Radford et al.: "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.
    """

    positive: ClassVar[tuple[str, ...]] = ("C", "max_iter")

    regression_: LogisticRegression | None
    n_iter_: int

    def __init__(self, C: float = 31.6, max_iter: int = 1000) -> None:
        self.C = C
        self.max_iter = max_iter

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        self.regression_, self.n_iter_ = None, 1
        if len(self.classes_) > 1:
            self.regression_ = LogisticRegression(C=self.C, max_iter=self.max_iter)
            self.regression_.fit(normalize(support.features.mean(axis=1)), labels)
            self.n_iter_ = int(self.regression_.n_iter_.max())

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        views = query.features
        if self.regression_ is None:
            return np.ones((len(views), 1), dtype=np.float32)
        shares: NDArray[np.float32] = self.regression_.predict_proba(normalize(views.mean(axis=1))).astype(np.float32)
        return shares

    def _network(self) -> nn.Module:
        from flawshot.classifiers.networks import LinearNetwork, binary_as_two  # noqa: PLC0415 - needs torch

        if self.regression_ is None:
            return LinearNetwork(np.zeros((1, self.n_features_in_), dtype=np.float32))
        return LinearNetwork(*binary_as_two(self.regression_.coef_, self.regression_.intercept_))
