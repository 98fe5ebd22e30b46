"""The math that several classifiers share, as pure functions over arrays, float32 unless stated otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["category_means", "exact_instances", "join_by_certainty", "log_softmax", "normalize", "one_hot", "softmax"]

Float = TypeVar("Float", np.float32, np.float64)

# As in torch.nn.functional.normalize: a zero vector stays zero.
SMALLEST_NORM = 1e-12


def normalize(x: NDArray[Float]) -> NDArray[Float]:
    """Scale vectors along the last axis to length one, in their own precision; zero vectors stay zero.

    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    norms = np.sqrt(np.einsum("...d,...d->...", x, x))[..., None]
    scaled: NDArray[Float] = x / np.maximum(norms, np.float32(SMALLEST_NORM))
    return scaled


def exact_instances(views: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean of each instance's views, scaled to length one, in float64; zero vectors stay zero.

    Args:
        views: float32 ``[instances, views, dim]``.

    Returns:
        float64 ``[instances, dim]``.

    >>> exact_instances(np.array([[[6.0, 0.0], [0.0, 8.0]]], dtype=np.float32)).tolist()
    [[0.6, 0.8]]
    """
    return normalize(views.mean(axis=1, dtype=np.float64))


def softmax(logits: NDArray[Float]) -> NDArray[Float]:
    """Softmax over the last axis, in the logits' precision."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: NDArray[Float] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def log_softmax(logits: NDArray[Float]) -> NDArray[Float]:
    """The logarithm of the softmax over the last axis, in the logits' precision; finite where the softmax is 0."""
    lowered = logits - logits.max(axis=-1, keepdims=True)
    logarithms: NDArray[Float] = lowered - np.log(np.exp(lowered).sum(axis=-1, keepdims=True))
    return logarithms


def one_hot(labels: NDArray[np.intp], categories: int) -> NDArray[np.float32]:
    """float32 ``[instances, categories]`` with a one at each label.

    >>> one_hot(np.array([1, 0]), 2).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    return np.eye(categories, dtype=np.float32)[labels]


def category_means(x: NDArray[np.float32], labels: NDArray[np.intp], categories: int) -> NDArray[np.float32]:
    """Mean over the instances of each category: ``[instances, …]`` to ``[categories, …]``."""
    membership = one_hot(labels, categories)
    weights = membership / membership.sum(axis=0)
    means: NDArray[np.float32] = (weights.T @ x.reshape(len(x), -1)).reshape(categories, *x.shape[1:])
    return means


def join_by_certainty(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Combine the views of each instance, weighted by their certainty 1 - H(p) / log C.

    Args:
        probabilities: ``[instances, views, categories]``.

    Returns:
        ``[instances, categories]``. If no view has any certainty, all have the same weight.

    References:
        MVREC (AAAI 2025, arXiv 2412.16897).
    """
    categories = probabilities.shape[-1]
    if categories == 1:
        return np.ones((len(probabilities), 1), dtype=np.float32)
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    entropy = -(probabilities * logarithms).sum(axis=-1)
    weights = np.maximum(1.0 - entropy / np.float32(np.log(categories)), 0.0)
    total = weights.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, weights / np.where(total > 0, total, 1.0), 1.0 / weights.shape[1])
    joined: NDArray[np.float32] = (probabilities * shares[..., None]).sum(axis=1)
    return joined
