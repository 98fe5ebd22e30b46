"""ProKeR: kernel ridge regression on the support set with CLIP's zero-shot scores as the prior."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.special import softmax

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import exact_instances, one_hot
from flawshot.classifiers.proker import kernel, kernel_coefficients
from flawshot.classifiers.zero_shot import LOGIT_SCALE, text_logits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence

__all__ = ["ProKerText"]


class ProKerText(FewShotClassifier):
    """Proximal kernel ridge regression: how CLIP's zero-shot scores err on the support set is regressed, and added.

    An instance is the mean of its views, scaled to length one; its prior scores are its cosines to the categories' text
    features. With the support set's kernel matrix K, indicators Y and prior scores F, a query's scores are its own
    prior scores plus its kernel values times (K / ridge + I)^-1 (Y - F), the kernel being exp(-beta (1 - cosine)). The
    probabilities are the softmax of 100 times the scores, CLIP's scale.

    Differences from the paper: the published figures choose beta and the ridge on a validation set. There is none here:
    both are fixed at the authors' values for ImageNet at 4 shots, the middle of their numbers of shots. As in the
    released code, the correction is the ridge times the minimizer of the paper's objective. There, each random crop is
    its own instance; here a view is not.

    Args:
        beta: Sharpness: how fast a support instance's influence falls with its distance.
        ridge: The ridge penalty, and the weight of the correction.

    Attributes:
        instances_: Support instances, float64 ``[support, dim]``.
        coefficients_: Their weights, float64 ``[support, categories]``.

    References:
        Bendou et al.: "ProKeR: A Kernel Perspective on Few-Shot Adaptation of Large Vision-Language Models", CVPR 2025,
        arXiv 2501.11175.
    """

    inputs: ClassVar[frozenset[str]] = frozenset({"features", "text"})

    positive: ClassVar[tuple[str, ...]] = ("beta", "ridge")

    instances_: NDArray[np.float64]
    coefficients_: NDArray[np.float64]

    def __init__(self, beta: float = 1.5, ridge: float = 0.05) -> None:
        self.beta = beta
        self.ridge = ridge

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        self.instances_ = exact_instances(support.features)
        errors = one_hot(labels, len(self.classes_)) - self._prior(self.instances_)
        self.coefficients_ = kernel_coefficients(self.instances_, errors, self.beta, self.ridge)

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        instances = exact_instances(query.features)
        scores = self._prior(instances) + kernel(instances, self.instances_, self.beta) @ self.coefficients_
        shares: NDArray[np.float32] = softmax(LOGIT_SCALE * scores, axis=1).astype(np.float32)
        return shares

    def _prior(self, instances: NDArray[np.float64]) -> NDArray[np.float64]:
        return text_logits(instances.astype(np.float32), self.text_, scale=1.0).astype(np.float64)
