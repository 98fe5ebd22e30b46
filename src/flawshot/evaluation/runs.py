"""Running classifiers over episodes."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.base.arguments import argument
from flawshot.base.errors import FeatureBankError, FlawshotError
from flawshot.classifiers import make_classifier, shown_name
from flawshot.classifiers.base import Evidence, Support
from flawshot.classifiers.outline import Outline
from flawshot.evaluation.answers import record_answers
from flawshot.evaluation.comparisons import Outcome, Outcomes, average, compare
from flawshot.evaluation.estimates import estimate_category, estimate_error, estimate_known, estimate_share
from flawshot.evaluation.losses import WORST, Loss, brier_scores, estimate_loss, log_losses
from flawshot.evaluation.metrics import (
    confusion_matrix,
    corrected_calibration_error,
    expected_calibration_error,
    macro_recall,
    reliability,
)
from flawshot.evaluation.provenance import make_provenance
from flawshot.evaluation.results import EpisodeScore, Results, Run
from flawshot.evaluation.scores import QueryPredictions, QueryTable, Resampled, resample
from flawshot.regions.outlines import catalog_outlines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from flawshot.bank.features import FeatureBank
    from flawshot.classifiers.base import FewShotClassifier
    from flawshot.episodes import EpisodeSet
    from flawshot.evaluation.results import Answers

__all__ = ["YARDSTICKS", "evaluate"]

# Baselines in every table: a random guess, and the most frequent category.
YARDSTICKS = ("chance", "majority")
# A baseline that is a classifier: what the shape of the annotations alone reveals.
OUTLINE = "outline"
# Number of episodes that trained classifiers train together; more would only take memory.
EPISODES_AT_ONCE = 8


class _Task(NamedTuple):
    """The episodes of one product and K, as arrays; ``support``: fewest and most support instances per category."""

    episodes: EpisodeSet
    query: list[str]
    truth: NDArray[np.intp]
    asked: QueryTable
    ways: list[int]
    support: tuple[int, int]


class _Bank:
    """The evidence of a bank's instances for estimators: features, text features, and outlines, measured once."""

    def __init__(self, bank: FeatureBank) -> None:
        self.bank = bank
        self._outlines: dict[str, NDArray[np.float32]] = {}

    def support(self, task: _Task, seed: int) -> Support:
        """The support set of one episode."""
        bank, episode = self.bank, task.episodes.episodes[seed]
        labels, rows = bank.catalog.column("category"), bank.catalog.row_of
        named = [labels[rows[identifier]] for identifier in episode.support]
        evidence = self.evidence(episode.support)
        if bank.has_text:
            text = bank.text_features(task.episodes.product, sorted(set(named)))
            evidence = evidence._replace(text=text)
        # As objects, because numpy's strings drop trailing NUL characters.
        return Support(evidence, np.array(named, dtype=object))

    def evidence(self, ids: Sequence[str]) -> Evidence:
        """The evidence of some instances."""
        features = self.bank.features(ids)
        features.setflags(write=False)  # every classifier gets the same array
        return Evidence(features, outlines=self._outlines_of(ids))

    def _outlines_of(self, ids: Sequence[str]) -> NDArray[np.float32]:
        new = [identifier for identifier in ids if identifier not in self._outlines]
        self._outlines.update(zip(new, catalog_outlines(self.bank.catalog, new), strict=True))
        return np.stack([self._outlines[identifier] for identifier in ids])


