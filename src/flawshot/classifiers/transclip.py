"""TransCLIP without text: a Gaussian mixture of support set and queries, in which neighbors agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.special import softmax

from flawshot.classifiers.base import FewShotClassifier
from flawshot.classifiers.functional import exact_instances, normalize, one_hot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.classifiers.base import Evidence

__all__ = ["TransClip", "assignments"]

# From the released code: neighbors of an instance, updates of the assignments between two of the Gaussians, and the
# divisor of the log-likelihood.
NEIGHBORS = 3
INNER_ITERATIONS = 5
DIVISOR = 50.0
# A feature that is the same in all instances has no variance.
SMALLEST_VARIANCE = 1e-12


class TransClip(FewShotClassifier):
    """Queries assigned to categories that are Gaussians of support set and queries, neighbors alike: transductive.

    An instance is the mean of its views, scaled to length one. The categories are Gaussians that share a diagonal
    covariance. In turn, the queries' assignments follow from the log-likelihoods, over 50, and from those of their
    neighbors; and means, of length one, and covariance follow from the support set and the assigned queries
    (:func:`assignments`). The last assignments are the probabilities.
    :class:`flawshot.classifiers.transclip_text.TransClipText` is the paper's method: it also holds the assignments to
    CLIP's zero-shot probabilities.

    The result for an instance depends on the queries predicted with it.

    Differences from the paper: it has a text term. The published few-shot figures choose the weight of the support set
    from 0.1, 0.5, 1 and 10 on a validation set; there is none here, and it weighs as much as all queries. In the
    released few-shot code, neighbors are numbered in another order than assignments; here each has its own.

    Args:
        support_weight: Weight of the whole support set, relative to all queries; 50 gamma of the released code.
        iterations: Updates of the Gaussians, from the released code.

    References:
        Zanella et al.: "Boosting Vision-Language Models with Transduction", NeurIPS 2024, arXiv 2406.01837.
    """

    transductive: ClassVar[bool] = True

    positive: ClassVar[tuple[str, ...]] = ("support_weight",)
    whole: ClassVar[tuple[str, ...]] = ("iterations",)

    instances_: NDArray[np.float64]
    labels_: NDArray[np.intp]

    def __init__(self, support_weight: float = 1.0, iterations: int = 10) -> None:
        self.support_weight = support_weight
        self.iterations = iterations

    def _fit(self, support: Evidence, labels: NDArray[np.intp]) -> None:
        self.instances_, self.labels_ = exact_instances(support.features), labels

    def _probabilities(self, query: Evidence) -> NDArray[np.float32]:
        queries = exact_instances(query.features)
        known = one_hot(self.labels_, len(self.classes_)).astype(np.float64)
        nothing = np.zeros((len(queries), len(self.classes_)))
        shares = assignments(
            queries,
            self.instances_,
            known,
            first=softmax(nothing, axis=1),
            prior=nothing,
            support_weight=self.support_weight,
            iterations=self.iterations,
        )
        return shares.astype(np.float32)


def assignments(
    queries: NDArray[np.float64],
    support: NDArray[np.float64],
    known: NDArray[np.float64],
    *,
    first: NDArray[np.float64],
    prior: NDArray[np.float64],
    support_weight: float,
    iterations: int,
) -> NDArray[np.float64]:
    """The queries' shares of the categories.

    A query's assignment is the softmax of its prior logits, its log-likelihoods over 50, and a sixth of the sum of its
    neighbors' assignments, weighted by their cosines if above 0. Neighbors are the three nearest other queries, those
    queries of whose three it is one, and those support instances to which it is one of the three nearest queries.

    Args:
        queries: float64 ``[queries, dim]`` of length one.
        support: float64 ``[support, dim]`` of length one.
        known: One-hot categories of the support set, float64 ``[support, categories]``.
        first: Assignments before the first update, float64 ``[queries, categories]``.
        prior: Logits that are added in every update, float64 ``[queries, categories]``.
        support_weight: Weight of the whole support set, relative to all queries.
        iterations: Updates of the Gaussians.

    Returns:
        float64 ``[queries, categories]``.
    """
    affinity = _affinity(queries, support)
    means = normalize(known.T @ support)
    variance = np.full(queries.shape[1], 1.0 / queries.shape[1])
    shares = first
    own = known.argmax(axis=1)
    for iteration in range(iterations + 1):
        likelihood = np.stack([-((queries - mean) ** 2) @ (0.5 / variance) for mean in means], axis=1) / DIVISOR
        for _ in range(INNER_ITERATIONS):
            around = affinity.T @ np.concatenate([shares, known]) + affinity[: len(queries)] @ shares
            shares = softmax(prior + likelihood + around / (2 * NEIGHBORS), axis=1)
        if iteration < iterations:
            means = normalize(shares.T @ queries / len(queries) + support_weight * known.T @ support / len(support))
            spread = sum(share @ (queries - mean) ** 2 for share, mean in zip(shares.T, means, strict=True))
            of_support = ((support - means[own]) ** 2).mean(axis=0)
            variance = (spread / len(queries) + support_weight * of_support) / (1.0 + support_weight)
            variance = np.maximum(variance, SMALLEST_VARIANCE)
    return shares


def _affinity(queries: NDArray[np.float64], support: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosines of queries, then support instances, to their nearest queries, ``[queries + support, queries]``."""
    cosines = np.concatenate([queries, support]) @ queries.T
    affinity = np.zeros_like(cosines)
    ranked = cosines.copy()
    np.fill_diagonal(ranked[: len(queries)], -np.inf)
    nearest = np.argsort(-ranked, axis=1, kind="stable")[:, :NEIGHBORS]
    rows = np.arange(len(cosines))[:, None]
    affinity[rows, nearest] = np.where(np.isfinite(ranked[rows, nearest]), np.maximum(cosines[rows, nearest], 0.0), 0.0)
    return affinity
