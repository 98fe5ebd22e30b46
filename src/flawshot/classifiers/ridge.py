"""Balanced ridge regression on instances whitened by their views, and probabilities from its scores.

The math that ``default`` and related classifiers share, as pure functions over float32 arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize_scalar

from flawshot.classifiers.functional import normalize

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "PRIOR_TEMPERATURE",
    "ViewStatistics",
    "balance",
    "fit_temperature",
    "instance_means",
    "left_out_scores",
    "ridge_regression",
    "view_statistics",
    "view_whitener",
    "whiten",
]

# If the views of instances differ by less than this, there is nothing to learn from their differences.
SMALLEST_SCATTER = 1e-10
# The prior of a temperature: log-normal, with this spread of its logarithm. See docs/adr/0008.
PRIOR_TEMPERATURE, PRIOR_SPREAD = 0.09, 0.35
TEMPERATURES = (0.005, 5.0)
# Number of instances whose views are scaled at a time.
BLOCK = 256


class ViewStatistics(NamedTuple):
    """Means and scatter of views.

    Attributes:
        instances: Means of each instance's views scaled to length one, float32 ``[instances, dim]``.
        scatter: Second moments of the views around these means, float32 ``[dim, dim]``.
    """

    instances: NDArray[np.float32]
    scatter: NDArray[np.float32]


def instance_means(views: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of each instance's views scaled to length one: ``[instances, views, dim]`` to ``[instances, dim]``."""
    means = [normalize(views[start : start + BLOCK]).mean(axis=1) for start in range(0, len(views), BLOCK)]
    return np.concatenate(means)


def view_statistics(views: NDArray[np.float32]) -> ViewStatistics:
    """Means and scatter of views scaled to length one, computed one block of instances at a time.

    Args:
        views: float32 ``[instances, views, dim]``.
    """
    means, dim = [], views.shape[2]
    total = np.zeros((dim, dim), dtype=np.float32)
    for start in range(0, len(views), BLOCK):
        unit = normalize(views[start : start + BLOCK])
        means.append(unit.mean(axis=1))
        rows = (unit - means[-1][:, None]).reshape(-1, dim)
        total += rows.T @ rows
    return ViewStatistics(np.concatenate(means), total / np.float32(len(views) * views.shape[1]))


def view_whitener(scatter: NDArray[np.float32], shrinkage: float) -> NDArray[np.float32] | None:
    """The factor that whitens by the scatter of views.

    Args:
        scatter: Scatter of views around their instance's mean, float32 ``[dim, dim]``.
        shrinkage: Multiple of the features' mean variance that is added to the variance of each feature.

    Returns:
        Lower triangular float32 ``[dim, dim]``, the Cholesky factor of scatter / (shrinkage * mean variance) +
        identity; None if the views do not differ.
    """
    variance = float(np.trace(scatter))
    if variance < SMALLEST_SCATTER:
        return None
    shrunk = scatter / np.float32(shrinkage * variance / len(scatter))
    shrunk[np.diag_indices_from(shrunk)] += 1
    factor: NDArray[np.float32] = cholesky(shrunk, lower=True, overwrite_a=True, check_finite=False)
    return factor


def whiten(centered: NDArray[np.float32], whitener: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Whiten centered instances ``[instances, dim]``, and scale them to length one."""
    if whitener is None:
        return normalize(centered)
    return normalize(solve_triangular(whitener, centered.T, lower=True, check_finite=False).T)


def balance(labels: NDArray[np.intp], categories: int) -> NDArray[np.float32]:
    """Weights of instances that give each category the same total weight; their mean is one.

    >>> [round(float(weight), 3) for weight in balance(np.array([0, 0, 0, 1]), 2)]
    [0.667, 0.667, 0.667, 2.0]
    """
    counts = np.bincount(labels, minlength=categories)
    return (len(labels) / (np.count_nonzero(counts) * counts[labels])).astype(np.float32)


def ridge_regression(
    x: NDArray[np.float32], targets: NDArray[np.float32], weights: NDArray[np.float32], ridge: float
) -> NDArray[np.float32]:
    """Weighted ridge regression without intercept, through the smaller of its two normal equations.

    Args:
        x: float32 ``[instances, dim]``.
        targets: float32 ``[instances, categories]``.
        weights: Weights of the instances, above 0, ``[instances]``.
        ridge: Penalty of the squared coefficients.

    Returns:
        float32 ``[categories, dim]``.
    """
    x64, weight = x.astype(np.float64), weights.astype(np.float64)
    if len(x) <= x.shape[1]:
        solved = x64.T @ cho_solve(cho_factor(x64 @ x64.T + np.diag(ridge / weight)), targets)
    else:
        moments = (x64.T * weight) @ x64 + ridge * np.eye(x.shape[1])
        solved = cho_solve(cho_factor(moments), (x64.T * weight) @ targets)
    coefficients: NDArray[np.float32] = solved.T.astype(np.float32)
    return coefficients


def left_out_scores(
    x: NDArray[np.float32], targets: NDArray[np.float32], weights: NDArray[np.float32], ridge: float
) -> NDArray[np.float32]:
    """The scores of each instance when :func:`ridge_regression` is fitted on the others, in closed form.

    Args:
        x: float32 ``[instances, dim]``.
        targets: float32 ``[instances, categories]``.
        weights: Weights of the instances, above 0, ``[instances]``.
        ridge: Penalty of the squared coefficients.

    Returns:
        float32 ``[instances, categories]``.

    References:
        Allen: "The relationship between variable selection and data augmentation and a method for prediction" (PRESS),
        Technometrics 1974.
    """
    x64, weight = x.astype(np.float64), weights.astype(np.float64)
    if len(x) <= x.shape[1]:
        inverse = np.linalg.inv(x64 @ x64.T + np.diag(ridge / weight))
        scores = targets - (inverse @ targets) / np.diag(inverse)[:, None]
    else:
        moments = cho_factor((x64.T * weight) @ x64 + ridge * np.eye(x.shape[1]))
        leverage = weight * np.einsum("nd,dn->n", x64, cho_solve(moments, x64.T))
        fitted = x64 @ cho_solve(moments, (x64.T * weight) @ targets)
        scores = targets - (targets - fitted) / (1 - leverage)[:, None]
    return scores.astype(np.float32)


def fit_temperature(
    scores: NDArray[np.float32],
    labels: NDArray[np.intp],
    *,
    prior: float = PRIOR_TEMPERATURE,
    spread: float = PRIOR_SPREAD,
) -> float:
    """The temperature with the greatest posterior: likelihood of the labels times a log-normal prior.

    Args:
        scores: Scores of left-out instances, float32 ``[instances, categories]``.
        labels: Their category numbers.
        prior: The prior's median.
        spread: The prior's standard deviation, of the logarithm.

    References:
        Guo et al.: "On Calibration of Modern Neural Networks", ICML 2017, for the temperature; the prior is
        flawshot's own.
    """
    own = np.arange(len(labels))

    def loss(logarithm: float) -> float:
        logits = scores.astype(np.float64) / np.exp(logarithm)
        logits -= logits.max(axis=1, keepdims=True)
        likelihood = (logits[own, labels] - np.log(np.exp(logits).sum(axis=1))).sum()
        return float(((logarithm - np.log(prior)) / spread) ** 2 / 2 - likelihood)

    return float(np.exp(minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded").x))
