"""Gaussian discriminant analysis with text: its discriminants added to the zero-shot logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.special import softmax

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import exact_instances
from flawshot.classifiers.gda import discriminants
from flawshot.classifiers.zero_shot import text_logits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence

__all__ = ["GaussianDiscriminantText"]


class GaussianDiscriminantText(FewShotClassifier):
    """CLIP's zero-shot logits plus alpha times the discriminants of Gaussians with a shared covariance.

    The discriminants are those of :class:`flawshot.classifiers.gda.GaussianDiscriminant`; an instance is the mean of
    its views, scaled to length one.

    Differences from the paper: the published figures choose alpha from 1e-4, 1e-3, …, 100 on a validation set for every
    data set. There is none here: alpha is the middle of these. In the released code each random crop is its own
    instance; here a view is not.

    Args:
        alpha: Weight of the discriminants.

    References:
        Wang et al.: "A Hard-to-Beat Baseline for Training-free CLIP-based Adaptation", ICLR 2024, arXiv 2402.04087.
    """

    inputs: ClassVar[frozenset[str]] = frozenset({"features", "text"})

    positive: ClassVar[tuple[str, ...]] = ("alpha",)

    weight_: NDArray[np.float64]
    bias_: NDArray[np.float64]

    def __init__(self, alpha: float = 0.1) -> None:
        self.alpha = alpha

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        self.weight_, self.bias_ = discriminants(exact_instances(support.features), labels, len(self.classes_))

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        instances = exact_instances(query.features)
        by_text = text_logits(instances.astype(np.float32), self.text_)
        by_image = instances @ self.weight_.T + self.bias_
        shares: NDArray[np.float32] = softmax(by_text + self.alpha * by_image, axis=1).astype(np.float32)
        return shares
