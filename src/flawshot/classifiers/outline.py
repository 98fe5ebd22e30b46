"""Outline: what the shape of the annotation alone reveals."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import category_means, one_hot, softmax
from flawshot.classifiers.ridge import balance, fit_temperature, left_out_scores, ridge_regression

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence

__all__ = ["Outline"]


class Outline(FewShotClassifier):
    """Ridge regression on the numbers that describe an outline; it sees no pixel of the picture.

    It is a baseline in every table: where it is nearly as good as an encoder, the encoder may have recognized the
    annotator's habits, or the flaws differ by shape alone. It takes outlines of support and query instances from
    :func:`flawshot.regions.outlines.standard_outlines`; :func:`flawshot.evaluate` provides them. The ridge was chosen
    among 1, 3, 10, 30 and 100 on drawn flaws.

    Training-free and inductive. flawshot's own method; no paper.

    Args:
        ridge: The ridge penalty, for outlines in standard deviations.

    Attributes:
        center_: float32 ``[numbers]``.
        weights_: float32 ``[categories, numbers]``.
        temperature_: Divisor of the scores.
    """

    positive: ClassVar[tuple[str, ...]] = ("ridge",)
    inputs: ClassVar[frozenset[str]] = frozenset({"outlines"})

    center_: NDArray[np.float32]
    weights_: NDArray[np.float32]
    temperature_: float

    def __init__(self, ridge: float = 3.0) -> None:
        self.ridge = ridge

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        outlines, categories = support.outlines, len(self.classes_)
        self.center_ = category_means(outlines, labels, categories).mean(axis=0)
        targets, weights = one_hot(labels, categories) - np.float32(1 / categories), balance(labels, categories)
        centered = outlines - self.center_
        self.weights_ = ridge_regression(centered, targets, weights, self.ridge)
        # Scores are below 1 in size; a temperature fitted on left-out instances turns them into probabilities.
        self.temperature_ = 0.3
        several = np.bincount(labels)[labels] > 1
        if several.any():
            scores = left_out_scores(centered, targets, weights, self.ridge)
            self.temperature_ = fit_temperature(scores[several], labels[several], prior=0.3)

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        centered: NDArray[np.float32] = query.outlines - self.center_
        scores = centered @ self.weights_.T
        return softmax(scores / np.float32(self.temperature_))
