"""Running classifiers over episodes."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from flawshot.base.arguments import argument
from flawshot.base.errors import FeatureBankError, FlawshotError
from flawshot.base.parallel import WhenLong, cores, in_order, one_thread
from flawshot.base.wording import counted
from flawshot.classifiers import make_classifier, shown_name
from flawshot.classifiers.outline import Outline
from flawshot.evaluation.answers import MOST_ANSWERS, record_answers
from flawshot.evaluation.comparisons import average, compare
from flawshot.evaluation.episode_answers import EpisodeUnit, UnitEpisode, answer_episodes
from flawshot.evaluation.provenance import make_provenance
from flawshot.evaluation.results import Results
from flawshot.evaluation.task_scores import Answered, score_classifiers
from flawshot.evaluation.tasks import YARDSTICKS, answer_yardstick, make_task, no_predictions
from flawshot.evaluation.workplaces import BankEvidence, Workplace, own_access, sendable_access

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from flawshot.bank.features import FeatureBank
    from flawshot.base.ray_tasks import RayTasks
    from flawshot.classifiers.base import FewShotClassifier
    from flawshot.episodes import EpisodeSet
    from flawshot.evaluation.comparisons import Outcome, Outcomes
    from flawshot.evaluation.episode_answers import UnitAnswers
    from flawshot.evaluation.result_records import Answers
    from flawshot.evaluation.scores import QueryPredictions
    from flawshot.evaluation.tasks import Task
    from flawshot.evaluation.workplaces import Access

__all__ = ["YARDSTICKS", "evaluate", "evaluate_outcomes"]

Item = TypeVar("Item")

# A baseline that is a classifier: what the shape of the annotations alone reveals.
OUTLINE = "outline"
# Number of episodes that trained classifiers train together; more would only take memory.
EPISODES_AT_ONCE = 8
# Episode sets are evaluated together, so that every process has work, until they have this many answers.
ANSWERS_AT_ONCE = 2**22
# With fewer answers, the classifiers of a product and K are scored together, because each unit repeats the draws.
ANSWERS_TO_PART = 50_000
# Units of work per process, so that all of them finish at about the same time.
UNITS_PER_JOB = 2


class _Pool(NamedTuple):
    """Where units of work are done.

    Attributes:
        workers: The most processes.
        do: Calls a module's function with each of some tuples of arguments, in any processes, and gives the results in
            the order of the tuples; closed as soon as no more are needed.
    """

    workers: int
    do: Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], Generator[Any, None, None]]


def evaluate(
    bank: FeatureBank,
    episode_sets: Sequence[EpisodeSet],
    classifiers: Sequence[str] | Mapping[str, FewShotClassifier],
    *,
    device: str = "cpu",
    jobs: int = 1,
    on: RayTasks | None = None,
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
        jobs: Number of processes; 0: one per core if the work takes long, and only this one for work on other devices
            than the CPU and for estimators that cannot be pickled. The results are the same to the last bit, but for
            the seconds, because each episode is computed with one thread in any case.
        on: A Ray cluster whose CPUs evaluate, instead of processes of this machine; with the same results if the nodes
            have the same processors and libraries. The bank must have the same path on every node.
        progress: Called with the number of episodes done, over all classifiers, and their total.

    Raises:
        FlawshotError: If there is nothing to evaluate, a name is unknown, the bank lacks an instance or the text
            features that an estimator needs, or ``jobs`` is invalid, or other processes are to use an estimator that
            cannot be pickled, or nodes one that computes on another device than the CPU.
    """
    return evaluate_outcomes(bank, episode_sets, classifiers, device=device, jobs=jobs, on=on, progress=progress)[0]


def evaluate_outcomes(
    bank: FeatureBank,
    episode_sets: Sequence[EpisodeSet],
    classifiers: Sequence[str] | Mapping[str, FewShotClassifier],
    *,
    device: str = "cpu",
    jobs: int = 1,
    on: RayTasks | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Results, Outcomes]:
    """As :func:`evaluate`; also what is needed to compare the runs with those on other banks."""
    if jobs < 0:
        raise FlawshotError(f"{argument('jobs', jobs)}: must be at least 0")
    estimators = _estimators(classifiers, device)
    compared = list(estimators)
    estimators.setdefault(OUTLINE, Outline())
    _check(bank, episode_sets, estimators)
    total = len(estimators) * sum(len(each.episodes) for each in episode_sets)
    done = itertools.count(1)
    first = episode_sets[0]
    workplace = Workplace(BankEvidence(bank), estimators, first.product, first.episodes[0].support)
    access, pool = _places(workplace, first, jobs, on)

    def tick(count: int) -> None:
        for number in itertools.islice(done, count):
            if progress is not None:
                progress(number, total)

    outcomes: Outcomes = {}
    answers: list[Answers] = []
    for batch in _batches(episode_sets, len(estimators)):
        for outcome in _outcomes(access, pool, batch, tick, answers):
            run = outcome.run
            outcomes[run.product, run.shots, run.classifier] = outcome
    results = Results(
        runs=tuple(outcome.run for outcome in outcomes.values()),
        comparisons=tuple(compare(outcomes, compared)),
        means=tuple(average(outcomes)),
        provenance=make_provenance(bank, episode_sets, estimators, device),
        answers=tuple(answers),
    )
    return results, outcomes


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


