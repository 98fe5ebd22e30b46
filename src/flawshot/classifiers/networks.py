"""Fitted classifiers as torch modules, from features to probabilities: the parts that several of them share.

A module computes what the classifier's numpy code does, so that an encoder and its classifier can become one graph.
Only this module of the package needs torch for that; classifiers import it when a module is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from scipy.linalg import solve_triangular
from torch import nn
from torch.nn import functional

from flawshot.classifiers.functional import SMALLEST_NORM

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "ExpertsNetwork",
    "KernelNetwork",
    "KeyNetwork",
    "LinearNetwork",
    "MatchedNetwork",
    "NearestMean",
    "NeighborNetwork",
    "Whitening",
    "binary_as_two",
    "join_by_certainty",
    "normalized",
]


def normalized(x: torch.Tensor) -> torch.Tensor:
    """Vectors along the last axis scaled to length one, like :func:`flawshot.classifiers.functional.normalize`."""
    return functional.normalize(x, dim=-1, eps=SMALLEST_NORM)


def join_by_certainty(probabilities: torch.Tensor) -> torch.Tensor:
    """The views of each instance joined, like :func:`flawshot.classifiers.functional.join_by_certainty`.

    Args:
        probabilities: float32 ``[instances, views, categories]``.

    Returns:
        float32 ``[instances, categories]``.
    """
    categories = probabilities.shape[-1]
    if categories == 1:
        return probabilities.mean(dim=1)
    logarithms = torch.log(probabilities.clamp_min(float(np.finfo(np.float32).tiny)))
    entropy = -(probabilities * logarithms).sum(dim=-1)
    weights = (1.0 - entropy / float(np.log(categories))).clamp_min(0.0)
    total = weights.sum(dim=1, keepdim=True)
    shares = torch.where(total > 0, weights / torch.where(total > 0, total, 1.0), 1.0 / probabilities.shape[1])
    return (probabilities * shares[..., None]).sum(dim=1)


class Whitening(nn.Module):
    """Mean views scaled to length one, centered and whitened.

    Args:
        whitener: Lower factor of a scatter, float32 ``[dim, dim]``, by whose inverse is multiplied; None: nothing is
            whitened.
        center: float32 ``[dim]``, or None if nothing is centered.
    """

    center: torch.Tensor | None
    inverse: torch.Tensor | None

    def __init__(self, whitener: NDArray[np.float32] | None, center: NDArray[np.float32] | None = None) -> None:
        super().__init__()
        inverse = None
        if whitener is not None:
            identity = np.eye(len(whitener))
            inverse = torch.from_numpy(solve_triangular(whitener.astype(np.float64), identity, lower=True).T).float()
        self.register_buffer("center", None if center is None else torch.tensor(center))
        self.register_buffer("inverse", inverse)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """float32 ``[instances, views, dim]`` to ``[instances, dim]``, of any length."""
        instances = normalized(features).mean(dim=1)
        if self.center is not None:
            instances = instances - self.center
        return instances if self.inverse is None else instances @ self.inverse


class LinearNetwork(nn.Module):
    """The softmax of linear scores.

    Args:
        weight: ``[categories, dim]``; float64 weights make it compute in float64.
        bias: ``[categories]``, or None.
        entry: Makes instances ``[instances, dim]`` of features; by default the mean of the views.
        divisor: Divides the scores.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None

    def __init__(
        self,
        weight: NDArray[np.floating],
        bias: NDArray[np.floating] | None = None,
        *,
        entry: nn.Module | None = None,
        divisor: float = 1.0,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor(weight.T).contiguous())
        self.register_buffer("bias", None if bias is None else torch.tensor(bias))
        self.entry, self.divisor = entry, divisor

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """float32 ``[instances, views, dim]`` to ``[instances, categories]``; instances have length one."""
        exact = features.to(self.weight.dtype)
        instances = normalized(exact.mean(dim=1) if self.entry is None else self.entry(exact))
        scores = instances @ self.weight
        if self.bias is not None:
            scores = scores + self.bias
        return torch.softmax(scores / self.divisor, dim=-1).float()


