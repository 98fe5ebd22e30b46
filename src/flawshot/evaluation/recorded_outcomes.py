"""Outcomes rebuilt from the answers that results record: the same, to the last bit, as when they were evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.base.errors import FlawshotError
from flawshot.evaluation.comparisons import Outcome, decided_hash
from flawshot.evaluation.same_episodes import pair_text, recorded_value
from flawshot.evaluation.scores import QueryPredictions, QueryTable, resample
from flawshot.evaluation.task_scores import draws_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flawshot.evaluation.result_records import Answers, Run
    from flawshot.evaluation.results import Results
    from flawshot.evaluation.same_episodes import Pair

__all__ = ["recorded_outcomes"]

AGAIN = "evaluate again"
# How far an accuracy computed from the answers may be from the recorded one: by rounding.
SAME = 1e-9


class _Recorded(NamedTuple):
    """One side's answers for one product and K, by episode and then by instance.

    Attributes:
        side: The side's name.
        runs: Its runs by classifier.
        answers: What is recorded.
        order: Places of the answers, episode by episode, ``[asked]``.
        seed: The number of each answer's episode, ``[asked]``.
        ids: Each answer's instance, ``[asked]``.
        units: The unit of each answer, ``[asked]``.
    """

    side: str
    runs: Mapping[str, Run]
    answers: Answers
    order: NDArray[np.intp]
    seed: NDArray[np.intp]
    ids: list[str]
    units: NDArray[np.intp]


def recorded_outcomes(
    sides: Mapping[str, Results], pair: Pair, classifiers: Mapping[str, Sequence[str]]
) -> list[dict[str, Outcome]]:
    """Each side's outcomes for one product and K, all on the same draws.

    Args:
        sides: Results by name, of the same episodes as far as their provenance says.
        pair: Product and K.
        classifiers: The names of each side's classifiers.

    Returns:
        The outcomes by classifier, in the order of the sides, without Brier scores and log losses.

    Raises:
        FlawshotError: If the queries or their units differ, or a side does not record all of its answers.
    """
    several = [_recorded(name, results, pair) for name, results in sides.items()]
    first = several[0]
    for other in several[1:]:
        if other.ids != first.ids or not np.array_equal(other.seed, first.seed):
            raise FlawshotError(
                f"{other.side}: {pair_text(pair)}: was asked other query instances than {first.side}; "
                "evaluate both on the same episodes"
            )
        if not np.array_equal(_in_order(other.units), _in_order(first.units)):
            raise FlawshotError(
                f"{other.side}: {pair_text(pair)}: its images are grouped otherwise than those of {first.side}; "
                "evaluate both on the same episodes"
            )
    _, query = np.unique(np.array(first.ids), return_inverse=True)
    truth = np.array(first.answers.true)[np.array(first.answers.query)[first.order]]
    seeds = len(next(iter(first.runs.values())).episodes)
    # The first side's units for all, because the draws depend on how they are numbered.
    asked = QueryTable(seeds, first.seed, query, truth, np.unique(first.units, return_inverse=True)[1])
    return [_outcomes(each, pair, asked, classifiers[each.side]) for each in several]


def _recorded(side: str, results: Results, pair: Pair) -> _Recorded:
    where = f"{side}: {pair_text(pair)}"
    own = [each for each in results.answers if (each.product, each.shots) == pair]
    if not own:
        raise FlawshotError(f"{where}: its answers are not recorded; {AGAIN}")
    (answers,) = own[:1]
    if answers.left_out:
        total = len(answers.query) + answers.left_out
        raise FlawshotError(
            f"{where}: the file lists only {len(answers.query)} of {total} answers, too few to compare it; compare the "
            "banks themselves: flawshot evaluate BANK BANK EPISODES"
        )
    runs = {run.classifier: run for run in results.runs if (run.product, run.shots) == pair}
    first = next(iter(runs.values()))
    numbers = {each.seed: number for number, each in enumerate(first.episodes)}
    alike = all([each.seed for each in run.episodes] == list(numbers) for run in runs.values())
    if not alike or any(run.categories != first.categories for run in runs.values()):
        raise FlawshotError(f"{where}: its runs are of different seeds or categories; {AGAIN}")
    if set(answers.seed) != numbers.keys():
        raise FlawshotError(f"{where}: answers: are of other seeds than the runs; {AGAIN}")
    seed = np.array([numbers[each] for each in answers.seed])
    ids = [answers.ids[number] for number in answers.query]
    order = np.array(sorted(range(len(ids)), key=lambda place: (seed[place], ids[place])))
    ids = [ids[place] for place in order]
    if answers.unit is not None:
        units = np.array(answers.unit)[np.array(answers.query)[order]]
    elif recorded_value(results, "sampling", pair[0], "grouped") is False:
        # An id is the annotation's path and a number; each annotation is of one image.
        units = np.unique(np.array([identifier.rpartition("#")[0] for identifier in ids]), return_inverse=True)[1]
    else:
        raise FlawshotError(f"{where}: the file is of an older version, which does not record groups; {AGAIN}")
    return _Recorded(side, runs, answers, order, seed[order], ids, units)


def _in_order(units: NDArray[np.intp]) -> NDArray[np.intp]:
    """The units numbered in the order in which they first occur."""
    _, first, number = np.unique(units, return_index=True, return_inverse=True)
    rank: NDArray[np.intp] = np.argsort(np.argsort(first))[number]
    return rank


def _outcomes(recorded: _Recorded, pair: Pair, asked: QueryTable, names: Sequence[str]) -> dict[str, Outcome]:
    own = [name for name in names if name in recorded.runs and name in recorded.answers.predicted]
    predictions = [_predictions(recorded, asked, name) for name in own]
    if not own:
        return {}
    categories = len(recorded.runs[own[0]].categories)
    resampled = resample(predictions, categories, draws_key(*pair))
    outcomes = {}
    for name, made, values in zip(own, predictions, resampled, strict=True):
        run = recorded.runs[name]
        counted = [float(made.right[place].mean()) for place in asked.episodes()]
        if any(abs(mine - each.accuracy) > SAME for mine, each in zip(counted, run.episodes, strict=True)):
            raise FlawshotError(
                f"{recorded.side}: {pair_text(pair)}: the recorded answers of {name} do not have its recorded "
                f"accuracy; the file was changed: {AGAIN}"
            )
        outcomes[name] = Outcome(run, decided_hash(made.right), asked.units, values.accuracy, {})
    return outcomes


def _predictions(recorded: _Recorded, asked: QueryTable, name: str) -> QueryPredictions:
    predicted = np.array(recorded.answers.predicted[name])[recorded.order]
    confidence = np.array(recorded.answers.probability[name])[recorded.order].clip(0.0, 1.0)
    return QueryPredictions(asked, predicted, (predicted == asked.truth).astype(np.float64), confidence)