def _check(bank: FeatureBank, episode_sets: Sequence[EpisodeSet], estimators: Mapping[str, FewShotClassifier]) -> None:
    """Refuse what cannot be evaluated, before anything is computed."""
    pairs = Counter((each.product, each.shots) for each in episode_sets)
    if not episode_sets:
        raise FlawshotError("nothing to evaluate: name at least one episode file")
    (product, shots), times = pairs.most_common(1)[0]
    if times > 1:
        raise FlawshotError(
            f"{product} at {counted(shots, 'shot')} is in {times} episode files; give those of one protocol only"
        )
    by_text = [name for name, estimator in estimators.items() if "text" in estimator.inputs]
    for each in episode_sets if by_text else ():
        try:
            bank.text_features(each.product, each.categories)
        except FeatureBankError as error:
            raise FlawshotError(f"{argument('classifiers', ','.join(by_text))}: {error.marked}") from error


def _places(workplace: Workplace, first: EpisodeSet, jobs: int, on: RayTasks | None) -> tuple[Access, _Pool]:
    """Access to the evidence and the estimators, and where units of work are done."""
    sent = first.product, first.episodes[0].support
    if on is not None:
        for name, estimator in workplace.estimators.items():
            if not _on_cpu(estimator):
                raise FlawshotError(f"{name}: is trained on CPUs on a Ray cluster; use {argument('device', 'cpu')}")
        return sendable_access(workplace, *sent), _Pool(on.workers, on.in_order)
    if jobs > 1:
        return sendable_access(workplace, *sent), _Pool(jobs, partial(_spread, jobs))
    access, workers = own_access(workplace), 1
    if jobs == 0 and cores() > 1 and all(_on_cpu(each) for each in workplace.estimators.values()):
        with suppress(FlawshotError):
            access, workers = sendable_access(workplace, *sent), cores()
    with one_thread():
        workplace.warm_up(workplace.estimators)
    return access, _Pool(workers, WhenLong(workers))


