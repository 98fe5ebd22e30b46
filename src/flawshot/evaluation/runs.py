"""Running classifiers over episodes."""

from __future__ import annotations

import importlib.metadata
import itertools
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from flawshot.classifiers import make_classifier
from flawshot.classifiers.base import Support
from flawshot.errors import FeatureBankError, FlawshotError
from flawshot.evaluation.comparisons import Outcome, Outcomes, average, compare
from flawshot.evaluation.estimates import estimate_error, estimate_share
from flawshot.evaluation.intervals import DRAWS
from flawshot.evaluation.metrics import confusion_matrix, expected_calibration_error, macro_recall
from flawshot.evaluation.results import CategoryScore, EpisodeScore, Results, Run
from flawshot.evaluation.scores import Predictions, Resampled, resample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from flawshot.classifiers.base import FewShotClassifier
    from flawshot.episodes import EpisodeSet
    from flawshot.features import FeatureBank

__all__ = ["YARDSTICKS", "evaluate"]

# What stands in every table beside the classifiers: the blind guess, and the best answer that never looks.
YARDSTICKS = ("chance", "majority")
# Trained classifiers train so many episodes together; more would only take memory.
EPISODES_AT_ONCE = 8


class _Task(NamedTuple):
    """The episodes of one product and K, as arrays."""

    episodes: EpisodeSet
    query: list[str]
    truth: NDArray[np.intp]
    units: NDArray[np.intp]
    asked: NDArray[np.bool_]
    ways: list[int]


def evaluate(
    bank: FeatureBank,
    episode_sets: Sequence[EpisodeSet],
    classifiers: Sequence[str] | Mapping[str, FewShotClassifier],
    *,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Results:
    """Fit and score classifiers on every episode.

    An estimator gets the support set's features and labels, if it needs them text features of the categories' names,
    and the query set's features, and nothing else. Intervals are percentiles of 10,000 bootstrap draws over seeds and
    query images together (the instances of an image, or of a group, stay together); where every query is right, or
    every one wrong, Wilson's bound on their number.

    Args:
        bank: The features; its catalog gives the labels.
        episode_sets: Episodes verified against the bank's catalog, as :func:`flawshot.read_episodes` gives them.
        classifiers: Names, or estimators by name. The first one is the reference of the paired differences.
        device: Where classifiers that are named, and trained, are trained: ``cpu``, ``cuda``, ….
        progress: Called with the episodes done and all there are, after each.

    Raises:
        FlawshotError: If there is nothing to evaluate, a name is not known, or the bank lacks an instance, or text
            features that an estimator needs.
    """
    estimators = _estimators(classifiers, device)
    pairs = Counter((each.product, each.shots) for each in episode_sets)
    if not episode_sets:
        raise FlawshotError("nothing to evaluate: name at least one episode file")
    (product, shots), times = pairs.most_common(1)[0]
    if times > 1:
        raise FlawshotError(f"{product} at {shots} shots is given by {times} episode files; give one protocol's only")
    by_text = [name for name, estimator in estimators.items() if estimator.needs_text]
    for each in episode_sets if by_text else ():
        try:
            bank.text_features(each.product, each.categories)
        except FeatureBankError as error:
            raise FlawshotError(f"--classifiers {','.join(by_text)}: {error}") from error
    total = len(estimators) * sum(len(each.episodes) for each in episode_sets)
    done = itertools.count(1)

    def tick() -> None:
        if progress is not None:
            progress(next(done), total)

    outcomes: Outcomes = {}
    for episodes in episode_sets:
        task = _task(bank, episodes)
        for outcome in _outcomes(bank, task, estimators, tick):
            outcomes[episodes.product, episodes.shots, outcome.run.classifier] = outcome
    return Results(
        runs=tuple(outcome.run for outcome in outcomes.values()),
        comparisons=tuple(compare(outcomes, list(estimators))),
        means=tuple(average(outcomes)),
        provenance=_provenance(bank, episode_sets, estimators),
    )


def _estimators(
    classifiers: Sequence[str] | Mapping[str, FewShotClassifier], device: str
) -> dict[str, FewShotClassifier]:
    if isinstance(classifiers, Mapping):
        estimators = dict(classifiers)
    else:
        estimators = {name: make_classifier(name) for name in classifiers if name not in YARDSTICKS}
        for estimator in estimators.values():
            if "device" in estimator.get_params():
                estimator.set_params(device=device)
    for name in YARDSTICKS:
        if name in estimators:
            raise FlawshotError(f"classifiers: {name!r} is the name of a yardstick; name the estimator otherwise")
    if not estimators:
        raise FlawshotError("--classifiers: name at least one")
    return estimators


def _outcomes(
    bank: FeatureBank, task: _Task, estimators: Mapping[str, FewShotClassifier], tick: Callable[[], None]
) -> Iterator[Outcome]:
    """Every classifier, then every yardstick, on one product at one K."""
    made = {name: _blank(task) for name in estimators}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in estimators}
    total = len(task.episodes.episodes)
    for first in range(0, total, EPISODES_AT_ONCE):
        seeds = range(first, min(first + EPISODES_AT_ONCE, total))
        supports = [_support(bank, task, seed) for seed in seeds]
        fitted = {name: _fit(estimator, supports) for name, estimator in estimators.items()}
        for number, seed in enumerate(seeds):
            query = bank.features([task.query[column] for column in np.flatnonzero(task.asked[seed])])
            query.setflags(write=False)
            for name, (several, seconds) in fitted.items():
                start = time.perf_counter()
                probabilities = several[number].predict_proba(query)
                times[name].append((seconds, time.perf_counter() - start))
                _note(task, seed, several[number], probabilities, made[name])
                tick()
    for name in YARDSTICKS:
        made[name] = _yardstick(name, task)
        times[name] = [(0.0, 0.0)] * len(task.episodes.episodes)
    key = f"{task.episodes.product}/{task.episodes.shots}"
    resampled = resample(list(made.values()), task.units, len(task.episodes.categories), key)
    for (name, predictions), values in zip(made.items(), resampled, strict=True):
        scores = _episode_scores(task, predictions, times[name])
        transductive = name in estimators and estimators[name].transductive
        run = _run(name, task, predictions, scores, values, transductive=transductive, views=bank.manifest.shape[1])
        yield Outcome(run, predictions, values)


