"""One probability of each category, from the classifier's and those of the finder that found a region."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.locating.record import SHARPNESS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flawshot.classifiers.base import FewShotClassifier

__all__ = [
    "USUAL",
    "HeldOutName",
    "Naming",
    "best_naming",
    "joined",
    "joined_as",
    "known_shares",
    "named",
    "probabilities_of",
]

# No category is less likely than this.
LEAST = 1e-6
# The weights and sharpnesses that are tried, and the fewest found regions from which one of them is chosen.
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
SHARPNESSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
FEWEST = 5


class Naming(NamedTuple):
    """How a finder's and a classifier's probabilities are joined.

    Attributes:
        weight: How much the finder's count, 0 to 1; the classifier's count the rest.
        sharpness: By which the finder's evidence is multiplied before it becomes probabilities.
    """

    weight: float
    sharpness: float


USUAL = Naming(0.5, SHARPNESS)


class HeldOutName(NamedTuple):
    """A region that was found on an image that neither finder nor classifier had seen.

    Attributes:
        truth: The number of its category.
        probabilities: The classifier's, ``[categories]``.
        shares: The finder's, with the sharpness :data:`USUAL`, ``[categories]``; NaN for a category it does not know.
        part: The part of the images that was held out.
    """

    truth: int
    probabilities: NDArray[np.float32]
    shares: NDArray[np.float32]
    part: int


def joined(
    probabilities: NDArray[np.float32], shares: Sequence[NDArray[np.float32] | None], weight: float
) -> NDArray[np.float32]:
    """The probabilities by which regions are named: a weighted geometric mean of both.

    Args:
        probabilities: The classifier's, float32 ``[regions, categories]``.
        shares: The finder's, float32 ``[categories]`` for each region, NaN for categories that it does not know; or
            None where it says nothing, and the classifier's are kept.
        weight: How much the finder's count, 0 to 1.

    Returns:
        float32 ``[regions, categories]``; each row adds up to 1.

    >>> joined(np.array([[0.5, 0.5]], np.float32), [np.array([0.9, 0.1], np.float32)], 1.0).round(3).tolist()
    [[0.8999999761581421, 0.10000000149011612]]
    """
    if len(shares) != len(probabilities):
        raise ValueError(f"there are {len(probabilities)} regions, but shares of {len(shares)}")
    made = probabilities.copy()
    for row, own in enumerate(shares):
        if own is not None and weight > 0:
            made[row] = _mixed(probabilities[row], own, weight)
    return made


def known_shares(
    shares: NDArray[np.float32] | None, known: Sequence[str], categories: Sequence[str]
) -> NDArray[np.float32] | None:
    """A finder's probabilities in the order of a model's categories, NaN for those that it does not know."""
    if shares is None:
        return None
    made = np.full(len(categories), np.nan, dtype=np.float32)
    places = {category: number for number, category in enumerate(categories)}
    for category, share in zip(known, shares, strict=True):
        if category in places:
            made[places[category]] = share
    return made


def _mixed(probabilities: NDArray[np.float32], shares: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    known = np.isfinite(shares)
    # Of categories that the finder does not know, the classifier's word stands.
    full = np.where(known, np.nan_to_num(shares) * probabilities[known].sum(dtype=np.float64), probabilities)
    logs = (1 - weight) * np.log(np.maximum(probabilities, LEAST)) + weight * np.log(np.maximum(full, LEAST))
    made = np.exp(logs - logs.max())
    shared: NDArray[np.float32] = (made / made.sum()).astype(np.float32)
    return shared


def sharpened(shares: NDArray[np.float32], sharpness: float) -> NDArray[np.float32]:
    """A finder's probabilities with another sharpness than :data:`USUAL`; NaN stays."""
    logs = np.log(np.maximum(shares, 1e-30)) * (sharpness / USUAL.sharpness)
    made = np.exp(logs - np.nanmax(logs))
    shared: NDArray[np.float32] = (made / np.nansum(made)).astype(np.float32)
    return shared


def best_naming(held_out: Sequence[HeldOutName]) -> Naming:
    """The weight and sharpness under which held-out regions' categories are most likely; the usual ones if few.

    Args:
        held_out: The regions.
    """
    if len(held_out) < FEWEST:
        return USUAL
    likely = {}
    for weight, sharpness in itertools.product(WEIGHTS, SHARPNESSES):
        naming = Naming(weight, sharpness)
        likely[naming] = sum(np.log(max(float(named(each, naming)[each.truth]), LEAST)) for each in held_out)
    return max(likely, key=lambda naming: likely[naming])


def named(held_out: HeldOutName, naming: Naming) -> NDArray[np.float32]:
    """The joined probabilities of one region, float32 ``[categories]``."""
    made: NDArray[np.float32] = joined_as(naming, held_out.probabilities[None], [held_out.shares])[0]
    return made


def joined_as(
    naming: Naming, probabilities: NDArray[np.float32], shares: Sequence[NDArray[np.float32] | None]
) -> NDArray[np.float32]:
    """As :func:`joined`, with shares of the sharpness :data:`USUAL` that are made as sharp as the naming says."""
    own = [None if each is None else sharpened(each, naming.sharpness) for each in shares]
    return joined(probabilities, own, naming.weight)


def probabilities_of(
    classifier: FewShotClassifier, features: NDArray[np.float32], categories: Sequence[str]
) -> NDArray[np.float32]:
    """A classifier's probabilities in the order of some categories, 0 for those that it does not know.

    Args:
        classifier: A fitted classifier that knows no others.
        features: float32 ``[regions, views, dim]``.
        categories: The categories.

    Returns:
        float32 ``[regions, categories]``.
    """
    made = np.zeros((len(features), len(categories)), dtype=np.float32)
    made[:, [categories.index(category) for category in classifier.classes_]] = classifier.predict_proba(features)
    return made
