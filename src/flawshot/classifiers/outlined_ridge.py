"""Outlined ridge: the default's scores, and a little of what the outline says."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length

from flawshot.classifiers.functional import category_means, one_hot, softmax
from flawshot.classifiers.whitened_ridge import (
    PRIOR_TEMPERATURE,
    WhitenedRidge,
    balance,
    fit_temperature,
    instance_means,
    leave_one_out,
    ridge_regression,
    view_statistics,
    whiten,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["OutlinedRidge"]

# The ridge beside outlines in standard deviations, as classifiers/outline.py has it.
OUTLINE_RIDGE = 3.0
# Outlines that are all alike say nothing; what their spread is at least taken for.
TINY = 1e-6


class OutlinedRidge(WhitenedRidge):
    """``default`` with the outline as a further cue; ``default-outline``.

    To the scores of :class:`~flawshot.classifiers.whitened_ridge.WhitenedRidge` those of the same regression on the
    instances' outlines are added. They are first brought to the same spread, over support instances of which each is
    scored by a fit to the others: ten numbers give greater scores than a strong encoder's hundreds. Then they count
    ``outline_weight / K`` times, K being the mean number of instances a category: the fewer examples, the more the form
    is worth beside them. ``docs/adr/0012`` says how the weight was found. Without outlines it is ``default``.

    Args:
        ridge: As in ``default``.
        shrinkage: As in ``default``.
        outline_weight: What the outline's scores count at one shot, of the features'.
    """

    positive: ClassVar[tuple[str, ...]] = ("ridge", "shrinkage", "outline_weight")
    beside_outlines: ClassVar[bool] = True

    def __init__(self, ridge: float = 0.5, shrinkage: float = 2.0, outline_weight: float = 0.2) -> None:
        super().__init__(ridge, shrinkage)
        self.outline_weight = outline_weight

    def fit(
        self, X: ArrayLike, y: ArrayLike, *, text: ArrayLike | None = None, outlines: ArrayLike | None = None
    ) -> Self:
        """Learn from the support set.

        Args:
            X: Features ``[instances, views, dim]``.
            y: The instances' categories.
            text: Not used.
            outlines: Standardised outlines, ``[instances, numbers]``, or None.
        """
        views, labels = self.checked_support(X, y, text)
        self._fit(views, labels)
        self.outline_weights_: NDArray[np.float32] | None = None
        if outlines is None:
            return self
        forms = check_array(outlines, dtype=np.float32)
        check_consistent_length(views, forms)
        categories = len(self.classes_)
        targets, weights = one_hot(labels, categories) - np.float32(1 / categories), balance(labels, categories)
        self.outline_centre_ = category_means(forms, labels, categories).mean(axis=0)
        centred = forms - self.outline_centre_
        support = whiten(view_statistics(views).instances - self.centre_, self.whitener_)
        scores = leave_one_out(support, targets, weights, self.ridge)
        other = leave_one_out(centred, targets, weights, OUTLINE_RIDGE)
        share = np.float32(self.outline_weight * categories / len(labels) * _spread(scores) / max(_spread(other), TINY))
        self.outline_weights_ = share * ridge_regression(centred, targets, weights, OUTLINE_RIDGE)
        self.temperature_ = PRIOR_TEMPERATURE
        several = np.bincount(labels)[labels] > 1
        if several.any():
            self.temperature_ = fit_temperature((scores + share * other)[several], labels[several])
        return self

    def predict_proba(self, X: ArrayLike, outlines: ArrayLike | None = None) -> NDArray[np.float32]:
        """Probabilities of the categories.

        Args:
            X: Features ``[instances, views, dim]``.
            outlines: Standardised outlines, ``[instances, numbers]``; needed if the support set's were given.

        Raises:
            ValueError: If outlines are wanting.
        """
        plain = super().predict_proba(X)
        if self.outline_weights_ is None:
            return plain
        if outlines is None:
            raise ValueError("OutlinedRidge was fitted with outlines: predict_proba(X, outlines)")
        views, forms = self._check(X, None, reset=False), check_array(outlines, dtype=np.float32)
        check_consistent_length(views, forms)
        queries = whiten(instance_means(views) - self.centre_, self.whitener_)
        scores = queries @ self.weights_.T + (forms - self.outline_centre_) @ self.outline_weights_.T
        return softmax(scores / np.float32(self.temperature_))


def _spread(scores: NDArray[np.float32]) -> float:
    """How far an instance's scores lie from their mean, root mean square."""
    return float((scores - scores.mean(axis=1, keepdims=True)).std())
