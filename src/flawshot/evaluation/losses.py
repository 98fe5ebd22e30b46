"""Brier score and log loss: of each query, and their estimates.

Both are proper scores: what one expects of them is best if one states the probabilities that one believes. Unlike the
calibration error, they need no bins, and small samples do not bias them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from flawshot.evaluation.estimates import estimate_known
from flawshot.evaluation.intervals import lone_variance, mean_parts, share_interval, variance_parts
from flawshot.evaluation.result_records import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flawshot.evaluation.intervals import Part

__all__ = ["LEAST_PROBABILITY", "WORST", "Loss", "brier_scores", "estimate_loss", "estimate_mean_loss", "log_losses"]

# In log losses no probability counts as less: one 0 given to the truth would make every mean infinite.
LEAST_PROBABILITY: Final = 1e-7
# By name of the loss, the greatest that a query can have.
WORST: Final = {"brier": 2.0, "log_loss": -math.log(LEAST_PROBABILITY)}


class Loss(NamedTuple):
    """A loss of one classifier on one product at one K.

    Attributes:
        per_seed: Its mean over the queries of each seed's episode.
        resampled: Bootstrap values of the mean over seeds, float64 ``[draws]``.
        queries: Number of distinct query instances.
        units: Number of images, or groups, that they come from.
        known: Whether it is known without a measurement, as that of a blind guess is.
    """

    per_seed: list[float]
    resampled: NDArray[np.float64]
    queries: int
    units: int
    known: bool = False


def brier_scores(
    probabilities: NDArray[np.float32] | NDArray[np.float64], truth: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Brier score of each query: the sum over all categories of the squared differences to the truth's 1 and 0.

    This is Brier's own form, from 0 to 2; for two categories, it is twice the form that looks at one of them.

    Args:
        probabilities: ``[queries, categories]``; each row adds up to 1.
        truth: Numbers of the true categories, ``[queries]``.

    Returns:
        float64 ``[queries]``.

    References:
        Brier: "Verification of forecasts expressed in terms of probability", Monthly Weather Review 1950.

    >>> brier_scores(np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]), np.array([0, 0, 0])).tolist()
    [0.0, 0.5, 2.0]
    """
    differences = probabilities.astype(np.float64)
    differences[np.arange(len(truth)), truth] -= 1.0
    scores: NDArray[np.float64] = np.square(differences).sum(axis=1)
    return scores


def log_losses(
    probabilities: NDArray[np.float32] | NDArray[np.float64], truth: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Log loss of each query, in nats: minus the logarithm of the true category's probability.

    Probabilities below :data:`LEAST_PROBABILITY` count as that, so that the greatest loss is 16.1.

    Args:
        probabilities: ``[queries, categories]``; each row adds up to 1.
        truth: Numbers of the true categories, ``[queries]``.

    Returns:
        float64 ``[queries]``.

    References:
        Good: "Rational decisions", Journal of the Royal Statistical Society B 1952.

    >>> log_losses(np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]), np.array([0, 0, 0])).round(3).tolist()
    [0.0, 0.693, 16.118]
    """
    known = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    # Rounding may leave a sum, and so a probability, just above 1; adding zero removes the sign of -0.0.
    losses: NDArray[np.float64] = -np.log(known.clip(LEAST_PROBABILITY, 1.0)) + 0.0
    return losses


def estimate_loss(name: str, loss: Loss) -> Estimate:
    """Estimate a loss.

    Args:
        name: ``brier`` or ``log_loss``.
        loss: The loss.
    """
    return estimate_mean_loss(name, [loss], estimate_known(loss.per_seed).std)


def estimate_mean_loss(name: str, losses: Sequence[Loss], std: float | None) -> Estimate:
    """Estimate the mean of a loss over products.

    Its interval is that of a share, of the worst possible loss: many queries' losses are close to 0 and a few large, so
    that Student's interval, symmetrical, contains the truth too rarely.

    Args:
        name: ``brier`` or ``log_loss``.
        losses: Each product's loss.
        std: The standard deviation of the mean over seeds.
    """
    worst, queries = WORST[name], sum(loss.queries for loss in losses)
    share = float(np.mean([_share(loss, worst) for loss in losses]))
    if all(loss.known for loss in losses):
        return Estimate(mean=share * worst, std=std, ci95=(share * worst, share * worst))
    low, high = share_interval(share, mean_parts([_parts(loss, worst) for loss in losses]), queries)
    # Rounding may put the bound of a share below 1e-16 above it, and that of 1 below it.
    bounds = (low * worst if low < share else 0.0, max(high, share) * worst)
    return Estimate(mean=share * worst, std=std, ci95=bounds)


def _share(loss: Loss, worst: float) -> float:
    """The loss as a share of the worst; exactly 1 if it differs only by rounding."""
    share = float(np.mean(loss.per_seed)) / worst
    return 1.0 if math.isclose(share, 1.0, rel_tol=1e-12) else share


def _parts(loss: Loss, worst: float) -> list[Part]:
    """The parts of the variance of a loss as a share of the worst."""
    share = _share(loss, worst)
    # Computed relative to the mean, because losses may all be tiny and yet differ by more than rounding.
    unit = float(np.mean(loss.per_seed)) or worst
    scale = (unit / worst) ** 2
    per_seed, resampled = [value / unit for value in loss.per_seed], loss.resampled / unit
    parts = variance_parts(per_seed, resampled, loss.units, lone_variance(share, loss.units) / scale)
    return [part._replace(variance=scale * part.variance) for part in parts]