def _spread(workers: int, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> Generator[Any, None, None]:
    return in_order(function, tasks, max(2, min(workers, len(tasks))))


def _on_cpu(estimator: FewShotClassifier) -> bool:
    return str(estimator.get_params().get("device", "cpu")).partition(":")[0] == "cpu"


def _batches(episode_sets: Sequence[EpisodeSet], classifiers: int) -> Iterator[list[EpisodeSet]]:
    """The episode sets, as many at a time as are evaluated together."""
    batch: list[EpisodeSet] = []
    size = 0
    for each in episode_sets:
        own = classifiers * sum(len(episode.query) for episode in each.episodes)
        if batch and size + own > ANSWERS_AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += own
    yield batch


def _outcomes(
    access: Access,
    pool: _Pool,
    episode_sets: Sequence[EpisodeSet],
    tick: Callable[[int], None],
    answers: list[Answers],
) -> Iterator[Outcome]:
    """Evaluate every classifier and baseline on some products and K; their answers are added to ``answers``."""
    workplace = access.own
    bank, estimators = workplace.evidence.bank, workplace.estimators
    forms = [_Form(make_task(bank, each), list(estimators)) for each in episode_sets]
    units = _all_units(forms, episode_sets, estimators, pool)
    with _as_given(bank), closing(pool.do(answer_episodes, [(access, unit) for _, _, unit in units])) as done:
        for (form, place, unit), given in zip(units, done, strict=True):
            form.enter(place, given)
            tick(len(unit.episodes) * len(unit.names))
    tasks: list[tuple[Any, ...]] = []
    for form, each in zip(forms, episode_sets, strict=True):
        form.add_yardsticks()
        answers.append(record_answers(bank, each, form.task.query, form.task.asked, form.made, near=form.near))
        several = [
            Answered(name, name in estimators and estimators[name].transductive, made, form.times[name])
            for name, made in form.made.items()
        ]
        few = len(form.task.asked.seed) * len(several) < ANSWERS_TO_PART
        parts = [several] if few else _parts(several, pool, len(forms))
        tasks += [(form.task, part, bank.manifest.shape[1], len(several) - len(part)) for part in parts]
    with closing(pool.do(score_classifiers, tasks)) as scored:
        for outcomes in scored:
            yield from outcomes


def _all_units(
    forms: Sequence[_Form],
    episode_sets: Sequence[EpisodeSet],
    estimators: Mapping[str, FewShotClassifier],
    pool: _Pool,
) -> list[tuple[_Form, slice, EpisodeUnit]]:
    """All units of work, each with the form and the place in it that its answers belong to."""
    chunks = sum(math.ceil(len(each.episodes) / EPISODES_AT_ONCE) for each in episode_sets)
    episodes = sum(len(each.episodes) for each in episode_sets)
    groups = [
        (names, _at_once([estimators[name] for name in names], pool, episodes))
        for names in _parts(list(estimators), pool, chunks)
    ]
    return [
        (form, place, unit)
        for form, each in zip(forms, episode_sets, strict=True)
        for place, unit in _units(form.task, each, groups)
    ]


def _parts(items: list[Item], pool: _Pool, units: int) -> list[list[Item]]:
    """Some items in one part, or in several if there are too few units of work for all processes."""
    count = 1 if pool.workers == 1 else min(len(items), math.ceil(UNITS_PER_JOB * pool.workers / units))
    bounds = [len(items) * number // count for number in range(count + 1)]
    return [items[slice(*pair)] for pair in itertools.pairwise(bounds)]


def _at_once(several: Sequence[FewShotClassifier], pool: _Pool, episodes: int) -> int:
    """Number of episodes of a unit: fewer if processes lack work, but what is fitted together stays together."""
    if pool.workers == 1 or any(each.fits_together() for each in several):
        return EPISODES_AT_ONCE
    return max(1, min(EPISODES_AT_ONCE, episodes // (UNITS_PER_JOB * pool.workers)))


def _units(
    task: Task, episodes: EpisodeSet, groups: Sequence[tuple[Sequence[str], int]]
) -> Iterator[tuple[slice, EpisodeUnit]]:
    """The units of work of one product and K, and the place of their queries among all.

    Args:
        task: The episodes as arrays.
        episodes: The episodes.
        groups: Names of classifiers, each with their number of episodes per unit.
    """
    places = task.asked.episodes()
    for number, (names, at_once) in enumerate(groups):
        for first in range(0, len(places), at_once):
            own = places[first : first + at_once]
            several = tuple(
                UnitEpisode(
                    support=tuple(episode.support),
                    query=task.ids(place),
                    truth=task.asked.truth[place],
                    nearest=number == 0 and place.stop <= MOST_ANSWERS,
                )
                for episode, place in zip(episodes.episodes[first : first + len(own)], own, strict=True)
            )
            unit = EpisodeUnit(task.product, task.categories, tuple(names), several)
            yield slice(own[0].start, own[-1].stop), unit


class _Form:
    """The answers for one product and K, filled in unit by unit.

    Attributes:
        task: The episodes.
        made: Predictions by classifier.
        times: By classifier, seconds to fit and to predict, by episode.
        near: Nearest support instances of the queries that are recorded, by episode.
    """

    def __init__(self, task: Task, names: Sequence[str]) -> None:
        self.task = task
        self.made: dict[str, QueryPredictions] = {name: no_predictions(task) for name in names}
        self.times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        self.near: list[NDArray[np.intp]] = []

    def enter(self, place: slice, given: UnitAnswers) -> None:
        """Enter the answers of a unit; those of the same classifier come in the order of the episodes."""
        for name, own in given.by_classifier.items():
            own.fill(self.made[name], place)
            self.times[name] += own.times
        self.near += given.nearest

    def add_yardsticks(self) -> None:
        """Enter the answers of the baselines that see nothing."""
        for name in YARDSTICKS:
            self.made[name] = answer_yardstick(name, self.task)
            self.times[name] = [(0.0, 0.0)] * len(self.task.seeds)


@contextmanager
def _as_given(bank: FeatureBank) -> Iterator[None]:
    """Name the bank in errors as it was given: other processes open it by its absolute path."""
    try:
        yield
    except FeatureBankError as error:
        raise FeatureBankError(error.marked.replace(str(bank.path.absolute()), str(bank.path))) from error
