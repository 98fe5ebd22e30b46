"""What a model does not know: sets of categories with a stated coverage, and regions unlike every category."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import Field
from scipy.linalg import solve_triangular

from flawshot.base.store.files import Document
from flawshot.classifiers.functional import category_means
from flawshot.classifiers.ridge import instance_means, view_statistics, view_whitener

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from torch import nn

__all__ = ["Calibration", "Judgement", "NoveltyMeasure", "calibrate", "fit_novelty", "novelty"]

# The shrinkage of the classifier ``default``.
SHRINKAGE = 2.0
# If every category has this many times the examples that a promise needs, each is calibrated by itself.
ENOUGH = 2


class NoveltyMeasure(NamedTuple):
    """Measures novelty relative to a support set; made by :func:`fit_novelty`.

    Attributes:
        whitener: From :func:`flawshot.classifiers.ridge.view_whitener`, or None.
        means: Whitened category means, float32 ``[categories, dim]``.
        weights: Weights of the squared distances to them, float32 ``[categories]``.
    """

    whitener: NDArray[np.float32] | None
    means: NDArray[np.float32]
    weights: NDArray[np.float32]

    def of(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Novelty of regions, as defined by :func:`novelty`.

        Args:
            query: float32 ``[q, views, dim]``; the number of views need not be the support's.
        """
        if query.ndim != 3 or query.shape[2] != self.means.shape[1] or not np.isfinite(query).all():
            raise ValueError(f"novelty takes finite queries [q, views, {self.means.shape[1]}], not {query.shape}")
        if not len(query):
            return np.zeros(0, dtype=np.float32)
        asked = self.places(query)
        squared = np.stack([((asked - mean) ** 2).sum(axis=1) for mean in self.means], axis=1)
        nearest: NDArray[np.float32] = (squared * self.weights).min(axis=1)
        return nearest

    def places(self, views: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where regions are in the whitened space in which novelty is a squared distance.

        Args:
            views: float32 ``[n, views, dim]``, at least one region.

        Returns:
            float32 ``[n, dim]``.
        """
        return _whitened(instance_means(views), self.whitener)

    def network(self) -> nn.Module:
        """A torch module from features float32 ``[q, views, dim]`` to what :meth:`of` gives, for an export."""
        from flawshot.classifiers.networks import NearestMean, Whitening  # noqa: PLC0415 - needs torch

        return NearestMean(Whitening(self.whitener), self.means, self.weights).eval()


def fit_novelty(support: NDArray[np.float32], labels: Sequence[Any] | NDArray[Any]) -> NoveltyMeasure:
    """Prepare to measure the novelty of many regions relative to one support set.

    Args:
        support: float32 ``[n, views, dim]``.
        labels: Categories of the support instances, numbers or names.

    Raises:
        ValueError: If the arrays' shapes do not match, there is no instance, or features are not finite.
    """
    if support.ndim != 3 or len(support) != len(labels) or not len(support) or not np.isfinite(support).all():
        raise ValueError(f"novelty takes finite instances [n, views, dim] and n labels, not {support.shape}")
    _, numbers = np.unique(np.array(list(labels), dtype=object), return_inverse=True)
    counts = np.bincount(numbers)
    statistics = view_statistics(support)
    means = category_means(statistics.instances, numbers, len(counts))
    strayed = statistics.instances - means[numbers]
    within = (strayed.T @ strayed / max(len(support) - len(counts), 1)).astype(np.float32)
    whitener = view_whitener(within + statistics.scatter, SHRINKAGE)
    return NoveltyMeasure(whitener, _whitened(means, whitener), (counts / (counts + 1)).astype(np.float32))


def novelty(
    support: NDArray[np.float32], labels: Sequence[Any] | NDArray[Any], query: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How unlike every category of the support set a region is.

    The squared distance to the nearest category mean, in a space where differences between instances of one category,
    and between views of one instance, are small: features of length one are whitened by the sum of both scatters,
    shrunk as in ``default``. It is 0 at a category's mean. The variance of a mean over k instances is 1 / k of that of
    an instance, so its distance is multiplied by k / (k + 1). ``docs/adr/0015`` describes what else was tried.

    Args:
        support: float32 ``[n, views, dim]``.
        labels: Categories of the support instances, numbers or names.
        query: float32 ``[q, views, dim]``; the number of views need not be the support's.

    Returns:
        float32 ``[q]``, at least 0.

    Raises:
        ValueError: If the arrays' shapes do not match, or they are not finite.
    """
    return fit_novelty(support, labels).of(query)


def _whitened(x: NDArray[np.float32], whitener: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Whitened instances ``[instances, dim]``, not scaled to length one."""
    if whitener is None:
        return x
    solved: NDArray[np.float32] = solve_triangular(whitener, x.T, lower=True, check_finite=False).T
    return solved


class Judgement(NamedTuple):
    """A calibration's verdict on predictions.

    Attributes:
        sets: Which categories cannot be excluded, bool ``[q, categories]``; the most probable one is always included.
        unsure: Whether none or several of the categories are probable enough, bool ``[q]``. If there were too few
            examples to calibrate: whether no probability reaches the coverage.
        unknown: Whether the region is less like the categories than nearly all examples are, bool ``[q]``.
    """

    sets: NDArray[np.bool_]
    unsure: NDArray[np.bool_]
    unknown: NDArray[np.bool_]


class Calibration(Document):
    """How far the predictions of a model can be trusted, estimated on its support set by leaving one out.

    Attributes:
        coverage: Desired share of regions whose set contains their category, above 0 and below 1.
        promised: The coverage, if it can be promised, as :func:`calibrate` explains; None if there are too few
            examples, and then every set contains every category.
        by_category: Whether it is promised for each category by itself, not only over all regions together.
        instances: Number of examples used for the calibration.
        groups: Number of images, or groups of images, that they come from.
        least: For each category, the least probability at which it is in a set; 0: always.
        false_alarms: Share of regions of known categories that may be flagged as unknown.
        novelty_limit: Novelty above which a region is unknown; None if there are too few examples, and then none is.
        unknown_found: Share of examples flagged as unknown when their whole category is left out; None if not known.
        unknown_auroc: How well novelty separates these from the others, 0.5 by chance, 1 perfectly; or None.
    """

    coverage: float = Field(gt=0, lt=1)
    promised: float | None = Field(gt=0, lt=1)
    by_category: bool
    instances: int = Field(ge=1)
    groups: int = Field(ge=1)
    least: tuple[float, ...] = Field(min_length=1)
    false_alarms: float = Field(gt=0, lt=1)
    novelty_limit: float | None = Field(ge=0, allow_inf_nan=False)
    unknown_found: float | None = Field(ge=0, le=1)
    unknown_auroc: float | None = Field(ge=0, le=1)

    def judge(self, probabilities: ArrayLike, novelty: ArrayLike) -> Judgement:
        """Judge predictions of the model.

        Args:
            probabilities: Probabilities of the categories in sorted order, ``[q, categories]``.
            novelty: :func:`novelty` of the same regions against the model's support set, ``[q]``.

        Raises:
            ValueError: If they do not match each other or the calibration, or contain NaN.
        """
        shares, newness = _checked(probabilities, novelty)
        if shares.shape[1] != len(self.least):
            raise ValueError(f"probabilities of {shares.shape[1]} categories, but {len(self.least)} were calibrated")
        enough = shares >= np.array(self.least)
        top = shares.argmax(axis=1)
        own = np.arange(len(shares))
        unsure = shares[own, top] < self.coverage if self.promised is None else enough.sum(axis=1) != 1
        sets = enough.copy()
        sets[own, top] = True
        limit = math.inf if self.novelty_limit is None else self.novelty_limit
        return Judgement(sets, unsure, newness > limit)


def calibrate(
    probabilities: ArrayLike,
    labels: Sequence[Any] | NDArray[Any],
    novelty: ArrayLike,
    held_out_novelty: ArrayLike,
    coverage: float = 0.9,
    *,
    false_alarms: float = 0.1,
    groups: Sequence[Any] | NDArray[Any] | None = None,
) -> Calibration:
    """Calibrate the predictions of a model on those of its examples, each left out of the fit.

    A category is in a region's set if its probability is at least the one that all but a few examples gave their own
    category: of n examples, the ceil((n + 1) coverage) best ones. If an example's category vanished with it, that
    probability is 0.

    The promise is marginal: over many models and regions, at least the share ``coverage`` of sets contain the region's
    category, provided that (1) the regions are exchangeable with the examples (same imaging, same annotation, same
    frequencies of categories, none unknown), and (2) one more example does not make the classifier worse (this is the
    jackknife: the calibrated fits lack one group). It does not hold for every single model. If every category has at
    least 2 / (1 - coverage) - 1 examples (19 for 0.9, so that its worst one does not decide), each is calibrated by
    itself, and the promise holds for each, however frequent it is. With fewer than coverage / (1 - coverage) examples
    in all (9 for 0.9) nothing can be promised.

    Args:
        probabilities: Probabilities of the examples, each left out, ``[n, categories]``, categories in sorted order.
        labels: Their categories, numbers or names.
        novelty: Novelty of the examples, each left out, ``[n]``; infinite where it is not known.
        held_out_novelty: Novelty of examples whose whole category was left out, ``[m]``.
        coverage: Desired share of sets that contain the region's category.
        false_alarms: Share of regions of known categories that may be flagged as unknown.
        groups: Image, or group of images, of each example; by default each example is its own. With few groups,
            little can be promised.

    Raises:
        ValueError: If the arrays' shapes do not match, they contain NaN, or a share is not above 0 and below 1.

    References:
        Sadinle, Lei, Wasserman: "Least ambiguous set-valued classifiers with bounded error levels", JASA 2019, for the
        sets; Barber, Candès, Ramdas, Tibshirani: "Predictive inference with the jackknife+", Annals of Statistics
        2021, for what the jackknife promises.
    """
    shares, newness = _checked(probabilities, novelty)
    held = np.asarray(held_out_novelty, dtype=np.float64)
    categories, numbers = np.unique(np.array(list(labels), dtype=object), return_inverse=True)
    if len(numbers) != len(shares) or len(categories) != shares.shape[1] or held.ndim != 1:
        raise ValueError(
            f"probabilities {shares.shape} and {len(numbers)} labels of {len(categories)} categories do not match"
        )
    if not len(shares) or np.isnan(held).any() or not (0 < coverage < 1 and 0 < false_alarms < 1):
        raise ValueError("calibration needs at least one example, shares above 0 and below 1, and no NaN")
    named = np.arange(len(shares)) if groups is None else np.array(list(groups), dtype=object)
    if len(named) != len(shares):
        raise ValueError(f"{len(shares)} examples and {len(named)} groups do not match")
    units = len(set(named))
    own = shares[np.arange(len(shares)), numbers]
    parts = [numbers == number for number in range(len(categories))]
    apart = all(len(set(named[part])) >= ENOUGH / (1 - coverage) - 1 - 1e-9 for part in parts)
    bins = parts if apart else [np.ones(len(own), dtype=bool)] * len(categories)
    least = [-_quantile(-own[part], coverage, len(set(named[part]))) for part in bins]
    promised = min(least) > 0
    limit = _quantile(newness, 1 - false_alarms, units)
    known = np.sort(newness[np.isfinite(newness)])
    rated = len(held) > 0 and len(known) > 0
    below = (np.searchsorted(known, held, "left") + np.searchsorted(known, held, "right")) / 2
    return Calibration(
        coverage=coverage,
        promised=coverage if promised else None,
        by_category=apart and promised,
        instances=len(shares),
        groups=units,
        least=tuple(each if promised else 0.0 for each in least),
        false_alarms=false_alarms,
        novelty_limit=limit if math.isfinite(limit) else None,
        unknown_found=float((held > limit).mean()) if rated and math.isfinite(limit) else None,
        unknown_auroc=float((below / len(known)).mean()) if rated else None,
    )


def _quantile(scores: NDArray[np.float64], share: float, units: int) -> float:
    """The bound that a new score does not exceed with this probability; infinite if n scores are too few.

    Its rank is ceil(n (1 + 1 / n) share). If scores come from fewer units, such as images, their number replaces the
    second n: flawshot's own variant of pooling by groups (Dunn, Wasserman, Ramdas, JASA 2023), which needs many groups.
    """
    rank = math.ceil(len(scores) * (1 + 1 / units) * share - 1e-9)
    return math.inf if rank > len(scores) else float(np.sort(scores)[rank - 1])


def _checked(probabilities: ArrayLike, novelty: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    shares, newness = (np.asarray(x, dtype=np.float64) for x in (probabilities, novelty))
    if shares.ndim != 2 or newness.shape != shares.shape[:1]:
        raise ValueError(f"probabilities {shares.shape} and novelty {newness.shape} do not match")
    if np.isnan(newness).any() or not np.isfinite(shares).all() or (shares < 0).any():
        raise ValueError("probabilities must be finite and not negative, and novelty must not be NaN")
    return shares, newness
