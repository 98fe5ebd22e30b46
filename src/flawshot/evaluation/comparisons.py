"""Comparisons: paired differences between classifiers, and means over products."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.evaluation.estimates import estimate
from flawshot.evaluation.intervals import wilson
from flawshot.evaluation.results import Comparison, MeanScore, Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flawshot.evaluation.scores import Predictions, Resampled

__all__ = ["Outcome", "Outcomes", "average", "compare"]


class Outcome(NamedTuple):
    """A run with what is behind it."""

    run: Run
    predictions: Predictions
    resampled: Resampled


# By product, K and classifier.
Outcomes = dict[tuple[str, int, str], Outcome]


def compare(outcomes: Outcomes, names: list[str]) -> list[Comparison]:
    """Paired differences in accuracy of every later classifier to the first, and of their means over products."""
    reference, *others = names
    comparisons = []
    for product, shots in dict.fromkeys((product, shots) for product, shots, _ in outcomes):
        base = outcomes[product, shots, reference]
        for name in others:
            own = outcomes[product, shots, name]
            per_seed = [
                mine.accuracy - its.accuracy for mine, its in zip(own.run.episodes, base.run.episodes, strict=True)
            ]
            difference = estimate(per_seed, own.resampled.accuracy - base.resampled.accuracy, None)
            if (own.predictions.right == base.predictions.right).all():
                # No query is decided differently, which bounds how often one might be.
                reach = 1.0 - wilson(own.run.n_query, own.run.n_query)[0]
                difference = difference.model_copy(update={"ci95": (-reach, reach)})
            comparisons.append(
                Comparison(product=product, shots=shots, classifier=name, reference=reference, difference=difference)
            )
    return comparisons + _mean_comparisons(outcomes, reference, others)


def _by_shots(outcomes: Outcomes, name: str) -> dict[int, list[Outcome]]:
    found: dict[int, list[Outcome]] = {}
    for (_, shots, own), outcome in outcomes.items():
        if own == name:
            found.setdefault(shots, []).append(outcome)
    return {shots: several for shots, several in found.items() if len(several) > 1}


def _mean_accuracies(outcomes: list[Outcome]) -> tuple[list[float], NDArray[np.float64]]:
    """Accuracy averaged over products: by seed (as far as all products have it), and by draw."""
    seeds = min(len(outcome.run.episodes) for outcome in outcomes)
    per_seed = [float(np.mean([outcome.run.episodes[seed].accuracy for outcome in outcomes])) for seed in range(seeds)]
    return per_seed, np.mean([outcome.resampled.accuracy for outcome in outcomes], axis=0)


def average(outcomes: Outcomes) -> list[MeanScore]:
    """Mean accuracies over products, for every classifier and K that several products have."""
    means = []
    for name in dict.fromkeys(name for _, _, name in outcomes):
        for shots, several in _by_shots(outcomes, name).items():
            per_seed, by_draw = _mean_accuracies(several)
            accuracy = estimate(per_seed, by_draw, sum(outcome.run.n_query for outcome in several))
            products = tuple(outcome.run.product for outcome in several)
            means.append(MeanScore(classifier=name, shots=shots, products=products, accuracy=accuracy))
    return means


def _mean_comparisons(outcomes: Outcomes, reference: str, others: list[str]) -> list[Comparison]:
    comparisons = []
    for name in others:
        for shots, several in _by_shots(outcomes, name).items():
            mine, my_draws = _mean_accuracies(several)
            its, its_draws = _mean_accuracies(_by_shots(outcomes, reference)[shots])
            per_seed = [a - b for a, b in zip(mine, its, strict=True)]
            difference = estimate(per_seed, my_draws - its_draws, None)
            comparisons.append(
                Comparison(product=None, shots=shots, classifier=name, reference=reference, difference=difference)
            )
    return comparisons