def evaluate(
    bank: FeatureBank,
    episode_sets: Sequence[EpisodeSet],
    classifiers: Sequence[str] | Mapping[str, FewShotClassifier],
    *,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Results:
    """Fit and score classifiers on every episode.

    An estimator gets only the support set's features and labels, text features of the categories' names if it needs
    them, and the query set's features. Intervals combine the variance over seeds with that over query images (10,000
    bootstrap draws; the instances of an image, or of a group, stay together) and have Student's quantile for the number
    of both; if all queries are right, or all wrong, Wilson's bound for as many as are independent. The results also
    contain ``outline``, which sees only the annotations' outlines, chance, and the majority category.

    Args:
        bank: The features; its catalog provides the labels.
        episode_sets: Episodes verified against the bank's catalog, as :func:`flawshot.read_episodes` returns them.
        classifiers: Names, or estimators by name. The first one is the reference for the paired differences.
        device: Where trained classifiers given by name are trained: ``cpu``, ``cuda``, ….
        progress: Called after each episode with the episodes done and their total.

    Raises:
        FlawshotError: If there is nothing to evaluate, a name is unknown, or the bank lacks an instance or the text
            features that an estimator needs.
    """
    estimators = _estimators(classifiers, device)
    compared = list(estimators)
    estimators.setdefault(OUTLINE, Outline())
    shown = _Bank(bank)
    pairs = Counter((each.product, each.shots) for each in episode_sets)
    if not episode_sets:
        raise FlawshotError("nothing to evaluate: name at least one episode file")
    (product, shots), times = pairs.most_common(1)[0]
    if times > 1:
        raise FlawshotError(f"{product} at {shots} shots is in {times} episode files; give those of one protocol only")
    by_text = [name for name, estimator in estimators.items() if "text" in estimator.inputs]
    for each in episode_sets if by_text else ():
        try:
            bank.text_features(each.product, each.categories)
        except FeatureBankError as error:
            raise FlawshotError(f"{argument('classifiers', ','.join(by_text))}: {error.marked}") from error
    total = len(estimators) * sum(len(each.episodes) for each in episode_sets)
    done = itertools.count(1)

    def tick() -> None:
        if progress is not None:
            progress(next(done), total)

    _warm_up(shown, _task(bank, episode_sets[0]), estimators)
    outcomes: Outcomes = {}
    answers: list[Answers] = []
    for episodes in episode_sets:
        task = _task(bank, episodes)
        for outcome in _outcomes(shown, task, estimators, tick, answers):
            outcomes[episodes.product, episodes.shots, outcome.run.classifier] = outcome
    return Results(
        runs=tuple(outcome.run for outcome in outcomes.values()),
        comparisons=tuple(compare(outcomes, compared)),
        means=tuple(average(outcomes)),
        provenance=make_provenance(bank, episode_sets, estimators, device),
        answers=tuple(answers),
    )


def _estimators(
    classifiers: Sequence[str] | Mapping[str, FewShotClassifier], device: str
) -> dict[str, FewShotClassifier]:
    if isinstance(classifiers, Mapping):
        estimators = dict(classifiers)
    else:
        estimators = {shown_name(name): make_classifier(name) for name in classifiers if name not in YARDSTICKS}
        for estimator in estimators.values():
            if "device" in estimator.get_params():
                estimator.set_params(device=device)
    for name in YARDSTICKS:
        if name in estimators:
            raise FlawshotError(f"classifiers: {name!r} is the name of a baseline; give the estimator another name")
    if not estimators:
        raise FlawshotError(f"{argument('classifiers')}: name at least one")
    return estimators


def _outcomes(
    bank: _Bank,
    task: _Task,
    estimators: Mapping[str, FewShotClassifier],
    tick: Callable[[], None],
    answers: list[Answers],
) -> Iterator[Outcome]:
    """Evaluate every classifier and baseline on one product at one K; their answers are added to ``answers``."""
    made = {name: _blank(task) for name in estimators}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in estimators}
    places = task.asked.episodes()
    total = len(task.episodes.episodes)
    for first in range(0, total, EPISODES_AT_ONCE):
        seeds = range(first, min(first + EPISODES_AT_ONCE, total))
        supports = [bank.support(task, seed) for seed in seeds]
        fitted = {name: _fit(estimator, supports) for name, estimator in estimators.items()}
        for number, seed in enumerate(seeds):
            asked = [task.query[column] for column in task.asked.query[places[seed]]]
            query = bank.evidence(asked)
            for name, (several, seconds) in fitted.items():
                start = time.perf_counter()
                probabilities = several[number].predict_evidence(query)
                times[name].append((seconds, time.perf_counter() - start))
                _note(task, places[seed], several[number], probabilities, made[name])
                tick()
    for name in YARDSTICKS:
        made[name] = _yardstick(name, task)
        times[name] = [(0.0, 0.0)] * len(task.episodes.episodes)
    answers.append(record_answers(bank.bank, task.episodes, task.query, task.asked, made))
    key, views = f"{task.episodes.product}/{task.episodes.shots}", bank.bank.manifest.shape[1]
    resampled = resample(list(made.values()), len(task.episodes.categories), key)
    for (name, predictions), values in zip(made.items(), resampled, strict=True):
        scores = _episode_scores(task, predictions, times[name])
        transductive = name in estimators and estimators[name].transductive
        losses = {loss: _loss(loss, name, task, predictions, values) for loss in WORST}
        run = _run(name, task, predictions, scores, values, losses=losses, transductive=transductive, views=views)
        decided = hashlib.blake2b(predictions.right.tobytes()).digest()
        yield Outcome(run, decided, task.asked.units, values.accuracy, losses)


def _task(bank: FeatureBank, episodes: EpisodeSet) -> _Task:
    rows = bank.catalog.row_of
    query = list(dict.fromkeys(identifier for episode in episodes.episodes for identifier in episode.query))
    place = {identifier: column for column, identifier in enumerate(query)}
    columns = [np.unique([place[identifier] for identifier in episode.query]) for episode in episodes.episodes]
    seed, column = np.repeat(np.arange(len(columns)), list(map(len, columns))), np.concatenate(columns)
    categories, images = bank.catalog.column("category"), bank.catalog.column("image")
    groups = episodes.groups or {}
    own = [images[rows[identifier]] for identifier in query]
    _, units = np.unique([groups.get(image, image) for image in own], return_inverse=True)
    truth = np.array([episodes.categories.index(categories[rows[identifier]]) for identifier in query])
    counts = [Counter(categories[rows[identifier]] for identifier in each.support) for each in episodes.episodes]
    support = (min(min(each.values()) for each in counts), max(max(each.values()) for each in counts))
    asked = QueryTable(len(columns), seed, column, truth[column], units[column])
    return _Task(episodes, query, truth, asked, list(map(len, counts)), support)


