"""Tip-Adapter: zero-shot text logits plus a cache of the support set, training-free."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import normalize, one_hot, softmax
from flawshot.classifiers.zero_shot import text_logits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence

__all__ = ["TipAdapter", "cache_logits"]


class TipAdapter(FewShotClassifier):
    """CLIP's zero-shot logits, plus a contribution of every support instance by its similarity.

    An instance is the mean of its views, scaled to length one; that of a support instance is its key. The authors
    average augmented crops of an image in the same way. A category's logit is 100 times the cosine to its text feature
    plus alpha times the sum over its keys of exp(-beta (1 - cosine)).

    The authors search alpha and beta on a validation set for every data set. There is none here: both are fixed.

    Args:
        alpha: Weight of the cache, from the paper.
        beta: Sharpness: how fast a key's influence falls with its distance; from the paper.

    References:
        Zhang et al.: "Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification", ECCV 2022, arXiv
        2207.09519.
    """

    inputs: ClassVar[frozenset[str]] = frozenset({"features", "text"})

    positive: ClassVar[tuple[str, ...]] = ("alpha", "beta")

    keys_: NDArray[np.float32]
    labels_: NDArray[np.intp]

    def __init__(self, alpha: float = 1.0, beta: float = 5.5) -> None:
        self.alpha = alpha
        self.beta = beta

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        self.keys_ = normalize(support.features.mean(axis=1))
        self.labels_ = labels

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        instances = normalize(query.features.mean(axis=1))
        cache = cache_logits(instances, self.keys_, one_hot(self.labels_, len(self.classes_)), self.beta)
        return softmax(text_logits(instances, self.text_) + self.alpha * cache)


def cache_logits(
    instances: NDArray[np.float32], keys: NDArray[np.float32], membership: NDArray[np.float32], beta: float
) -> NDArray[np.float32]:
    """The cache's logits: exp(-beta (1 - affinity)), added over the keys of each category.

    Args:
        instances: float32 ``[instances, dim]`` of length one.
        keys: float32 ``[support, dim]``, not scaled: trained keys can have any length.
        membership: One-hot categories of the keys, float32 ``[support, categories]``.
        beta: Sharpness.

    Returns:
        float32 ``[instances, categories]``.
    """
    logits: NDArray[np.float32] = np.exp(-beta * (1.0 - instances @ keys.T)) @ membership
    return logits
