"""What trained classifiers share: several support sets of one shape are trained together."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np
import torch
from sklearn.base import clone

from flawshot.classifiers.base import FewShotClassifier, Support

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Batch", "TrainedClassifier"]


class Batch(NamedTuple):
    """Support sets of one shape, on the device that trains.

    Attributes:
        views: float32 ``[episodes, support, views, dim]``.
        labels: Category numbers, int64 ``[episodes, support]``.
        categories: How many categories each has.
        text: float32 ``[episodes, categories, dim]``, or None.
    """

    views: torch.Tensor
    labels: torch.Tensor
    categories: int
    text: torch.Tensor | None


class TrainedClassifier(FewShotClassifier):
    """Base of the classifiers that are trained by gradient steps on :attr:`device`, such as ``cpu`` or ``cuda``.

    What is trained has a leading dimension of episodes, and episodes do not meet: each is trained as it would be alone.
    """

    # Whether training episodes together is faster on a CPU, too: where matrices are large, it is not.
    together_on_cpu: ClassVar[bool] = False

    device: str
    labels_: NDArray[np.intp]

    def fit_many(self, supports: Sequence[Support]) -> list[Self]:
        """Fit a copy of this estimator to each of several support sets; those of one shape are trained together."""
        copies = [clone(self) for _ in supports]
        alike: dict[tuple[int, ...], list[tuple[Self, NDArray[np.float32], NDArray[np.intp]]]] = {}
        for copy, support in zip(copies, supports, strict=True):
            views, labels = copy.checked_support(support.features, support.labels, support.text)
            alike.setdefault((*views.shape, len(copy.classes_)), []).append((copy, views, labels))
        together = self.together_on_cpu or torch.device(self.device).type != "cpu"
        for several in alike.values():
            for part in [several] if together else [[each] for each in several]:
                _fit_together(part)
        return copies

    def _fit(self, views: NDArray[np.float32], labels: NDArray[np.intp]) -> None:
        _fit_together([(self, views, labels)])

    @abstractmethod
    def train(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Train on a batch.

        Returns:
            What is learnt, by name, each with a leading dimension of episodes; kept under the name and an underscore.
        """


def _fit_together(several: Sequence[tuple[TrainedClassifier, NDArray[np.float32], NDArray[np.intp]]]) -> None:
    """Train estimators of the same parameters on support sets of one shape."""
    first = several[0][0]
    batch = Batch(
        views=torch.from_numpy(np.stack([views for _, views, _ in several])).to(first.device),
        labels=torch.from_numpy(np.stack([labels for _, _, labels in several])).to(first.device),
        categories=len(first.classes_),
        text=torch.from_numpy(np.stack([each.text_ for each, _, _ in several])).to(first.device)
        if first.needs_text
        else None,
    )
    learnt = {name: part.detach().cpu().numpy() for name, part in first.train(batch).items()}
    for number, (each, _, labels) in enumerate(several):
        each.labels_ = labels
        for name, part in learnt.items():
            setattr(each, f"{name}_", part[number])
