"""A unit of work of an evaluation: classifiers fitted to some episodes, and their answers to these episodes' queries.

Units depend on nothing but their arguments, so that any process may do them, in any order.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.base.errors import FlawshotError
from flawshot.base.parallel import one_thread
from flawshot.evaluation.answers import nearest_support
from flawshot.evaluation.tasks import query_losses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from flawshot.classifiers.base import FewShotClassifier, Support
    from flawshot.evaluation.scores import QueryPredictions
    from flawshot.evaluation.workplaces import Workplace

__all__ = ["EpisodeAnswers", "EpisodeUnit", "UnitAnswers", "UnitEpisode", "answer_episodes"]


class UnitEpisode(NamedTuple):
    """An episode of a unit.

    Attributes:
        support: Instance ids.
        query: Instance ids, in the order in which they are asked.
        truth: The numbers of the queries' categories, ``[query]``.
        nearest: Whether the queries' nearest support instances are wanted.
    """

    support: tuple[str, ...]
    query: list[str]
    truth: NDArray[np.intp]
    nearest: bool


class EpisodeUnit(NamedTuple):
    """Some episodes of one product and K, and the classifiers that are to answer their queries.

    Attributes:
        product: The product.
        categories: Its categories.
        names: The classifiers.
        episodes: The episodes; trained classifiers train them together.
    """

    product: str
    categories: tuple[str, ...]
    names: tuple[str, ...]
    episodes: tuple[UnitEpisode, ...]


class EpisodeAnswers(NamedTuple):
    """One classifier's answers to the queries of a unit, episode by episode.

    Attributes:
        predicted: Category numbers, ``[asked]``.
        confidence: The probabilities of these, float32 ``[asked]``.
        losses: By name of the loss, that of each query, float64 ``[asked]``.
        times: Seconds to fit and to predict, by episode.
    """

    predicted: NDArray[np.intp]
    confidence: NDArray[np.float32]
    losses: dict[str, NDArray[np.float64]]
    times: list[tuple[float, float]]

    def fill(self, made: QueryPredictions, place: slice) -> None:
        """Enter the answers among those of all episodes.

        Args:
            made: The predictions for all episodes.
            place: This unit's queries among theirs.
        """
        made.predicted[place] = self.predicted
        made.right[place] = self.predicted == made.asked.truth[place]
        made.confidence[place] = self.confidence
        for loss, values in self.losses.items():
            made.losses[loss][place] = values


class UnitAnswers(NamedTuple):
    """What a unit gives.

    Attributes:
        by_classifier: The answers.
        nearest: For each episode of which they are wanted, places in the support set, ``[query, nearest]``.
    """

    by_classifier: dict[str, EpisodeAnswers]
    nearest: list[NDArray[np.intp]]


def answer_episodes(access: Callable[[], Workplace], unit: EpisodeUnit) -> UnitAnswers:
    """Fit classifiers to some episodes, and ask them these episodes' queries; all with one thread.

    Args:
        access: Gives the evidence and the estimators.
        unit: Which episodes and classifiers.

    Raises:
        FlawshotError: If the bank cannot be read, or a classifier gives no probabilities.
    """
    workplace = access()
    evidence = workplace.evidence
    with one_thread():
        workplace.warm_up(unit.names)
        supports = [evidence.support(unit.product, episode.support) for episode in unit.episodes]
        fitted = {name: _fit(workplace.estimators[name], supports) for name in unit.names}
        answers: dict[str, list[EpisodeAnswers]] = {name: [] for name in unit.names}
        nearest = []
        for number, (episode, support) in enumerate(zip(unit.episodes, supports, strict=True)):
            query = evidence.of(episode.query)
            for name, (several, seconds) in fitted.items():
                start = time.perf_counter()
                probabilities = several[number].predict_evidence(query)
                times = seconds, time.perf_counter() - start
                answers[name].append(_answers(unit, episode, several[number], probabilities, times))
            if episode.nearest:
                nearest.append(nearest_support(query.features, support.evidence.features))
    return UnitAnswers(_joined(answers), nearest)


def _fit(estimator: FewShotClassifier, supports: Sequence[Support]) -> tuple[list[FewShotClassifier], float]:
    """Fit the estimator to each support set; also return the mean seconds per fit."""
    start = time.perf_counter()
    several = estimator.fit_many(supports)
    return several, (time.perf_counter() - start) / len(supports)


def _answers(
    unit: EpisodeUnit,
    episode: UnitEpisode,
    fitted: FewShotClassifier,
    probabilities: NDArray[np.float32],
    times: tuple[float, float],
) -> EpisodeAnswers:
    if not np.isfinite(probabilities).all():
        raise FlawshotError(f"{fitted}: gives probabilities that are not finite")
    winners = probabilities.argmax(axis=1)
    numbers = np.array([unit.categories.index(category) for category in fitted.classes_])
    shares = np.zeros((len(winners), len(unit.categories)))
    shares[:, numbers] = probabilities
    return EpisodeAnswers(
        predicted=numbers[winners],
        confidence=probabilities[np.arange(len(winners)), winners],
        losses=query_losses(shares, episode.truth),
        times=[times],
    )


def _joined(answers: Mapping[str, Sequence[EpisodeAnswers]]) -> dict[str, EpisodeAnswers]:
    """Each classifier's answers to all episodes of the unit."""
    return {
        name: EpisodeAnswers(
            predicted=np.concatenate([each.predicted for each in several]),
            confidence=np.concatenate([each.confidence for each in several]),
            losses={loss: np.concatenate([each.losses[loss] for each in several]) for loss in several[0].losses},
            times=[times for each in several for times in each.times],
        )
        for name, several in answers.items()
    }
