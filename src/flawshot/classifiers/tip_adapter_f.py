"""Tip-Adapter-F: Tip-Adapter with its keys trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional

from flawshot.classifiers.functional import normalize, one_hot, softmax
from flawshot.classifiers.tip_adapter import cache_logits
from flawshot.classifiers.trained import EpisodeBatch, TrainedClassifier
from flawshot.classifiers.zero_shot import LOGIT_SCALE, text_logits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence

__all__ = ["TipAdapterF", "train_keys"]


class TipAdapterF(TrainedClassifier):
    """Tip-Adapter whose keys start as the support instances and are then trained, without constraint on their length.

    The keys are trained to classify all support views, each scaled to length one, for a fixed number of full-batch
    steps of AdamW, with cross-entropy and a cosine schedule to 0; views take the place of the authors' random crops. A
    query is the mean of its views, scaled to length one. Nothing is random.

    The authors keep the epoch that is best on the test set, and then search alpha and beta on a validation set. There
    is no such set here: the last step is kept, and both are fixed.

    Args:
        alpha: Weight of the cache, from the paper.
        beta: Sharpness: how fast a key's influence falls with its distance; from the paper.
        steps: Full-batch steps, from the released code: 100 epochs of one batch each for a small data set, EuroSAT.
        learning_rate: Learning rate of the first step, from the released code.
        weight_decay: AdamW's own default, as in the released code.
        epsilon: AdamW's epsilon, from the released code.
        device: Where torch trains, such as ``cpu`` or ``cuda``.

    References:
        Zhang et al.: "Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification", ECCV 2022, arXiv
        2207.09519; ``run_tip_adapter_F`` in the released code.
    """

    inputs: ClassVar[frozenset[str]] = frozenset({"features", "text"})
    together_on_cpu: ClassVar[bool] = True

    positive: ClassVar[tuple[str, ...]] = ("alpha", "beta", "learning_rate", "epsilon")
    whole: ClassVar[tuple[str, ...]] = ("steps",)

    keys_: NDArray[np.float32]
    labels_: NDArray[np.intp]

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        beta: float = 5.5,
        steps: int = 100,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        epsilon: float = 1e-4,
        device: str = "cpu",
    ) -> None:
        self.alpha = alpha
        self.beta = beta
        self.steps = steps
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.epsilon = epsilon
        self.device = device

    def train(self, batch: EpisodeBatch) -> dict[str, torch.Tensor]:
        """Train on a batch, as defined by :class:`flawshot.classifiers.trained.TrainedClassifier`."""
        keys = train_keys(
            batch,
            alpha=self.alpha,
            beta=self.beta,
            steps=self.steps,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            epsilon=self.epsilon,
        )
        return {"keys": keys}

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        instances = normalize(query.features.mean(axis=1))
        cache = cache_logits(instances, self.keys_, one_hot(self.labels_, len(self.classes_)), self.beta)
        return softmax(text_logits(instances, self.text_) + self.alpha * cache)


def train_keys(
    batch: EpisodeBatch,
    *,
    alpha: float,
    beta: float,
    steps: int,
    learning_rate: float,
    weight_decay: float,
    epsilon: float,
) -> torch.Tensor:
    """Train the keys on all support views, for several episodes at once.

    Args:
        batch: The support sets, with text.
        alpha: Weight of the cache.
        beta: Sharpness.
        steps: Full-batch steps.
        learning_rate: Learning rate of the first step.
        weight_decay: AdamW's weight decay.
        epsilon: AdamW's epsilon.

    Returns:
        float32 ``[episodes, support, dim]``, on the batch's device.
    """
    assert batch.text is not None  # noqa: S101  # the classifier needs text
    samples = functional.normalize(batch.views.flatten(1, 2), dim=-1)
    from_text = LOGIT_SCALE * samples @ functional.normalize(batch.text, dim=-1).mT
    membership = functional.one_hot(batch.labels, batch.categories).float()
    targets = batch.labels.repeat_interleave(batch.views.shape[2], dim=1)
    keys = functional.normalize(batch.views.mean(dim=2), dim=-1).requires_grad_()
    optimizer = torch.optim.AdamW([keys], lr=learning_rate, eps=epsilon, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    with torch.enable_grad():
        for _ in range(steps):
            cache = torch.exp(-beta * (1 - samples @ keys.mT)) @ membership
            # The sum of each episode's own mean, so that its gradient does not depend on the number of episodes.
            loss = functional.cross_entropy((from_text + alpha * cache).mT, targets, reduction="none").mean(dim=1).sum()
            (keys.grad,) = torch.autograd.grad(loss, keys)
            optimizer.step()
            schedule.step()
    return keys
