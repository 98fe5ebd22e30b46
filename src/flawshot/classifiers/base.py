"""What all few-shot classifiers share: input checks, labels, and predictions from probabilities."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from torch import nn

__all__ = ["INPUTS", "Evidence", "FewShotClassifier", "Support"]


INPUTS = frozenset({"features", "text", "outlines"})


class Evidence(NamedTuple):
    """What a classifier sees of some instances; parts that it does not need are empty.

    Attributes:
        features: float32 ``[instances, views, dim]``.
        text: Text features of the categories in sorted order, float32 ``[categories, dim]``; for support sets only.
        outlines: Standardized outlines, float32 ``[instances, numbers]``.
    """

    features: NDArray[np.float32] = np.zeros((0, 0, 0), dtype=np.float32)
    text: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
    outlines: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)

    def only(self, inputs: frozenset[str]) -> Evidence:
        """The parts with these names; the others are empty.

        >>> Evidence(outlines=np.ones((1, 2), dtype=np.float32)).only(frozenset({"features"})).outlines.size
        0
        """
        return Evidence(**{name: getattr(self, name) for name in inputs})


class Support(NamedTuple):
    """One support set.

    Attributes:
        evidence: The data of its instances; a classifier sees only the parts that it declares.
        labels: The instances' categories.
    """

    evidence: Evidence
    labels: ArrayLike


class FewShotClassifier(ClassifierMixin, BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn has no types
    """Base of the classifiers over ``[instances, views, dim]``.

    A matrix ``[instances, dim]`` is treated as instances with one view.

    Attributes:
        inputs: What it sees: ``features`` of the instances, ``text`` features of the categories' names in the
            encoder's shared space of images and texts, ``outlines`` of the instances. Without ``features``, ``X``
            contains the outlines.
        transductive: Whether :meth:`predict` looks at all queries at once; such methods are marked in every table.
        classes_: The categories in sorted order.
        n_features_in_: dim.
        n_views_in_: Number of views of a support instance.
        text_: Text features of the categories, float32 ``[categories, dim]``, if the classifier declares them.
    """

    transductive: ClassVar[bool] = False
    inputs: ClassVar[frozenset[str]] = frozenset({"features"})
    # Whether a query must have exactly the support's views, in the same order.
    matched_views: ClassVar[bool] = False
    # Parameters that must be numbers above 0.
    positive: ClassVar[tuple[str, ...]] = ()
    # Parameters that must be shares: above 0, at most 1.
    shares: ClassVar[tuple[str, ...]] = ()
    # Parameters that must be whole numbers of at least 0.
    whole: ClassVar[tuple[str, ...]] = ()

    classes_: NDArray[Any]
    n_features_in_: int
    n_views_in_: int
    text_: NDArray[np.float32]

    def fit(
        self, X: ArrayLike, y: ArrayLike, *, text: ArrayLike | None = None, outlines: ArrayLike | None = None
    ) -> Self:
        """Learn from the support set.

        Args:
            X: Features ``[instances, views, dim]``; converted to float32.
            y: The instances' categories.
            text: Text features of the categories in sorted order, ``[categories, dim]``; for classifiers that
                declare them.
            outlines: Standardized outlines, ``[instances, numbers]``; likewise.

        Raises:
            ValueError: If the input is invalid, with scikit-learn's message, or text features are missing.
        """
        self._fit(*self.checked_support(X, y, text, outlines))
        return self

    def fit_support(self, support: Support) -> Self:
        """Learn from the parts of a support set that are declared in :attr:`inputs`."""
        shown = support.evidence.only(self.inputs)
        named: dict[str, ArrayLike] = {"text": shown.text} if shown.text.size else {}
        if not self._sees_features:
            return self.fit(shown.outlines, support.labels, **named)
        if shown.outlines.size:
            named["outlines"] = shown.outlines
        return self.fit(shown.features, support.labels, **named)

    def fit_many(self, supports: Sequence[Support]) -> list[Self]:
        """Fit a copy of this estimator to each of several support sets, together if that is faster.

        Returns:
            Fitted estimators in the order of the support sets; each agrees with a separate fit to within 1e-4.
        """
        return [clone(self).fit_support(support) for support in supports]

    def fits_together(self) -> bool:
        """Whether :meth:`fit_many` does more than fit each alone, so that last bits depend on what else is fitted."""
        return type(self).fit_many is not FewShotClassifier.fit_many

    @property
    def _sees_features(self) -> bool:
        return "features" in self.inputs

    def checked_support(
        self, X: ArrayLike, y: ArrayLike, text: ArrayLike | None = None, outlines: ArrayLike | None = None
    ) -> tuple[Evidence, NDArray[np.intp]]:
        """Check parameters and support set, set the fitted attributes, and return the evidence and category numbers."""
        for name in self.positive:
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 < float(value) < math.inf:
                raise ValueError(f"{name} must be a number above 0, not {value!r}")
        for name in self.shares:
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 < float(value) <= 1:
                raise ValueError(f"{name} must be a number above 0 and at most 1, not {value!r}")
        for name in self.whole:
            value = getattr(self, name)
            if not isinstance(value, Integral) or int(value) < 0:
                raise ValueError(f"{name} must be a whole number of at least 0, not {value!r}")
        views = self._check(X, y, reset=True)
        labels = column_or_1d(y, warn=True)
        check_consistent_length(views, labels)
        check_classification_targets(labels)
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        self.n_views_in_ = views.shape[1]
        evidence = self._evidence(views, outlines)
        if "text" in self.inputs:
            self.text_ = self._checked_text(text)
            evidence = evidence._replace(text=self.text_)
        return evidence, numbers

    def _evidence(self, views: NDArray[np.float32], outlines: ArrayLike | None) -> Evidence:
        if not self._sees_features:
            return Evidence(outlines=views.mean(axis=1))
        if outlines is None or "outlines" not in self.inputs:
            return Evidence(views)
        checked: NDArray[np.float32] = check_array(outlines, dtype=np.float32)
        check_consistent_length(views, checked)
        return Evidence(views, outlines=checked)

    def _checked_text(self, text: ArrayLike | None) -> NDArray[np.float32]:
        if text is None:
            raise ValueError(f"{type(self).__name__} needs text features of the categories: fit(X, y, text=…)")
        matrix: NDArray[np.float32] = check_array(text, dtype=np.float32)
        if matrix.shape != (len(self.classes_), self.n_features_in_):
            raise ValueError(
                f"text has shape {matrix.shape}, not (categories, dim) = {(len(self.classes_), self.n_features_in_)}"
            )
        return matrix

    def predict_proba(self, X: ArrayLike, outlines: ArrayLike | None = None) -> NDArray[np.float32]:
        """Probabilities of the categories.

        Args:
            X: Features ``[instances, views, dim]``.
            outlines: Standardized outlines, ``[instances, numbers]``, for classifiers that were fitted with them.

        Returns:
            float32 ``[instances, categories]`` in the order of ``classes_``.
        """
        check_is_fitted(self)
        views = self._check(X, None, reset=False)
        if self.matched_views and views.shape[1] != self.n_views_in_:
            raise ValueError(f"X has {views.shape[1]} views, but {type(self).__name__} is expecting {self.n_views_in_}")
        return self._probabilities(self._evidence(views, outlines))

    def predict_evidence(self, query: Evidence) -> NDArray[np.float32]:
        """:meth:`predict_proba` for the parts of queries that are declared in :attr:`inputs`."""
        if not self._sees_features:
            return self.predict_proba(query.outlines)
        beside = "outlines" in self.inputs and query.outlines.size
        return self.predict_proba(query.features, query.outlines) if beside else self.predict_proba(query.features)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable category of each instance."""
        probabilities = self.predict_proba(X)
        winners: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return winners

    def network(self) -> nn.Module:
        """The fitted prediction as a torch module that can be exported.

        Returns:
            A module from features float32 ``[instances, views, dim]`` to probabilities float32 ``[instances,
            categories]`` in the order of ``classes_``, on the CPU; it computes what :meth:`predict_proba` does.

        Raises:
            FlawshotError: If the classifier has no such form: it looks at all queries at once, sees more than
                features, or does not define one.
        """
        check_is_fitted(self)
        alone = not self.transductive and self.inputs == {"features"}
        made = self._network() if alone else None
        if made is None:
            raise FlawshotError(
                f"classifier {type(self).__name__}: cannot be exported, because it has no form as a network; use "
                "default, or another that needs features only"
            )
        return made.eval()

    def _network(self) -> nn.Module | None:
        """What :meth:`network` gives; None if there is no such form."""
        return None

    @abstractmethod
    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        """Learn from a support set's evidence and category numbers."""

    @abstractmethod
    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        """Probabilities for queries, float32 ``[instances, categories]``."""

    def _check(self, X: ArrayLike, y: ArrayLike | None, *, reset: bool) -> NDArray[np.float32]:
        if isinstance(X, list | tuple) and np.ndim(X) == 3:
            X = np.asarray(X)
        if getattr(X, "ndim", 2) != 3:
            extra = {} if y is None else {"y": y}
            checked = validate_data(self, X, **extra, reset=reset, dtype=np.float32)
            matrix: NDArray[np.float32] = checked if y is None else checked[0]
            return matrix[:, None, :]
        views: NDArray[np.float32] = check_array(X, dtype=np.float32, allow_nd=True, estimator=self)
        instances, per_instance, dim = views.shape
        if per_instance == 0:
            raise ValueError(f"Found array with 0 view(s) (shape={views.shape}) while a minimum of 1 is required.")
        flat = views.reshape(instances * per_instance, dim)
        validate_data(self, flat, reset=reset, skip_check_array=True)
        return views