class MatchedNetwork(nn.Module):
    """The softmax of cosines to the prototypes of the same view.

    Args:
        prototypes: Of length one, float32 ``[categories, views, dim]``.
        center: float32 ``[views, dim]``.
        divisor: Divides the sum of the cosines.
    """

    prototypes: torch.Tensor
    center: torch.Tensor

    def __init__(self, prototypes: NDArray[np.float32], center: NDArray[np.float32], divisor: float) -> None:
        super().__init__()
        self.register_buffer("prototypes", torch.tensor(prototypes).flatten(1).T.contiguous())
        self.register_buffer("center", torch.tensor(center))
        self.divisor = divisor

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """float32 ``[instances, views, dim]`` to ``[instances, categories]``."""
        scores = normalized(features - self.center).flatten(1) @ self.prototypes
        return torch.softmax(scores / self.divisor, dim=-1)


class ExpertsNetwork(nn.Module):
    """The log-probabilities of three linear experts, on mean views and on matched views, joined by weights.

    With another number of views than the matched experts', the one on mean views decides alone.

    Args:
        whitener: Lower factor of a scatter, as in :class:`Whitening`.
        centers: Of each view, float32 ``[views, dim]``.
        means: Weights of whitened mean views, float32 ``[categories, dim]``.
        whitened: Weights of the whitened views, float32 ``[categories, views * dim]``; None: only means are seen.
        matched: Weights of the views that are not whitened.
        shares: The weights of the three experts.
        divisor: Divides the scores.
        temperatures: Divide the joined log-probabilities, and those of the expert on mean views alone.
    """

    means: torch.Tensor
    centers: torch.Tensor
    whitened: torch.Tensor | None
    matched: torch.Tensor | None

    def __init__(
        self,
        whitener: NDArray[np.float32] | None,
        centers: NDArray[np.float32],
        means: NDArray[np.float32],
        whitened: NDArray[np.float32] | None,
        matched: NDArray[np.float32] | None,
        *,
        shares: tuple[float, float, float],
        divisor: float,
        temperatures: tuple[float, float],
    ) -> None:
        super().__init__()
        self.entry = Whitening(whitener, centers.mean(axis=0))
        self.shares, self.divisor, self.temperatures = shares, divisor, temperatures
        self.register_buffer("centers", torch.tensor(centers))
        for name, weights in (("means", means), ("whitened", whitened), ("matched", matched)):
            self.register_buffer(name, None if weights is None else torch.tensor(weights.T).contiguous())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """float32 ``[instances, views, dim]`` to ``[instances, categories]``."""
        joined = self._logarithms(normalized(self.entry(features)), self.means)
        if self.whitened is None or self.matched is None or features.shape[1] != self.centers.shape[0]:
            return torch.softmax(joined / self.temperatures[1], dim=-1)
        views = normalized(features) - self.centers
        inverse = self.entry.inverse
        apart = views if inverse is None else views @ inverse
        joined = self.shares[0] * joined
        joined = joined + self.shares[1] * self._logarithms(_side_by_side(apart), self.whitened)
        joined = joined + self.shares[2] * self._logarithms(_side_by_side(views), self.matched)
        return torch.softmax(joined / self.temperatures[0], dim=-1)

    def _logarithms(self, instances: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(instances @ weights / self.divisor, dim=-1)


def _side_by_side(views: torch.Tensor) -> torch.Tensor:
    """Views scaled to length one, in vectors of length one."""
    apart: torch.Tensor = normalized(views).flatten(1) / views.shape[1] ** 0.5
    return apart


class NeighborNetwork(nn.Module):
    """The shares of the categories among the nearest support instances; of equally near ones, any may be counted.

    Args:
        instances: Support instances of length one, float32 ``[support, dim]``.
        membership: One-hot categories of these, float32 ``[support, categories]``.
        neighbors: How many are counted.
    """

    instances: torch.Tensor
    membership: torch.Tensor

    def __init__(self, instances: NDArray[np.float32], membership: NDArray[np.float32], neighbors: int) -> None:
        super().__init__()
        self.register_buffer("instances", torch.tensor(instances.T).contiguous())
        self.register_buffer("membership", torch.tensor(membership))
        self.neighbors = neighbors

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """float32 ``[instances, views, dim]`` to ``[instances, categories]``."""
        cosines = normalized(features.mean(dim=1)) @ self.instances
        nearest = cosines.topk(self.neighbors, dim=1).indices
        return self.membership[nearest].mean(dim=1)


class KernelNetwork(nn.Module):
    """The softmax of weighted kernel values, exp(-sharpness (1 - cosine)), to support instances; in float64.

    Args:
        instances: Support instances of length one, float64 ``[support, dim]``.
        coefficients: Their weights, float64 ``[support, categories]``.
        sharpness: How fast an instance's influence falls with its distance.
    """

    instances: torch.Tensor
    coefficients: torch.Tensor

    def __init__(self, instances: NDArray[np.float64], coefficients: NDArray[np.float64], *, sharpness: float) -> None:
        super().__init__()
        self.register_buffer("instances", torch.tensor(instances.T).contiguous())
        self.register_buffer("coefficients", torch.tensor(coefficients))
        self.sharpness = sharpness

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """float32 ``[instances, views, dim]`` to ``[instances, categories]``."""
        cosines = normalized(features.to(self.instances.dtype).mean(dim=1)) @ self.instances
        scores = torch.exp(-self.sharpness * (1.0 - cosines)) @ self.coefficients
        return torch.softmax(scores, dim=-1).float()


class KeyNetwork(nn.Module):
    """Every view's similarity to each key, added by category; the views are joined by certainty.

    Args:
        keys: float32 ``[support, dim]``, of any length.
        membership: One-hot categories of these, float32 ``[support, categories]``.
        sharpness: How fast a key's influence falls with its distance.
        divisor: Divides the logits.
        adapter: Weight ``[dim, dim]`` and bias ``[dim]`` of a residual layer SiLU(W x + b) + x on the views, if any;
            the keys have passed it.
    """

    keys: torch.Tensor
    membership: torch.Tensor
    weight: torch.Tensor | None
    bias: torch.Tensor | None

    def __init__(
        self,
        keys: NDArray[np.float32],
        membership: NDArray[np.float32],
        *,
        sharpness: float,
        divisor: float,
        adapter: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
    ) -> None:
        super().__init__()
        weight, bias = (None, None) if adapter is None else map(torch.tensor, adapter)
        self.register_buffer("keys", normalized(torch.tensor(keys)).T.contiguous())
        self.register_buffer("membership", torch.tensor(membership))
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.sharpness, self.divisor = sharpness, divisor

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """float32 ``[instances, views, dim]`` to ``[instances, categories]``."""
        views = features
        if self.weight is not None:
            views = functional.silu(functional.linear(features, self.weight, self.bias)) + features
        cosines = normalized(views) @ self.keys
        logits = torch.exp(-self.sharpness * (1.0 - cosines)) @ self.membership / self.divisor
        return join_by_certainty(torch.softmax(logits, dim=-1))


class NearestMean(nn.Module):
    """The least weighted squared distance to a category's mean.

    Args:
        entry: Makes instances ``[instances, dim]`` of features.
        means: float32 ``[categories, dim]``.
        weights: Of the squared distances, float32 ``[categories]``.
    """

    means: torch.Tensor
    weights: torch.Tensor

    def __init__(self, entry: nn.Module, means: NDArray[np.float32], weights: NDArray[np.float32]) -> None:
        super().__init__()
        self.entry = entry
        self.register_buffer("means", torch.tensor(means))
        self.register_buffer("weights", torch.tensor(weights))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """float32 ``[instances, views, dim]`` to ``[instances]``."""
        squared = (self.entry(features)[:, None] - self.means).square().sum(dim=-1)
        return torch.amin(squared * self.weights, dim=1)


def binary_as_two(weight: NDArray[np.floating], bias: NDArray[np.floating]) -> tuple[NDArray[np.floating], ...]:
    """Weights of two categories for a softmax, from those of a logistic function; more categories are unchanged.

    Args:
        weight: ``[1, dim]`` or ``[categories, dim]``.
        bias: ``[1]`` or ``[categories]``.
    """
    if len(weight) > 1:
        return weight, bias
    return np.concatenate([np.zeros_like(weight), weight]), cast(
        "NDArray[np.floating]", np.concatenate([np.zeros_like(bias), bias])
    )