def _blank(task: _Task) -> QueryPredictions:
    shape = task.asked.seed.shape
    losses = {name: np.zeros(shape) for name in WORST}
    return QueryPredictions(task.asked, np.full(shape, -1), np.zeros(shape), np.zeros(shape), losses)


def _fit(estimator: FewShotClassifier, supports: Sequence[Support]) -> tuple[list[FewShotClassifier], float]:
    """Fit the estimator to each support set; also return the mean seconds per fit."""
    start = time.perf_counter()
    several = estimator.fit_many(supports)
    return several, (time.perf_counter() - start) / len(supports)


def _warm_up(bank: _Bank, task: _Task, estimators: Mapping[str, FewShotClassifier]) -> None:
    """Fit each estimator and predict once, untimed, so that one-time work such as starting a GPU is not timed."""
    support = bank.support(task, 0)
    for estimator in estimators.values():
        (fitted,), _ = _fit(estimator, [support])
        fitted.predict_evidence(support.evidence)


def _note(
    task: _Task, place: slice, fitted: FewShotClassifier, probabilities: NDArray[np.float32], into: QueryPredictions
) -> None:
    """Record the predictions for one episode's queries."""
    if not np.isfinite(probabilities).all():
        raise FlawshotError(f"{fitted}: gives probabilities that are not finite")
    winners = probabilities.argmax(axis=1)
    numbers = np.array([task.episodes.categories.index(category) for category in fitted.classes_])
    truth = task.asked.truth[place]
    into.predicted[place] = numbers[winners]
    into.right[place] = numbers[winners] == truth
    into.confidence[place] = probabilities[np.arange(len(winners)), winners]
    shares = np.zeros((len(winners), len(task.episodes.categories)))
    shares[:, numbers] = probabilities
    _note_losses(shares, truth, place, into)


def _note_losses(
    probabilities: NDArray[np.float64], truth: NDArray[np.intp], place: slice, into: QueryPredictions
) -> None:
    """Record the losses of one episode's queries."""
    into.losses["brier"][place] = brier_scores(probabilities, truth)
    into.losses["log_loss"][place] = log_losses(probabilities, truth)


def _yardstick(name: str, task: _Task) -> QueryPredictions:
    made = _blank(task)
    for ways, place in zip(task.ways, task.asked.episodes(), strict=True):
        own = task.asked.truth[place]
        if name == "chance":
            made.right[place] = made.confidence[place] = 1.0 / ways
            # All of an episode's categories are equal here, so any of them stands for the truth.
            _note_losses(np.full((len(own), ways), 1.0 / ways), np.zeros_like(own), place, made)
        else:
            # Random tasks have different categories each; other protocols share one majority over all seeds.
            truth = own if task.episodes.protocol == "episodic" else task.truth
            most = Counter(truth.tolist()).most_common(1)[0][0]
            made.predicted[place] = most
            made.right[place] = own == most
            made.confidence[place] = 1.0
            certain = np.tile(np.arange(len(task.episodes.categories)) == most, (len(own), 1)).astype(np.float64)
            _note_losses(certain, own, place, made)
    return made


def _episode_scores(
    task: _Task, predictions: QueryPredictions, times: Sequence[tuple[float, float]]
) -> list[EpisodeScore]:
    scores = []
    for episode, place, (fit, predict) in zip(task.episodes.episodes, task.asked.episodes(), times, strict=True):
        right, truth, guessed = predictions.right[place], task.asked.truth[place], predictions.predicted[place]
        nothing_predicted = bool((guessed < 0).any())
        scores.append(
            EpisodeScore(
                seed=episode.seed,
                accuracy=float(right.mean()),
                macro_recall=float(right.mean()) if nothing_predicted else macro_recall(truth, guessed),
                fit_seconds=fit,
                predict_seconds=predict,
            )
        )
    return scores


def _loss(loss: str, name: str, task: _Task, predictions: QueryPredictions, resampled: Resampled) -> Loss:
    per_seed = [float(predictions.losses[loss][place].mean()) for place in task.asked.episodes()]
    return Loss(per_seed, resampled.losses[loss], len(task.query), task.asked.units, known=name == "chance")


def _run(
    name: str,
    task: _Task,
    predictions: QueryPredictions,
    scores: list[EpisodeScore],
    resampled: Resampled,
    *,
    losses: Mapping[str, Loss],
    transductive: bool,
    views: int,
) -> Run:
    categories, asked = task.episodes.categories, task.asked
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
        product=task.episodes.product,
        classifier=name,
        transductive=transductive,
        shots=task.episodes.shots,
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
