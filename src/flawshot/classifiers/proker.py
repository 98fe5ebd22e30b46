"""ProKeR without text: kernel ridge regression on the support set."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import softmax

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import exact_instances, one_hot
from flawshot.classifiers.zero_shot import LOGIT_SCALE

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from flawshot.classifiers.base import Evidence

__all__ = ["ProKer", "kernel", "kernel_coefficients"]


class ProKer(FewShotClassifier):
    """Kernel ridge regression of category indicators: ProKeR whose prior is zero, so that it needs no text.

    An instance is the mean of its views, scaled to length one; the kernel is exp(-beta (1 - cosine)). With the kernel
    matrix K of the support set and its indicators Y, a query's scores are its kernel values times
    (K / ridge + I)^-1 Y; the probabilities are the softmax of 100 times the scores, CLIP's scale.
    :class:`flawshot.classifiers.proker_text.ProKerText` is the paper's method, whose prior is CLIP's zero-shot scores.

    Differences from the paper: the published figures choose beta and the ridge on a validation set. There is none here:
    both are fixed at the authors' values for ImageNet at 4 shots, the middle of their numbers of shots. In the released
    code each random crop is its own instance; here a view is not.

    Args:
        beta: Sharpness: how fast a support instance's influence falls with its distance.
        ridge: The ridge penalty.

    Attributes:
        instances_: Support instances, float64 ``[support, dim]``.
        coefficients_: Their weights, float64 ``[support, categories]``.

    References:
        Bendou et al.: "ProKeR: A Kernel Perspective on Few-Shot Adaptation of Large Vision-Language Models", CVPR 2025,
        arXiv 2501.11175.
    """

    positive: ClassVar[tuple[str, ...]] = ("beta", "ridge")

    instances_: NDArray[np.float64]
    coefficients_: NDArray[np.float64]

    def __init__(self, beta: float = 1.5, ridge: float = 0.05) -> None:
        self.beta = beta
        self.ridge = ridge

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        self.instances_ = exact_instances(support.features)
        targets = one_hot(labels, len(self.classes_)).astype(np.float64)
        self.coefficients_ = kernel_coefficients(self.instances_, targets, self.beta, self.ridge)

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        scores = kernel(exact_instances(query.features), self.instances_, self.beta) @ self.coefficients_
        shares: NDArray[np.float32] = softmax(LOGIT_SCALE * scores, axis=1).astype(np.float32)
        return shares

    def _network(self) -> nn.Module:
        from flawshot.classifiers.networks import KernelNetwork  # noqa: PLC0415 - needs torch

        return KernelNetwork(self.instances_, LOGIT_SCALE * self.coefficients_, sharpness=self.beta)


def kernel(a: NDArray[np.float64], b: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    """exp(-beta (1 - cosine)) of vectors of length one: float64 ``[a, dim]`` and ``[b, dim]`` to ``[a, b]``."""
    values: NDArray[np.float64] = np.exp(-beta * (1.0 - a @ b.T))
    return values


def kernel_coefficients(
    instances: NDArray[np.float64], targets: NDArray[np.float64], beta: float, ridge: float
) -> NDArray[np.float64]:
    """The weights of the support instances: (K / ridge + I)^-1 targets.

    The released code's. The minimizer of the paper's objective, squared errors plus the ridge times the squared norm,
    is these divided by the ridge; to scores that are added to a prior, the ridge is therefore also their weight.

    Args:
        instances: float64 ``[support, dim]`` of length one.
        targets: float64 ``[support, categories]``: indicators, minus the prior's scores if there is one.
        beta: The kernel's sharpness.
        ridge: The ridge penalty.

    Returns:
        float64 ``[support, categories]``.
    """
    matrix = kernel(instances, instances, beta) / ridge
    matrix[np.diag_indices_from(matrix)] += 1.0
    solved: NDArray[np.float64] = cho_solve(cho_factor(matrix, overwrite_a=True), targets)
    return solved
