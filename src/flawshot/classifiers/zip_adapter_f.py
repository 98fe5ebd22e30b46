"""Zip-Adapter-F: MVREC's fine-tuned classifier, with an explicit gradient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch.nn import functional

from flawshot.classifiers.functional import one_hot
from flawshot.classifiers.trained import EpisodeBatch, TrainedClassifier
from flawshot.classifiers.zip_adapter import TAU, zip_probabilities

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from flawshot.classifiers.base import Evidence

__all__ = ["Adapter", "ZipAdapterF", "adapt", "train_adapter"]


class Adapter(NamedTuple):
    """The trained parameters: z(x) = SiLU(W x + b) + x, and the support keys.

    Attributes:
        weight: W, float32 ``[episodes, dim, dim]``.
        bias: b, float32 ``[episodes, dim]``.
        keys: The keys before z, float32 ``[episodes, support, dim]``.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    keys: torch.Tensor


class ZipAdapterF(TrainedClassifier):
    """Zip-Adapter with a trained residual adapter on queries and keys, and trained keys.

    z(x) = SiLU(W x + b) + x starts as the identity, and the keys start as the support instances' mean views. They are
    trained to classify all support views against the keys for a fixed number of full-batch steps of AdamW, with
    cross-entropy and a cosine schedule; there is no validation set, and nothing is random. Computed in float32.

    Args:
        beta: Sharpness: how fast a key's influence falls with its distance.
        steps: Full-batch steps.
        learning_rate: Learning rate of the first step.
        final_learning_rate: Learning rate at the end of the cosine schedule.
        weight_decay: AdamW's weight decay.
        epsilon: AdamW's epsilon.
        device: Where torch trains, such as ``cpu`` or ``cuda``.

    References:
        MVREC (AAAI 2025, arXiv 2412.16897); ``EchoClassfierF`` in the released code.
    """

    positive: ClassVar[tuple[str, ...]] = ("beta", "learning_rate", "final_learning_rate", "epsilon")
    whole: ClassVar[tuple[str, ...]] = ("steps",)

    weight_: NDArray[np.float32]
    bias_: NDArray[np.float32]
    keys_: NDArray[np.float32]
    labels_: NDArray[np.intp]

    def __init__(
        self,
        *,
        beta: float = 1.0,
        steps: int = 500,
        learning_rate: float = 1e-4,
        final_learning_rate: float = 1e-5,
        weight_decay: float = 0.01,
        epsilon: float = 1e-6,
        device: str = "cpu",
    ) -> None:
        self.beta = beta
        self.steps = steps
        self.learning_rate = learning_rate
        self.final_learning_rate = final_learning_rate
        self.weight_decay = weight_decay
        self.epsilon = epsilon
        self.device = device

    def train(self, batch: EpisodeBatch) -> dict[str, torch.Tensor]:
        """Train on a batch, as defined by :class:`flawshot.classifiers.trained.TrainedClassifier`."""
        adapter = train_adapter(
            batch,
            beta=self.beta,
            steps=self.steps,
            learning_rates=(self.learning_rate, self.final_learning_rate),
            weight_decay=self.weight_decay,
            epsilon=self.epsilon,
        )
        return adapter._asdict()

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        weight, bias = torch.from_numpy(self.weight_), torch.from_numpy(self.bias_)
        adapted_views, adapted_keys = (
            adapt(torch.tensor(x), weight, bias).numpy() for x in (query.features, self.keys_)
        )
        return zip_probabilities(adapted_views, adapted_keys, one_hot(self.labels_, len(self.classes_)), self.beta)

    def _network(self) -> nn.Module:
        from flawshot.classifiers.networks import KeyNetwork  # noqa: PLC0415 - needs torch

        weight, bias = torch.from_numpy(self.weight_), torch.from_numpy(self.bias_)
        return KeyNetwork(
            adapt(torch.tensor(self.keys_), weight, bias).numpy(),
            one_hot(self.labels_, len(self.classes_)),
            sharpness=self.beta,
            divisor=TAU,
            adapter=(self.weight_, self.bias_),
        )


