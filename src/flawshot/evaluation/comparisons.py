"""Comparisons: paired differences between classifiers, and means over products."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.evaluation.estimates import MOST, difference_parts, independent_answers, independent_queries, share_parts
from flawshot.evaluation.intervals import difference_interval, mean_parts, share_interval, wilson
from flawshot.evaluation.losses import WORST, estimate_mean_loss
from flawshot.evaluation.result_records import Comparison, Estimate, MeanScore, Run, joined_support

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.evaluation.losses import Loss

__all__ = [
    "Outcome",
    "Outcomes",
    "average",
    "compare",
    "decided_hash",
    "difference_between",
    "mean_accuracy",
    "several_products",
]


class Outcome(NamedTuple):
    """A run, with what is needed of its predictions to compare it with others.

    Attributes:
        run: The run.
        decided: Hash of which queries were predicted correctly.
        units: Number of images, or groups, that the queries come from.
        resampled: Accuracy in each bootstrap draw, float64 ``[draws]``.
        losses: Brier score and log loss, by name.
    """

    run: Run
    decided: bytes
    units: int
    resampled: NDArray[np.float64]
    losses: dict[str, Loss]


# By product, K and classifier.
Outcomes = dict[tuple[str, int, str], Outcome]


def decided_hash(right: NDArray[np.float64]) -> bytes:
    """Hash of which queries were predicted correctly, float64 ``[asked]``."""
    return hashlib.blake2b(right.tobytes()).digest()


def compare(outcomes: Outcomes, names: list[str]) -> list[Comparison]:
    """Paired differences in accuracy of every other classifier from the first, also of their means over products."""
    reference, *others = names
    comparisons = []
    for product, shots in dict.fromkeys((product, shots) for product, shots, _ in outcomes):
        base = outcomes[product, shots, reference]
        for name in others:
            difference = difference_between([outcomes[product, shots, name]], [base])
            comparisons.append(
                Comparison(
                    product=product,
                    shots=shots,
                    classifier=name,
                    reference=reference,
                    difference=difference,
                    support=base.run.support,
                )
            )
    for name in others:
        for shots, several in several_products(outcomes, name).items():
            difference = difference_between(several, several_products(outcomes, reference)[shots])
            comparisons.append(
                Comparison(
                    product=None,
                    shots=shots,
                    classifier=name,
                    reference=reference,
                    difference=difference,
                    support=joined_support(outcome.run.support for outcome in several),
                )
            )
    return comparisons


def difference_between(mine: list[Outcome], its: list[Outcome]) -> Estimate:
    """The mean over products of the differences in accuracy, on the same draws.

    Args:
        mine: The outcomes of one classifier, one per product.
        its: Those of the other, on the same queries and with the same draws, in the same order.
    """
    pairs = list(zip(mine, its, strict=True))
    by_seed = [
        {e.seed: e.accuracy - f.accuracy for e, f in zip(a.run.episodes, b.run.episodes, strict=True)} for a, b in pairs
    ]
    mean = float(np.mean([a.run.accuracy.mean - b.run.accuracy.mean for a, b in pairs]))
    queries = sum(outcome.run.n_query for outcome in mine)
    if all(a.decided == b.decided for a, b in pairs):
        # No query is predicted differently, which bounds how often that may happen.
        reach = 1.0 - wilson(queries, queries)[0]
        ci95 = (mean - reach, mean + reach)
    else:
        parts = [
            difference_parts(list(seeds.values()), a.resampled - b.resampled, a.units)
            for seeds, (a, b) in zip(by_seed, pairs, strict=True)
        ]
        answers = sum(independent_answers(outcome.run.n_query, len(outcome.run.episodes)) for outcome in mine)
        ci95 = difference_interval(mean, mean_parts(parts), answers)
    return Estimate(mean=mean, std=_deviation(by_seed), ci95=ci95)


def several_products(outcomes: Outcomes, name: str) -> dict[int, list[Outcome]]:
    """The outcomes of one classifier by K, for each K that several products have."""
    found: dict[int, list[Outcome]] = {}
    for (_, shots, own), outcome in outcomes.items():
        if own == name:
            found.setdefault(shots, []).append(outcome)
    return {shots: several for shots, several in found.items() if len(several) > 1}


def _deviation(by_product: list[dict[int, float]]) -> float | None:
    """Standard deviation over seeds of the mean over products; None if there is one seed, or products' seeds differ."""
    seeds = by_product[0].keys()
    if len(seeds) < 2 or any(values.keys() != seeds for values in by_product):
        return None
    return float(np.std([np.mean([values[seed] for values in by_product]) for seed in seeds], ddof=1))


def average(outcomes: Outcomes) -> list[MeanScore]:
    """Means over products of accuracy, Brier score and log loss, for every classifier and K that several have."""
    means = []
    for name in dict.fromkeys(name for _, _, name in outcomes):
        for shots, several in several_products(outcomes, name).items():
            products = tuple(outcome.run.product for outcome in several)
            support = joined_support(outcome.run.support for outcome in several)
            means.append(
                MeanScore(
                    classifier=name,
                    shots=shots,
                    products=products,
                    accuracy=mean_accuracy(several),
                    **{loss: _mean_loss(loss, several) for loss in WORST},
                    support=support,
                )
            )
    return means


def mean_accuracy(several: list[Outcome]) -> Estimate:
    """The mean accuracy of one classifier over products."""
    mean = float(np.mean([outcome.run.accuracy.mean for outcome in several]))
    by_seed = [{e.seed: e.accuracy for e in outcome.run.episodes} for outcome in several]
    parts = [
        share_parts(list(seeds.values()), outcome.resampled, outcome.units)
        for seeds, outcome in zip(by_seed, several, strict=True)
    ]
    independent = sum(independent_queries(outcome.run.n_query, outcome.units) for outcome in several)
    ci95 = share_interval(mean, mean_parts(parts), independent, most=MOST * independent)
    return Estimate(mean=mean, std=_deviation(by_seed), ci95=ci95)


def _mean_loss(name: str, several: list[Outcome]) -> Estimate:
    """The mean of a loss over products."""
    losses = [outcome.losses[name] for outcome in several]
    seeds = [[episode.seed for episode in outcome.run.episodes] for outcome in several]
    by_seed = [dict(zip(own, loss.per_seed, strict=True)) for own, loss in zip(seeds, losses, strict=True)]
    return estimate_mean_loss(name, losses, _deviation(by_seed))
