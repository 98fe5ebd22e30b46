"""LP++: a linear probe whose weights are blended with text features, with step sizes that follow from the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from scipy.special import softmax

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import exact_instances, normalize, one_hot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence

__all__ = ["LinearProbePlusPlus", "StepSizes", "step_sizes"]

# From the released code: momentum of the weights, steps between two updates of the multipliers, and the factor of the
# mean cosine at which the multipliers start.
MOMENTUM = 0.9
BLOCK = 10
FIRST_MULTIPLIER = 250.0


class StepSizes(NamedTuple):
    """Step sizes of gradient descent.

    Attributes:
        weights: Of the visual weights.
        multipliers: Of the texts' multipliers.
    """

    weights: float
    multipliers: float


class LinearProbePlusPlus(FewShotClassifier):
    """Logistic regression whose weights are w + a t: learned ones, and the category's text feature t, blended by a.

    An instance is the mean of its views, scaled to length one. Weights w and multipliers a minimize the mean
    cross-entropy of the support set by full-batch gradient descent: w in every step, with momentum, and a in every
    tenth. w starts as the sum of the category's instances, and all a at 250 times the mean cosine of instances to their
    category's text. The step sizes follow from bounds of the curvature (:func:`step_sizes`), so that there is no
    learning rate to choose.

    Differences from the paper: the published figures are of the step that is best on a validation set. There is none
    here: the last step is kept. There is no bias, as in the paper; the released code has one that starts at random.

    Args:
        steps: Full-batch steps, from the released code.

    Attributes:
        weights_: Learned weights, float64 ``[categories, dim]``.
        multipliers_: Of the categories' text features, float64 ``[categories]``.

    References:
        Huang et al.: "LP++: A Surprisingly Strong Linear Probe for Few-Shot CLIP", CVPR 2024, arXiv 2404.02285.
    """

    inputs: ClassVar[frozenset[str]] = frozenset({"features", "text"})

    whole: ClassVar[tuple[str, ...]] = ("steps",)

    weights_: NDArray[np.float64]
    multipliers_: NDArray[np.float64]

    def __init__(self, steps: int = 300) -> None:
        self.steps = steps

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        instances, targets = exact_instances(support.features), one_hot(labels, len(self.classes_)).astype(np.float64)
        cosines = self._cosines(instances)
        sizes = step_sizes(instances, cosines)
        weights = targets.T @ instances
        own = (targets * cosines).sum(axis=0) / targets.sum(axis=0)
        multipliers = np.full(len(targets.T), FIRST_MULTIPLIER * own.mean())
        velocity = np.zeros_like(weights)
        for step in range(1, self.steps + 1):
            errors = (softmax(instances @ weights.T + multipliers * cosines, axis=1) - targets) / len(instances)
            velocity = MOMENTUM * velocity + errors.T @ instances
            weights = weights - sizes.weights * velocity
            if step % BLOCK == 0:
                multipliers = multipliers - sizes.multipliers * (errors * cosines).sum(axis=0)
        self.weights_, self.multipliers_ = weights, multipliers

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        instances = exact_instances(query.features)
        logits = instances @ self.weights_.T + self.multipliers_ * self._cosines(instances)
        shares: NDArray[np.float32] = softmax(logits, axis=1).astype(np.float32)
        return shares

    def _cosines(self, instances: NDArray[np.float64]) -> NDArray[np.float64]:
        cosines: NDArray[np.float64] = instances @ normalize(self.text_).T.astype(np.float64)
        return cosines


def step_sizes(instances: NDArray[np.float64], cosines: NDArray[np.float64]) -> StepSizes:
    """The released code's step sizes, from bounds of the mean cross-entropy's curvature.

    In one category's weights, the curvature is at most the greatest eigenvalue of the instances' second moments over 4,
    because p (1 - p) is; the step size of the weights is the inverse. In one category's multiplier, it is at most a
    quarter of the mean squared cosine; the step size of the multipliers is a sixteenth of the least inverse.

    Args:
        instances: float64 ``[instances, dim]``.
        cosines: Of instances to text features, float64 ``[instances, categories]``.
    """
    count = len(instances)
    small = instances @ instances.T if count <= instances.shape[1] else instances.T @ instances
    largest = max(float(np.linalg.eigvalsh(small)[-1]), np.finfo(np.float64).tiny)
    squares = max(float(np.square(cosines).sum(axis=0).max()), np.finfo(np.float64).tiny)
    return StepSizes(weights=4 * count / largest, multipliers=count / (4 * squares))
