"""CLIP-Adapter: a small residual network on the image features, trained against the text features."""

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

__all__ = ["ClipAdapter", "blend", "first_weights", "train_bottleneck"]

# Factor by which the hidden layer is narrower, from the paper.
REDUCTION = 4


class ClipAdapter(TrainedClassifier):
    """Image features blended with the output of a bottleneck network, classified by text features.

    x becomes ratio ReLU(U ReLU(D x)) + (1 - ratio) x, without biases; the hidden layer is a quarter as wide. A
    category's logit is 100 times the cosine to its text feature. The network is trained to classify all support views
    for a fixed number of full-batch steps of Adam, with cross-entropy and a cosine schedule to 0; the last step is
    kept. A query is the mean of its views.

    Differences from the paper: features are scaled to length one before the network, so that the length of an
    encoder's features does not matter; the authors do not scale them. They train in minibatches over random crops of
    up to thousands of images, and choose the ratio for every data set; here there are a few hundred views, so training
    uses full batches and Adam, and the ratio is fixed.

    Args:
        ratio: Share of the network in the blend, above 0 and at most 1; from the released code.
        steps: Full-batch steps; flawshot's own choice.
        learning_rate: Learning rate of the first step; Adam's own default.
        random_state: Seed of the initial weights, drawn as in torch's ``Linear``; the same for every support set.
        device: Where torch trains, such as ``cpu`` or ``cuda``.

    References:
        Gao et al.: "CLIP-Adapter: Better Vision-Language Models with Feature Adapters", IJCV 2024, arXiv 2110.04544.
    """

    inputs: ClassVar[frozenset[str]] = frozenset({"features", "text"})

    positive: ClassVar[tuple[str, ...]] = ("learning_rate",)
    shares: ClassVar[tuple[str, ...]] = ("ratio",)
    whole: ClassVar[tuple[str, ...]] = ("steps", "random_state")

    down_: NDArray[np.float32]
    up_: NDArray[np.float32]

    def __init__(
        self,
        *,
        ratio: float = 0.2,
        steps: int = 200,
        learning_rate: float = 1e-3,
        random_state: int = 0,
        device: str = "cpu",
    ) -> None:
        self.ratio = ratio
        self.steps = steps
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.device = device

    def train(self, batch: EpisodeBatch) -> dict[str, torch.Tensor]:
        """Train on a batch, as defined by :class:`flawshot.classifiers.trained.TrainedClassifier`."""
        down, up = train_bottleneck(
            batch,
            ratio=self.ratio,
            steps=self.steps,
            learning_rate=self.learning_rate,
            seed=self.random_state,
        )
        return {"down": down, "up": up}

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        instances = torch.from_numpy(normalize(query.features.mean(axis=1)))
        blended = blend(instances, torch.from_numpy(self.down_), torch.from_numpy(self.up_), self.ratio)
        return softmax(text_logits(blended.numpy(), self.text_))


def blend(x: torch.Tensor, down: torch.Tensor, up: torch.Tensor, ratio: float) -> torch.Tensor:
    """Features blended with the bottleneck network's, scaled to length one.

    Args:
        x: ``[…, instances, dim]``.
        down: ``[…, hidden, dim]``.
        up: ``[…, dim, hidden]``.
        ratio: Share of the network.

    Returns:
        ``[…, instances, dim]``.
    """
    made = functional.relu(functional.relu(x @ down.mT) @ up.mT)
    return functional.normalize(ratio * made + (1 - ratio) * x, dim=-1)


def first_weights(dim: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights down ``[hidden, dim]`` and up ``[dim, hidden]`` before training, as torch's ``Linear`` draws them.

    Drawn on the CPU, because other devices draw different numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    hidden = max(dim // REDUCTION, 1)
    down, up = (
        torch.empty(outputs, inputs).uniform_(-(inputs**-0.5), inputs**-0.5, generator=generator)
        for outputs, inputs in ((hidden, dim), (dim, hidden))
    )
    return down, up


def train_bottleneck(
    batch: EpisodeBatch, *, ratio: float, steps: int, learning_rate: float, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Train the bottleneck network on all support views, for several episodes at once.

    Args:
        batch: The support sets, with text.
        ratio: Share of the network in the blend.
        steps: Full-batch steps.
        learning_rate: Learning rate of the first step.
        seed: Seed of the initial weights.

    Returns:
        Weights down ``[episodes, hidden, dim]`` and up ``[episodes, dim, hidden]``, on the batch's device.
    """
    assert batch.text is not None  # noqa: S101  # the classifier needs text
    episodes, _, per_instance, dim = batch.views.shape
    samples = functional.normalize(batch.views.flatten(1, 2), dim=-1)
    text = functional.normalize(batch.text, dim=-1)
    targets = batch.labels.repeat_interleave(per_instance, dim=1)
    down, up = (first.to(samples.device).repeat(episodes, 1, 1).requires_grad_() for first in first_weights(dim, seed))
    optimizer = torch.optim.Adam([down, up], lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    with torch.enable_grad():
        for _ in range(steps):
            logits = LOGIT_SCALE * blend(samples, down, up, ratio) @ text.mT
            # The sum of each episode's own mean, so that its gradient does not depend on the number of episodes.
            loss = functional.cross_entropy(logits.mT, targets, reduction="none").mean(dim=1).sum()
            down.grad, up.grad = torch.autograd.grad(loss, [down, up])
            optimizer.step()
            schedule.step()
    return down, up
