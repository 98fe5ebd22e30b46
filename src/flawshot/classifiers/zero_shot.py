"""Zero-shot: CLIP's text-only classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import normalize, softmax

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence

__all__ = ["LOGIT_SCALE", "ZeroShot", "text_logits"]

# The final value of CLIP's learned logit scale, which was clipped at 100 in training.
LOGIT_SCALE = 100.0


class ZeroShot(FewShotClassifier):
    """The category whose text feature is nearest by cosine.

    An instance is the mean of its views, scaled to length one. Only the categories of the support set are used. The
    text features are used as they are: ensembles of prompts have already been averaged.

    Args:
        scale: Factor of the cosines, by default CLIP's 100; it changes probabilities, never predictions.

    References:
        Radford et al.: "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.
    """

    inputs: ClassVar[frozenset[str]] = frozenset({"features", "text"})

    positive: ClassVar[tuple[str, ...]] = ("scale",)

    def __init__(self, scale: float = LOGIT_SCALE) -> None:
        self.scale = scale

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        """Learn nothing."""

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        return softmax(text_logits(normalize(query.features.mean(axis=1)), self.text_, self.scale))


def text_logits(
    instances: NDArray[np.float32], text: NDArray[np.float32], scale: float = LOGIT_SCALE
) -> NDArray[np.float32]:
    """CLIP's logits: scaled cosines to the text features.

    Args:
        instances: float32 ``[instances, dim]`` of length one.
        text: Text features of any length, float32 ``[categories, dim]``.
        scale: Factor of the cosines.

    Returns:
        float32 ``[instances, categories]``.
    """
    logits: NDArray[np.float32] = scale * (instances @ normalize(text).T)
    return logits