def adapt(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """The residual adapter SiLU(W x + b) + x along the last axis."""
    return functional.silu(functional.linear(x, weight, bias)) + x


@torch.no_grad()
def train_adapter(
    batch: EpisodeBatch,
    *,
    beta: float,
    steps: int,
    learning_rates: tuple[float, float],
    weight_decay: float,
    epsilon: float,
) -> Adapter:
    """Train the adapter and the keys on all support views, for several episodes at once.

    Args:
        batch: The support sets.
        beta: Sharpness.
        steps: Full-batch steps.
        learning_rates: Learning rates of the first step and at the end of the cosine schedule.
        weight_decay: AdamW's weight decay.
        epsilon: AdamW's epsilon.

    Returns:
        The trained parts, on the batch's device.
    """
    views = batch.views
    episodes, _, per_instance, dim = views.shape
    samples = views.flatten(1, 2)
    # Views and keys pass through the adapter together, one per column; the keys, which change in every step, come last.
    rows = torch.cat([samples, views.mean(dim=2)], dim=1)
    inputs = Inputs(rows.mT.contiguous(), rows)
    membership = functional.one_hot(batch.labels, batch.categories).float()
    targets = membership.repeat_interleave(per_instance, dim=1)
    adapter = Adapter(
        weight=torch.zeros(episodes, dim, dim, device=views.device),
        bias=torch.zeros(episodes, dim, device=views.device),
        keys=views.mean(dim=2),
    )
    optimizer = torch.optim.AdamW(
        [part.requires_grad_() for part in adapter], eps=epsilon, weight_decay=weight_decay, fused=True
    )
    first, last = learning_rates
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = last + (first - last) * (1 + math.cos(math.pi * step / steps)) / 2
        inputs.columns[:, :, samples.shape[1] :] = adapter.keys.mT
        inputs.rows[:, samples.shape[1] :] = adapter.keys
        gradients = _gradient(inputs, adapter, membership / TAU, targets, beta)
        for part, gradient in zip(adapter, gradients, strict=True):
            part.grad = gradient.contiguous()  # the fused step reads memory in the parameter's layout
        optimizer.step()
    return Adapter(*(part.detach() for part in adapter))


class Inputs(NamedTuple):
    """The adapter's inputs, views and then keys, in both layouts that its two products read without a copy.

    Attributes:
        columns: float32 ``[episodes, dim, views + keys]``, contiguous.
        rows: float32 ``[episodes, views + keys, dim]``, contiguous.
    """

    columns: torch.Tensor
    rows: torch.Tensor


def _gradient(
    inputs: Inputs, adapter: Adapter, scaled_membership: torch.Tensor, targets: torch.Tensor, beta: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradient of each episode's mean cross-entropy with respect to weight, bias and keys.

    Written explicitly, because autograd's bookkeeping costs as much as a matrix product; the two products of
    ``[dim, dim]`` and ``[dim, views]`` then dominate.
    """
    views = targets.shape[1]
    linear = _product(adapter.weight, inputs.columns).add_(adapter.bias[..., None])
    unit = torch.addcmul(inputs.columns, linear, torch.sigmoid(linear))
    lengths = torch.linalg.vector_norm(unit, dim=1, keepdim=True).clamp_min_(1e-12)
    unit /= lengths
    cosines = unit[..., :views].mT @ unit[..., views:]
    affinities = torch.exp(beta * (cosines - 1))
    errors = (torch.softmax(affinities @ scaled_membership, dim=2) - targets) / views
    by_cosine = beta * (errors @ scaled_membership.mT) * affinities
    by_unit = torch.cat([unit[..., views:] @ by_cosine.mT, unit[..., :views] @ by_cosine], dim=2)
    along = by_cosine * cosines
    radial = torch.cat([along.sum(dim=2), along.sum(dim=1)], dim=1)[:, None]
    by_adapted = by_unit.addcmul_(unit, radial, value=-1).div_(lengths)
    by_linear = torch.ops.aten.silu_backward(by_adapted, linear)
    by_keys = by_adapted[..., views:].mT + by_linear[..., views:].mT @ adapter.weight
    return _product(by_linear, inputs.rows), by_linear.sum(dim=2), by_keys


def _product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Matrix products ``a @ b`` of contiguous float32 ``[episodes, …, …]``.

    On a CPU each is computed as a convolution of width one, which torch passes to oneDNN: the library behind ``@`` runs
    at half its speed on processors that are not Intel's.
    """
    if a.device.type == "cpu":
        return torch.cat(
            [functional.conv2d(y[None, :, :, None], x[:, :, None, None])[..., 0] for x, y in zip(a, b, strict=True)]
        )
    return a @ b
