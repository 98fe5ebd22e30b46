"""Leave-one-out: each support instance's prediction and novelty from a classifier fitted without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from flawshot.classifiers.base import Evidence, Support
from flawshot.models.calibration import novelty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from flawshot.classifiers.base import FewShotClassifier

__all__ = ["Fold", "HeldOut", "leave_one_out", "predict_folds"]

# Number of support sets in memory at once.
FITS_AT_ONCE = 8


class HeldOut(NamedTuple):
    """Results for every support instance from fits without it.

    Attributes:
        probabilities: Probabilities of the categories in sorted order, from a fit without the instance's group,
            float32 ``[n, categories]``; 0 for a category that occurs only in that group.
        novelty: :func:`flawshot.models.calibration.novelty` against the other groups, float32 ``[n]``; infinite
            where ``estimated`` is false.
        held_out_novelty: Novelty of instances whose whole category and groups are left out, as for unknown regions.
            float32 ``[m]``, in the order of the categories; shorter than n if nothing is left to compare with.
        estimated: Whether the instance's category still occurs without its group, bool ``[n]``.
    """

    probabilities: NDArray[np.float32]
    novelty: NDArray[np.float32]
    held_out_novelty: NDArray[np.float32]
    estimated: NDArray[np.bool_]


def leave_one_out(
    classifier: FewShotClassifier,
    features: NDArray[np.float32],
    labels: Sequence[Any] | NDArray[Any],
    groups: Sequence[Any] | NDArray[Any],
    *,
    folds: int = 0,
    text: ArrayLike | None = None,
    outlines: NDArray[np.float32] | None = None,
) -> HeldOut:
    """Predict each instance with a fit without its group: one fit per group, or per fold of groups.

    The result does not depend on the order of the instances.

    Args:
        classifier: The unfitted classifier; copies of it are fitted.
        features: float32 ``[n, views, dim]``.
        labels: Categories of the instances, numbers or names.
        groups: Image, or group of images, of each instance; a group is left out as a whole.
        folds: The maximum number of fits, each without several groups; 0: one fit per group. For classifiers that are
            slow to fit: with fewer folds each fit has fewer examples, and the result is more cautious.
        text: Text features of the categories in sorted order, float32 ``[categories, dim]``, if the classifier needs
            them.
        outlines: Standardized outlines, float32 ``[n, numbers]``, for a classifier that uses them with features.

    Raises:
        ValueError: If the arrays' shapes do not match, features are not finite, or the classifier is transductive, so
            that its prediction of a region depends on the others predicted with it.
    """
    if classifier.transductive:
        raise ValueError(f"{type(classifier).__name__} is transductive: it cannot predict one instance at a time")
    if folds < 0 or folds == 1:
        raise ValueError(f"folds must be 0 or at least 2, not {folds}")
    features = np.asarray(features, dtype=np.float32)
    if features.ndim != 3 or len(features) != len(labels) or len(features) != len(groups) or not len(features):
        raise ValueError(f"features {features.shape}, {len(labels)} labels and {len(groups)} groups do not match")
    # As objects, because numpy's strings drop trailing NUL characters.
    categories, numbers = np.unique(np.array(list(labels), dtype=object), return_inverse=True)
    _, units = np.unique(np.array(list(groups), dtype=object), return_inverse=True)
    fold = _folds(numbers, units, folds)
    probabilities = np.zeros((len(features), len(categories)), dtype=np.float32)
    newness = np.full(len(features), np.inf, dtype=np.float32)
    estimated = np.zeros(len(features), dtype=bool)
    tasks = _tasks(numbers, fold)
    known_text = None if text is None else np.asarray(text, dtype=np.float32)

    def evidence(rows: NDArray[np.intp], categories: NDArray[np.intp]) -> Evidence:
        made = Evidence(features[rows])
        if known_text is not None:
            made = made._replace(text=known_text[categories])
        return made if outlines is None else made._replace(outlines=outlines[rows])

    for fold_of, given in predict_folds(classifier, numbers, tasks, evidence):
        left, kept = fold_of.left, fold_of.kept
        probabilities[np.ix_(left, fold_of.categories)] = given
        known = np.isin(numbers[left], fold_of.categories)
        estimated[left] = known
        found = novelty(features[kept], numbers[kept], features[left])
        newness[left] = np.where(known, found, np.inf)
    return HeldOut(probabilities, newness, _held_out(features, numbers, units), estimated)


class Fold(NamedTuple):
    """One fit: the rows that it predicts, those that it is fitted to, and the categories of the latter."""

    left: NDArray[np.intp]
    kept: NDArray[np.intp]
    categories: NDArray[np.intp]


def predict_folds(
    classifier: FewShotClassifier,
    numbers: NDArray[np.intp],
    folds: Sequence[Fold],
    evidence: Callable[[NDArray[np.intp], NDArray[np.intp]], Evidence],
) -> Iterator[tuple[Fold, NDArray[np.float32]]]:
    """Fit to the rows that each fold keeps, and predict those that it leaves out.

    Args:
        classifier: The unfitted classifier; copies of it are fitted.
        numbers: The category of each row, from 0.
        folds: The folds.
        evidence: Returns what the classifier sees of some rows, given these and the categories.

    Yields:
        Each fold, with probabilities float32 ``[rows left out, the fold's categories]``.

    Raises:
        ValueError: If the classifier gives probabilities that are not finite.
    """
    for first in range(0, len(folds), FITS_AT_ONCE):
        several = folds[first : first + FITS_AT_ONCE]
        supports = [Support(evidence(fold.kept, fold.categories), numbers[fold.kept]) for fold in several]
        for fold, fitted in zip(several, classifier.fit_many(supports), strict=True):
            given = fitted.predict_evidence(evidence(fold.left, fold.categories))
            if not np.isfinite(given).all():
                raise ValueError(f"{fitted}: gives probabilities that are not finite")
            yield fold, given


def _tasks(numbers: NDArray[np.intp], fold: NDArray[np.intp]) -> list[Fold]:
    """The folds that leave something to fit on."""
    made = []
    for each in range(int(fold.max()) + 1):
        left, kept = np.flatnonzero(fold == each), np.flatnonzero(fold != each)
        if len(kept):
            made.append(Fold(left, kept, np.unique(numbers[kept])))
    return made


def _folds(numbers: NDArray[np.intp], units: NDArray[np.intp], folds: int) -> NDArray[np.intp]:
    """The fold of each instance: one per group, or groups dealt out so that each fold has every category."""
    count = int(units.max()) + 1
    if not 0 < folds < count:
        return units
    lowest = np.full(count, len(numbers))
    np.minimum.at(lowest, units, numbers)
    place = np.empty(count, dtype=np.intp)
    place[np.lexsort((np.arange(count), lowest))] = np.arange(count) % folds
    dealt: NDArray[np.intp] = place[units]
    return dealt


def _held_out(features: NDArray[np.float32], numbers: NDArray[np.intp], units: NDArray[np.intp]) -> NDArray[np.float32]:
    found = []
    for category in range(int(numbers.max()) + 1):
        own = numbers == category
        kept = ~np.isin(units, units[own])
        if kept.any():
            found.append(novelty(features[kept], numbers[kept], features[own]))
    return np.concatenate(found) if found else np.zeros(0, dtype=np.float32)
