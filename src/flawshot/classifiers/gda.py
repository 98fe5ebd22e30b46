"""Gaussian discriminant analysis: category means under one shared covariance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import exact_instances

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from flawshot.classifiers.base import Evidence

__all__ = ["GaussianDiscriminant", "discriminants"]

# Root mean square distance to the category's mean below which there is only float32 rounding.
SMALLEST_SPREAD = 1e-6


class GaussianDiscriminant(FewShotClassifier):
    """Each category is a Gaussian around its mean; all have the same covariance and the same prior.

    An instance is the mean of its views, scaled to length one. The precision is Kubokawa and Srivastava's ridge
    estimator d ((N - 1) Cov + trace(Cov) I)^-1 over the N support instances, each minus its category's mean. With one
    instance per category there is no covariance to estimate, and the precision is d I: the nearest mean.

    Differences from the paper: text is not used; ``gda-text`` adds the authors' zero-shot logits. In their released
    code each random crop is its own instance; here a view is not, because views of one instance differ in other ways
    than instances do. The precision is not tempered, so most probabilities are close to 0 or 1.

    References:
        Wang et al.: "A Hard-to-Beat Baseline for Training-free CLIP-based Adaptation", ICLR 2024.
        Kubokawa, Srivastava: "Estimation of the precision matrix of a singular Wishart distribution and its
        application in high-dimensional data", Journal of Multivariate Analysis 2008.
    """

    weight_: NDArray[np.float64]
    bias_: NDArray[np.float64]

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        self.weight_, self.bias_ = discriminants(exact_instances(support.features), labels, len(self.classes_))

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        logits = exact_instances(query.features) @ self.weight_.T + self.bias_
        shares: NDArray[np.float32] = softmax(logits, axis=1).astype(np.float32)
        return shares

    def _network(self) -> nn.Module:
        from flawshot.classifiers.networks import LinearNetwork  # noqa: PLC0415 - needs torch

        return LinearNetwork(self.weight_, self.bias_)


def discriminants(
    instances: NDArray[np.float64], labels: NDArray[np.intp], categories: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The linear discriminants of the categories.

    Args:
        instances: float64 ``[instances, dim]``.
        labels: Category numbers.
        categories: Number of categories.

    Returns:
        Weights ``[categories, dim]`` and biases ``[categories]``, without the prior, which is the same for all.
    """
    count, dim = instances.shape
    means = np.stack([instances[labels == category].mean(axis=0) for category in range(categories)])
    centered = instances - means[labels]
    total = float(np.square(centered).sum())
    if total <= count * SMALLEST_SPREAD**2:
        weight = dim * means
    else:
        ridge = total / (count - 1)
        # Woodbury's identity: solve a system of N equations instead of inverting [dim, dim].
        inner = centered @ centered.T + ridge * np.eye(count)
        weight = dim / ridge * (means - np.linalg.solve(inner, centered @ means.T).T @ centered)
    return weight, -np.einsum("cd,cd->c", weight, means) / 2