def _task(bank: FeatureBank, episodes: EpisodeSet) -> _Task:
    rows = bank.catalog.row_of
    query = list(dict.fromkeys(identifier for episode in episodes.episodes for identifier in episode.query))
    place = {identifier: column for column, identifier in enumerate(query)}
    asked = np.zeros((len(episodes.episodes), len(query)), dtype=bool)
    for seed, episode in enumerate(episodes.episodes):
        asked[seed, [place[identifier] for identifier in episode.query]] = True
    categories, images = bank.catalog.column("category"), bank.catalog.column("image")
    groups = episodes.groups or {}
    own = [images[rows[identifier]] for identifier in query]
    _, units = np.unique([groups.get(image, image) for image in own], return_inverse=True)
    truth = np.array([episodes.categories.index(categories[rows[identifier]]) for identifier in query])
    ways = [len({categories[rows[identifier]] for identifier in each.support}) for each in episodes.episodes]
    return _Task(episodes, query, truth, units, asked, ways)


def _blank(task: _Task) -> Predictions:
    shape = task.asked.shape
    units = len(np.unique(task.units))
    return Predictions(task.asked, task.truth, np.full(shape, -1), np.zeros(shape), np.zeros(shape), units)


def _support(bank: FeatureBank, task: _Task, seed: int) -> Support:
    episode, labels, rows = task.episodes.episodes[seed], bank.catalog.column("category"), bank.catalog.row_of
    named = [labels[rows[identifier]] for identifier in episode.support]
    text = bank.text_features(task.episodes.product, sorted(set(named))) if bank.has_text else None
    features = bank.features(episode.support)
    features.setflags(write=False)  # every classifier gets the same array
    # As objects: numpy's own texts lose what ends in NUL.
    return Support(features, np.array(named, dtype=object), text)


def _fit(estimator: FewShotClassifier, supports: Sequence[Support]) -> tuple[list[FewShotClassifier], float]:
    """The estimator fitted to each support set, and the seconds that each took on average."""
    if not estimator.needs_text:
        supports = [support._replace(text=None) for support in supports]
    start = time.perf_counter()
    several = estimator.fit_many(supports)
    return several, (time.perf_counter() - start) / len(supports)


def _note(
    task: _Task, seed: int, fitted: FewShotClassifier, probabilities: NDArray[np.float32], into: Predictions
) -> None:
    """Note what one episode's queries were given."""
    if not np.isfinite(probabilities).all():
        raise FlawshotError(f"{fitted}: gives probabilities that are not finite")
    columns, winners = np.flatnonzero(task.asked[seed]), probabilities.argmax(axis=1)
    numbers = np.array([task.episodes.categories.index(category) for category in fitted.classes_])
    into.predicted[seed, columns] = numbers[winners]
    into.right[seed, columns] = numbers[winners] == task.truth[columns]
    into.confidence[seed, columns] = probabilities[np.arange(len(winners)), winners]


