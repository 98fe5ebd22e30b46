"""TransCLIP: a Gaussian mixture of support set and queries, in which neighbors agree, held to the zero-shot answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.special import log_softmax

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import exact_instances, one_hot
from flawshot.classifiers.transclip import assignments
from flawshot.classifiers.zero_shot import text_logits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence

__all__ = ["TransClipText"]


class TransClipText(FewShotClassifier):
    """The few-shot variant of TransCLIP: transductive, with text.

    As :class:`flawshot.classifiers.transclip.TransClip`, whose notes apply, but assignments start as CLIP's zero-shot
    probabilities, and these, to the power of the text's weight, multiply them in every update: the effect of a penalty
    of the divergence between both. The result for an instance depends on the queries predicted with it.

    Differences from the paper: the weight of the support set, which the published figures choose on a validation set,
    is fixed; and neighbors are numbered like assignments, which they are not in the released few-shot code.

    Args:
        support_weight: Weight of the whole support set, relative to all queries; 50 gamma of the released code.
        text_weight: Weight of the text, from the released code.
        iterations: Updates of the Gaussians, from the released code.

    References:
        Zanella et al.: "Boosting Vision-Language Models with Transduction", NeurIPS 2024, arXiv 2406.01837.
    """

    inputs: ClassVar[frozenset[str]] = frozenset({"features", "text"})
    transductive: ClassVar[bool] = True

    positive: ClassVar[tuple[str, ...]] = ("support_weight", "text_weight")
    whole: ClassVar[tuple[str, ...]] = ("iterations",)

    instances_: NDArray[np.float64]
    labels_: NDArray[np.intp]

    def __init__(self, support_weight: float = 1.0, text_weight: float = 0.5, iterations: int = 10) -> None:
        self.support_weight = support_weight
        self.text_weight = text_weight
        self.iterations = iterations

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        self.instances_, self.labels_ = exact_instances(support.features), labels

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        queries = exact_instances(query.features)
        by_text = log_softmax(text_logits(queries.astype(np.float32), self.text_).astype(np.float64), axis=1)
        shares = assignments(
            queries,
            self.instances_,
            one_hot(self.labels_, len(self.classes_)).astype(np.float64),
            first=np.exp(by_text),
            prior=self.text_weight * by_text,
            support_weight=self.support_weight,
            iterations=self.iterations,
        )
        return shares.astype(np.float32)
