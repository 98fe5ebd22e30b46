"""A unit of work of an evaluation: the scores of some classifiers for one product and K, with their bootstrap.

Units depend on nothing but their arguments, so that any process may do them, in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flawshot.base.parallel import one_thread
from flawshot.evaluation.comparisons import Outcome, decided_hash
from flawshot.evaluation.estimates import estimate_category, estimate_error, estimate_known, estimate_share
from flawshot.evaluation.losses import WORST, Loss, estimate_loss
from flawshot.evaluation.metrics import (
    confusion_matrix,
    corrected_calibration_error,
    expected_calibration_error,
    macro_recall,
    reliability,
)
from flawshot.evaluation.result_records import EpisodeScore, Run
from flawshot.evaluation.scores import resample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.evaluation.scores import QueryPredictions, Resampled
    from flawshot.evaluation.tasks import Task

__all__ = ["Answered", "draws_key", "score_classifiers"]


class Answered(NamedTuple):
    """What one classifier or yardstick answered in all episodes of one product and K.

    Attributes:
        name: Its name.
        transductive: Whether it looks at all queries at once.
        predictions: Its predictions.
        times: Seconds to fit and to predict, by episode.
    """

    name: str
    transductive: bool
    predictions: QueryPredictions
    times: Sequence[tuple[float, float]]


def draws_key(product: str, shots: int) -> str:
    """What seeds the bootstrap draws of a product and K."""
    return f"{product}/{shots}"


def score_classifiers(task: Task, several: Sequence[Answered], views: int, beside: int) -> list[Outcome]:
    """Score some classifiers on one product and K; with one thread.

    Args:
        task: The episodes.
        several: The classifiers' answers.
        views: Number of views of an instance.
        beside: Number of further classifiers of this product and K, which are scored elsewhere.

    Returns:
        One outcome per classifier.
    """
    key = draws_key(task.product, task.shots)
    with one_thread():
        predictions = [each.predictions for each in several]
        resampled = resample(predictions, len(task.categories), key, beside=beside)
        return [_outcome(task, each, values, views) for each, values in zip(several, resampled, strict=True)]


def _outcome(task: Task, answered: Answered, values: Resampled, views: int) -> Outcome:
    predictions = answered.predictions
    losses = {loss: _loss(loss, answered.name, task, predictions, values) for loss in WORST}
    run = _run(task, answered, _episode_scores(task, predictions, answered.times), values, losses=losses, views=views)
    return Outcome(run, decided_hash(predictions.right), task.asked.units, values.accuracy, losses)


def _episode_scores(
    task: Task, predictions: QueryPredictions, times: Sequence[tuple[float, float]]
) -> list[EpisodeScore]:
    scores = []
    for seed, place, (fit, predict) in zip(task.seeds, task.asked.episodes(), times, strict=True):
        right, truth, guessed = predictions.right[place], task.asked.truth[place], predictions.predicted[place]
        nothing_predicted = bool((guessed < 0).any())
        scores.append(
            EpisodeScore(
                seed=seed,
                accuracy=float(right.mean()),
                macro_recall=float(right.mean()) if nothing_predicted else macro_recall(truth, guessed),
                fit_seconds=fit,
                predict_seconds=predict,
            )
        )
    return scores


def _loss(loss: str, name: str, task: Task, predictions: QueryPredictions, resampled: Resampled) -> Loss:
    per_seed = [float(predictions.losses[loss][place].mean()) for place in task.asked.episodes()]
    return Loss(per_seed, resampled.losses[loss], len(task.query), task.asked.units, known=name == "chance")


def _run(
    task: Task,
    answered: Answered,
    scores: list[EpisodeScore],
    resampled: Resampled,
    *,
    losses: Mapping[str, Loss],
    views: int,
) -> Run:
    name, predictions = answered.name, answered.predictions
    categories, asked = task.categories, task.asked
    queries, units = len(task.query), asked.units
    places = asked.episodes()
    told = [(predictions.confidence[place], predictions.right[place]) for place in places]
    errors = [expected_calibration_error(*own) for own in told]
    corrected = [corrected_calibration_error(*own, asked.unit[place]) for own, place in zip(told, places, strict=True)]
    per_category = {
        category: estimate_category(predictions, number, resampled.per_category[:, number])
        for number, category in enumerate(categories)
    }
    accuracies, recalls = ([getattr(score, name) for score in scores] for name in ("accuracy", "macro_recall"))
    if name == "chance":
        accuracy, macro, ece = (estimate_known(values) for values in (accuracies, recalls, errors))
    else:
        accuracy = estimate_share(accuracies, resampled.accuracy, queries, units)
        macro = estimate_share(recalls, resampled.macro_recall, queries, units)
        ece = estimate_error(errors, corrected, resampled.ece, queries, units)
    if name == "majority":  # right on all of one category and on none of the others
        macro = estimate_known(recalls)
    confusion = None
    if (predictions.predicted >= 0).all():
        matrix = confusion_matrix(asked.truth, predictions.predicted, len(categories))
        confusion = tuple(tuple(row) for row in matrix.tolist())
    return Run(
        product=task.product,
        classifier=name,
        transductive=answered.transductive,
        shots=task.shots,
        support=task.support,
        views=views,
        n_query=queries,
        categories=categories,
        accuracy=accuracy,
        macro_recall=macro,
        ece=ece,
        **{loss: estimate_loss(loss, own) for loss, own in losses.items()},
        per_category=per_category,
        confusion=confusion,
        episodes=tuple(scores),
        reliability=reliability(predictions.confidence, predictions.right),
    )
