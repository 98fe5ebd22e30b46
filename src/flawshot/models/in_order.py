"""Accuracy in order: blocks of later images are predicted by fits to earlier ones, as in use, and in random orders."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.classifiers.base import Evidence
from flawshot.models.accuracy import measure_share
from flawshot.models.calibration import calibrate, novelty
from flawshot.models.leave_one_out import Fold, predict_folds
from flawshot.models.ordering import blocks_of, ranks_of_units
from flawshot.models.record import InOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from flawshot.classifiers.base import FewShotClassifier
    from flawshot.models.leave_one_out import HeldOut
    from flawshot.models.ordering import ImageOrder
    from flawshot.models.record import Share

    HoldOut = Callable[[NDArray[np.float32], Sequence[str], Sequence[str]], HeldOut]

__all__ = ["LEAST_UNITS", "OrderedExamples", "estimate_in_order"]

# With fewer images or groups than this, a block has one of them, and nothing can be told.
LEAST_UNITS = 10
# Random orders that the real one is compared with; fewer for trained classifiers, whose fits take seconds.
ORDERS, TRAINED_ORDERS = 39, 19


class OrderedExamples(NamedTuple):
    """A model's examples in an order.

    Attributes:
        features: float32 ``[n, views, dim]``.
        truth: Their categories.
        images: Their images.
        units: The image, or group of images, of each.
        order: The order of the images.
    """

    features: NDArray[np.float32]
    truth: Sequence[str]
    images: Sequence[str]
    units: Sequence[str]
    order: ImageOrder


def estimate_in_order(
    classifier: FewShotClassifier, examples: OrderedExamples, left: HeldOut, hold_out: HoldOut, coverage: float
) -> InOrder | None:
    """Estimate what fits to earlier images give on later ones.

    The units are divided into blocks (:func:`flawshot.models.ordering.blocks_of`), and each block but the first is
    predicted by a fit to all earlier ones. Such fits have fewer examples than those that leave one image out, so the
    same is done in random orders of the same units: if order does not matter, the real one is one of them, and the
    share of orders in which as few are right is a p-value, whatever else varies.

    Args:
        classifier: The unfitted classifier.
        examples: The examples.
        left: Their predictions when each unit is left out in turn.
        hold_out: Returns such predictions for some examples, given their features, categories and units.
        coverage: Desired share of prediction sets that contain the right category.

    Returns:
        The estimate, or None if there are fewer than :data:`LEAST_UNITS` units, all have the same rank, or no category
        occurs in earlier and in later blocks.

    Raises:
        FlawshotError: If the order lacks an image.

    References:
        Ernst: "Permutation methods: a basis for exact inference", Statistical Science 2004, for the p-value.
    """
    numbers, units = _numbers(examples.truth), _numbers(examples.units)
    ranks = ranks_of_units(examples.order, examples.images, units)
    if len(ranks) < LEAST_UNITS:
        return None
    apart = examples.order.by == "name"
    orders = [ranks]
    rng, places = random.Random("flawshot-order"), list(range(len(ranks)))
    for _ in range(TRAINED_ORDERS if "device" in classifier.get_params() else ORDERS):
        rng.shuffle(places)
        orders.append(ranks[places])
    blocks = [blocks_of(each, units, numbers, apart=apart) for each in orders]
    if not blocks[0].any():
        return None
    right, asked = _predicted(classifier, examples.features, numbers, blocks)
    measured = measure_share(right[0], examples.units, asked[0])
    if measured is None:
        return None
    shares = [float(r[a].mean()) for r, a in zip(right, asked, strict=True) if a.any()]
    real, others = shares[0], shares[1:]
    kept = _promises(classifier, examples, _folds(numbers, blocks[0]), hold_out, coverage)
    return InOrder(
        by=examples.order.by,
        blocks=int(blocks[0].max()) + 1,
        right=measured,
        new=int((blocks[0] > 0).sum() - asked[0].sum()),
        left_out=float((left.probabilities.argmax(axis=1) == numbers)[asked[0]].mean()),
        orders=len(others),
        random=float(np.mean(others)) if others else real,
        random_range=(min(others, default=real), max(others, default=real)),
        p=(1 + sum(other <= real for other in others)) / (1 + len(others)),
        unknown=kept.unknown,
        false_alarms=kept.false_alarms,
        covered=kept.covered,
        coverage=coverage,
    )


def _folds(numbers: NDArray[np.intp], blocks: NDArray[np.intp]) -> list[Fold]:
    """Each block but the first, with all earlier ones; none where these have a single category."""
    made = []
    for block in range(1, int(blocks.max()) + 1):
        kept = np.flatnonzero(blocks < block)
        categories = np.unique(numbers[kept])
        if len(categories) > 1:
            made.append(Fold(np.flatnonzero(blocks == block), kept, categories))
    return made


def _predicted(
    classifier: FewShotClassifier,
    features: NDArray[np.float32],
    numbers: NDArray[np.intp],
    blocks: Sequence[NDArray[np.intp]],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which instances are right, and which could be, bool ``[orders, n]`` each."""
    right = np.zeros((len(blocks), len(numbers)), dtype=bool)
    asked = np.zeros_like(right)
    folds = [(order, fold) for order, own in enumerate(blocks) for fold in _folds(numbers, own)]
    given = predict_folds(classifier, numbers, [fold for _, fold in folds], lambda rows, _: Evidence(features[rows]))
    for (order, _), (fold, shares) in zip(folds, given, strict=True):
        right[order, fold.left] = fold.categories[shares.argmax(axis=1)] == numbers[fold.left]
        asked[order, fold.left] = np.isin(numbers[fold.left], fold.categories)
    return right, asked


class _Promises(NamedTuple):
    """What became of what earlier parts promised; see :class:`flawshot.models.record.InOrder`."""

    unknown: Share | None
    covered: Share | None
    false_alarms: float


def _promises(
    classifier: FewShotClassifier,
    examples: OrderedExamples,
    folds: Sequence[Fold],
    hold_out: HoldOut,
    coverage: float,
) -> _Promises:
    """Compare later blocks with what earlier parts promise, each calibrated as a model of its own would be."""
    features = examples.features
    truth, units = np.array(examples.truth, dtype=object), np.array(examples.units, dtype=object)
    numbers = _numbers(examples.truth)
    unknown, covered, known, promised = np.zeros((4, len(numbers)), dtype=bool)
    allowed = 0.0
    for fold, shares in predict_folds(classifier, numbers, folds, lambda rows, _: Evidence(features[rows])):
        own, labels, of_units = features[fold.kept], truth[fold.kept], units[fold.kept]
        left = hold_out(own, list(labels), list(of_units))
        made = calibrate(left.probabilities, labels, left.novelty, left.held_out_novelty, coverage, groups=of_units)
        judged = made.judge(shares, novelty(own, labels, features[fold.left]))
        allowed = made.false_alarms
        inside = np.isin(numbers[fold.left], fold.categories)
        rows, columns = fold.left[inside], np.searchsorted(fold.categories, numbers[fold.left][inside])
        unknown[rows] = judged.unknown[inside]
        covered[rows] = judged.sets[inside, columns]
        known[rows] = made.novelty_limit is not None
        promised[rows] = made.promised is not None
    return _Promises(
        measure_share(unknown, examples.units, known), measure_share(covered, examples.units, promised), allowed
    )


def _numbers(names: Sequence[str]) -> NDArray[np.intp]:
    numbers: NDArray[np.intp] = np.unique(np.array(list(names), dtype=object), return_inverse=True)[1]
    return numbers
