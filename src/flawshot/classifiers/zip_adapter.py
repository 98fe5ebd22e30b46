"""Zip-Adapter: MVREC's training-free classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import join_by_certainty, normalize, one_hot, softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from flawshot.classifiers.base import Evidence

__all__ = ["ZipAdapter", "zip_probabilities"]

# MVREC's constant divisor of the logits.
TAU = 0.11


class ZipAdapter(FewShotClassifier):
    """Compares every query view with every support instance's mean view, and combines the views by certainty.

    A support instance's key is the mean of its view features, which are not scaled before. A view's logit for a
    category is the sum over the category's keys of exp(-beta (1 - cosine)), divided by 0.11.

    Args:
        beta: Sharpness: how fast a key's influence falls with its distance.

    References:
        MVREC (AAAI 2025, arXiv 2412.16897); ``EchoClassfier`` in the released code.
    """

    positive: ClassVar[tuple[str, ...]] = ("beta",)

    keys_: NDArray[np.float32]
    labels_: NDArray[np.intp]

    def __init__(self, beta: float = 32.0) -> None:
        self.beta = beta

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        self.keys_ = support.features.mean(axis=1)
        self.labels_ = labels

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        return zip_probabilities(query.features, self.keys_, one_hot(self.labels_, len(self.classes_)), self.beta)

    def _network(self) -> nn.Module:
        from flawshot.classifiers.networks import KeyNetwork  # noqa: PLC0415 - needs torch

        membership = one_hot(self.labels_, len(self.classes_))
        return KeyNetwork(self.keys_, membership, sharpness=self.beta, divisor=TAU)


def zip_probabilities(
    views: NDArray[np.float32], keys: NDArray[np.float32], membership: NDArray[np.float32], beta: float
) -> NDArray[np.float32]:
    """Zip-Adapter's probabilities.

    Args:
        views: Query features float32 ``[instances, views, dim]``.
        keys: Support keys float32 ``[support, dim]``.
        membership: One-hot categories of the keys, float32 ``[support, categories]``.
        beta: Sharpness.

    Returns:
        float32 ``[instances, categories]``.
    """
    cosines = normalize(views) @ normalize(keys).T
    logits = np.exp(-beta * (1.0 - cosines)) @ membership / np.float32(TAU)
    return join_by_certainty(softmax(logits))
