"""Cosine prototypes: the nearest category mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import category_means, normalize, softmax

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from flawshot.classifiers.base import Evidence

__all__ = ["CosinePrototype"]


class CosinePrototype(FewShotClassifier):
    """The category whose prototype is nearest by cosine.

    An instance is the mean of its views, scaled to length one; a prototype is the mean of its category's instances,
    scaled again. The probabilities are the softmax of the cosines over a temperature.

    Args:
        temperature: Divisor of the cosines, by default CLIP's 1/100; it changes probabilities, never predictions.

    References:
        Snell, Swersky, Zemel: "Prototypical Networks for Few-shot Learning", NeurIPS 2017, with the cosine in place
        of the Euclidean distance.
    """

    positive: ClassVar[tuple[str, ...]] = ("temperature",)

    prototypes_: NDArray[np.float32]

    def __init__(self, temperature: float = 0.01) -> None:
        self.temperature = temperature

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        instances = normalize(support.features.mean(axis=1))
        self.prototypes_ = normalize(category_means(instances, labels, len(self.classes_)))

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        return softmax(normalize(query.features.mean(axis=1)) @ self.prototypes_.T / self.temperature)

    def _network(self) -> nn.Module:
        from flawshot.classifiers.networks import LinearNetwork  # noqa: PLC0415 - needs torch

        return LinearNetwork(self.prototypes_, divisor=self.temperature)