def _yardstick(name: str, task: _Task) -> Predictions:
    made = _blank(task)
    for seed, asked in enumerate(task.asked):
        if name == "chance":
            made.right[seed, asked] = made.confidence[seed, asked] = 1.0 / task.ways[seed]
        else:
            # Random tasks ask for other categories each; elsewhere one answer stands for all seeds.
            truth = task.truth[asked] if task.episodes.protocol == "episodic" else task.truth
            most = Counter(truth.tolist()).most_common(1)[0][0]
            made.predicted[seed, asked] = most
            made.right[seed] = asked & (task.truth == most)
            made.confidence[seed, asked] = 1.0
    return made


def _episode_scores(task: _Task, predictions: Predictions, times: Sequence[tuple[float, float]]) -> list[EpisodeScore]:
    scores = []
    for seed, (episode, (fit, predict)) in enumerate(zip(task.episodes.episodes, times, strict=True)):
        asked = task.asked[seed]
        right, truth = predictions.right[seed, asked], task.truth[asked]
        guessed = predictions.predicted[seed, asked]
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


def _run(
    name: str,
    task: _Task,
    predictions: Predictions,
    scores: list[EpisodeScore],
    resampled: Resampled,
    *,
    transductive: bool,
    views: int,
) -> Run:
    categories = task.episodes.categories
    queries, units = len(task.query), predictions.units
    errors = [
        expected_calibration_error(predictions.confidence[seed, asked], predictions.right[seed, asked])
        for seed, asked in enumerate(task.asked)
    ]
    per_category = {}
    for number, category in enumerate(categories):
        own = task.truth == number
        per_category[category] = _category_score(
            predictions, own, resampled.per_category[:, number], len(np.unique(task.units[own]))
        )
    confusion = None
    if (predictions.predicted[task.asked] >= 0).all():
        truth = np.broadcast_to(task.truth, task.asked.shape)[task.asked]
        matrix = confusion_matrix(truth, predictions.predicted[task.asked], len(categories))
        confusion = tuple(tuple(row) for row in matrix.tolist())
    return Run(
        product=task.episodes.product,
        classifier=name,
        transductive=transductive,
        shots=task.episodes.shots,
        views=views,
        n_query=queries,
        categories=categories,
        accuracy=estimate_share([score.accuracy for score in scores], resampled.accuracy, queries, units),
        macro_recall=estimate_share([score.macro_recall for score in scores], resampled.macro_recall, queries, units),
        ece=estimate_error(errors, resampled.ece),
        per_category=per_category,
        confusion=confusion,
        episodes=tuple(scores),
    )


def _category_score(
    predictions: Predictions, own: NDArray[np.bool_], resampled: NDArray[np.float64], units: int
) -> CategoryScore:
    asked = predictions.asked & own
    per_seed = [float(predictions.right[seed, row].mean()) for seed, row in enumerate(asked) if row.any()]
    if not per_seed:
        return CategoryScore(mean=None, ci95=None, n_query=0)
    queries = int(asked.any(axis=0).sum())
    share = estimate_share(per_seed, resampled, queries, units)
    return CategoryScore(mean=share.mean, ci95=share.ci95, n_query=queries)


def _provenance(
    bank: FeatureBank, episode_sets: Sequence[EpisodeSet], estimators: Mapping[str, FewShotClassifier]
) -> dict[str, Any]:
    text = bank.manifest.text
    return {
        "flawshot": importlib.metadata.version("flawshot"),
        "encoder": bank.manifest.encoder.model_dump(mode="json"),
        "text": None if text is None else text.model_dump(mode="json", exclude={"file", "rows"}),
        "views": bank.manifest.views.model_dump(mode="json"),
        "libraries": bank.manifest.libraries,
        "protocols": sorted({each.protocol for each in episode_sets}),
        "seeds": sorted({episode.seed for each in episode_sets for episode in each.episodes}),
        "fingerprints": {each.product: each.fingerprint for each in episode_sets},
        "classifiers": {
            name: {"class": type(estimator).__name__, "parameters": estimator.get_params()}
            for name, estimator in estimators.items()
        },
        "interval": f"bootstrap over seeds and query images together, {DRAWS} draws, percentiles 2.5 and 97.5",
    }
