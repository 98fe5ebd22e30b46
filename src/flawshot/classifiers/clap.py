"""CLAP: a linear probe that starts at the text features and is held to them, category by category."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional

from flawshot.classifiers.functional import normalize, softmax
from flawshot.classifiers.trained import EpisodeBatch, TrainedClassifier
from flawshot.classifiers.zero_shot import LOGIT_SCALE, text_logits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence

__all__ = ["Clap", "train_prototypes"]

MOMENTUM = 0.9


class Clap(TrainedClassifier):
    """Class-adaptive linear probing: prototypes trained under a penalty of their distance to the text features.

    A category's logit is 100 times the cosine to its prototype. The prototypes start as the text features and are
    trained to classify all support views, each scaled to length one, for a fixed number of full-batch steps of gradient
    descent with momentum 0.9 and a cosine schedule to 0. To the mean cross-entropy is added the mean over the
    categories of a multiplier times the squared distance of prototype and text feature. The multiplier is the mean
    zero-shot probability that the category's own support views get: where the text is right, it counts. Nothing is
    chosen on a validation set, in the paper as here, and nothing is random. A query is the mean of its views, scaled to
    length one.

    Differences from the paper: views take the place of 20 random crops, and full batches that of batches of 256. The
    first epoch with a rate of 1e-5 is left out. The rate and the penalty depend on how long the text features are;
    those of a feature bank have length one, so all are scaled to a length like that of CLIP's own.

    Args:
        steps: Full-batch steps; the released code's number of epochs.
        learning_rate: Learning rate of the first step, from the released code.
        text_length: Length to which text features are scaled.
        device: Where torch trains, such as ``cpu`` or ``cuda``.

    Attributes:
        prototypes_: float32 ``[categories, dim]``.

    References:
        Silva-Rodriguez et al.: "A Closer Look at the Few-Shot Adaptation of Large Vision-Language Models", CVPR 2024,
        arXiv 2312.12730.
    """

    inputs: ClassVar[frozenset[str]] = frozenset({"features", "text"})
    together_on_cpu: ClassVar[bool] = True

    positive: ClassVar[tuple[str, ...]] = ("learning_rate", "text_length")
    whole: ClassVar[tuple[str, ...]] = ("steps",)

    prototypes_: NDArray[np.float32]

    def __init__(
        self, *, steps: int = 300, learning_rate: float = 0.1, text_length: float = 10.0, device: str = "cpu"
    ) -> None:
        self.steps = steps
        self.learning_rate = learning_rate
        self.text_length = text_length
        self.device = device

    def train(self, batch: EpisodeBatch) -> dict[str, torch.Tensor]:
        """Train on a batch, as defined by :class:`flawshot.classifiers.trained.TrainedClassifier`."""
        prototypes = train_prototypes(
            batch, steps=self.steps, learning_rate=self.learning_rate, text_length=self.text_length
        )
        return {"prototypes": prototypes}

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        return softmax(text_logits(normalize(query.features.mean(axis=1)), self.prototypes_))


def train_prototypes(batch: EpisodeBatch, *, steps: int, learning_rate: float, text_length: float) -> torch.Tensor:
    """Train the prototypes on all support views, for several episodes at once.

    Args:
        batch: The support sets, with text.
        steps: Full-batch steps.
        learning_rate: Learning rate of the first step.
        text_length: Length to which text features are scaled.

    Returns:
        float32 ``[episodes, categories, dim]``, on the batch's device.
    """
    assert batch.text is not None  # noqa: S101  # the classifier needs text
    samples = functional.normalize(batch.views.flatten(1, 2), dim=-1)
    targets = batch.labels.repeat_interleave(batch.views.shape[2], dim=1)
    first = text_length * functional.normalize(batch.text, dim=-1)
    membership = functional.one_hot(targets, batch.categories).to(samples.dtype)
    shares = torch.softmax(LOGIT_SCALE * samples @ functional.normalize(first, dim=-1).mT, dim=-1)
    multipliers = (membership * shares).sum(dim=1) / membership.sum(dim=1)
    prototypes = first.clone().requires_grad_()
    optimizer = torch.optim.SGD([prototypes], lr=learning_rate, momentum=MOMENTUM)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
    with torch.enable_grad():
        for _ in range(steps):
            logits = LOGIT_SCALE * samples @ functional.normalize(prototypes, dim=-1).mT
            # The sum of each episode's own mean, so that its gradient does not depend on the number of episodes.
            loss = functional.cross_entropy(logits.mT, targets, reduction="none").mean(dim=1).sum()
            penalty = (multipliers * (prototypes - first).square().sum(dim=-1)).mean(dim=1).sum()
            (prototypes.grad,) = torch.autograd.grad(loss + penalty, prototypes)
            optimizer.step()
            schedule.step()
    return prototypes
