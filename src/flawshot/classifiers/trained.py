"""What trained classifiers share: support sets of the same shape are trained together."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np
import torch
from sklearn.base import clone

from flawshot.classifiers.base import FewShotClassifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence, Support

__all__ = ["EpisodeBatch", "TrainedClassifier"]


class EpisodeBatch(NamedTuple):
    """Support sets of the same shape, on the device used for training.

    Attributes:
        views: float32 ``[episodes, support, views, dim]``.
        labels: Category numbers, int64 ``[episodes, support]``.
        categories: Number of categories of each support set.
        text: float32 ``[episodes, categories, dim]``, or None.
    """

    views: torch.Tensor
    labels: torch.Tensor
    categories: int
    text: torch.Tensor | None


class TrainedClassifier(FewShotClassifier):
    """Base of the classifiers that are trained by gradient steps on :attr:`device`, such as ``cpu`` or ``cuda``.

    Trained parameters have a leading dimension of episodes, and episodes do not interact: each is trained as if alone.
    """

    # Whether training episodes together is also faster on a CPU; with large matrices it is not.
    together_on_cpu: ClassVar[bool] = False

    device: str
    labels_: NDArray[np.intp]

    def fit_many(self, supports: Sequence[Support]) -> list[Self]:
        """Fit a copy of this estimator to each of several support sets; those of equal shape are trained together."""
        copies = [clone(self) for _ in supports]
        alike: dict[tuple[int, ...], list[tuple[Self, Evidence, NDArray[np.intp]]]] = {}
        for copy, support in zip(copies, supports, strict=True):
            shown = support.evidence.only(self.inputs)
            text = shown.text if shown.text.size else None
            evidence, labels = copy.checked_support(shown.features, support.labels, text)
            alike.setdefault((*evidence.features.shape, len(copy.classes_)), []).append((copy, evidence, labels))
        for several in alike.values():
            for part in [several] if self.fits_together() else [[each] for each in several]:
                _fit_together(part)
        return copies

    def fits_together(self) -> bool:
        """Whether several support sets are trained together on this device."""
        foreign = type(self).fit_many is not TrainedClassifier.fit_many
        return foreign or self.together_on_cpu or torch.device(self.device).type != "cpu"

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        _fit_together([(self, support, labels)])

    @abstractmethod
    def train(self, batch: EpisodeBatch) -> dict[str, torch.Tensor]:
        """Train on a batch.

        Returns:
            The learned parameters by name, each with a leading dimension of episodes; they become attributes with a
            trailing underscore.
        """


def _fit_together(several: Sequence[tuple[TrainedClassifier, Evidence, NDArray[np.intp]]]) -> None:
    """Train estimators with the same parameters on support sets of the same shape."""
    first = several[0][0]
    batch = EpisodeBatch(
        views=torch.from_numpy(np.stack([evidence.features for _, evidence, _ in several])).to(first.device),
        labels=torch.from_numpy(np.stack([labels for _, _, labels in several])).to(first.device),
        categories=len(first.classes_),
        text=torch.from_numpy(np.stack([each.text_ for each, _, _ in several])).to(first.device)
        if "text" in first.inputs
        else None,
    )
    learnt = {name: part.detach().cpu().numpy() for name, part in first.train(batch).items()}
    for number, (each, _, labels) in enumerate(several):
        each.labels_ = labels
        for name, part in learnt.items():
            setattr(each, f"{name}_", part[number])
