"""Comparisons of results: encoders, view schemes, versions or classifiers on the same episodes."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.evaluation.compared_records import ComparedResults, ComparedScore, ComparedSide
from flawshot.evaluation.comparisons import difference_between, mean_accuracy
from flawshot.evaluation.provenance import INTERVAL
from flawshot.evaluation.recorded_outcomes import recorded_outcomes
from flawshot.evaluation.result_records import joined_support
from flawshot.evaluation.runs import OUTLINE, YARDSTICKS, evaluate_outcomes
from flawshot.evaluation.same_episodes import pair_text, shared_pairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from flawshot.bank.features import FeatureBank
    from flawshot.base.ray_tasks import RayTasks
    from flawshot.classifiers.base import FewShotClassifier
    from flawshot.episodes import EpisodeSet
    from flawshot.evaluation.comparisons import Outcome, Outcomes
    from flawshot.evaluation.results import Results
    from flawshot.evaluation.same_episodes import Pair

__all__ = ["compare_results", "evaluate_banks"]

CHANCE = YARDSTICKS[0]
# One classifier per side.
Contest = tuple[str, ...]


def compare_results(
    results: Sequence[Results] | Mapping[str, Results], classifier: str | Sequence[str] | None = None
) -> ComparedResults:
    """Compare results on the same episodes: paired differences in accuracy, with 95 % intervals.

    The differences and intervals are those that :func:`flawshot.evaluate` gives for classifiers on the same bank: seed
    by seed and query by query, on the same bootstrap draws of query images or groups.

    Args:
        results: Two or more, also by name; without names they are called A, B, C, …. Differences are from the first.
        classifier: A classifier of all of them, or one for each of them, in order. By default the one that each names
            first, its reference, and all that they have in common. Nothing is chosen by how often it is right.

    Returns:
        The scores by product, K and classifier, and their means over products if all have several.

    Raises:
        FlawshotError: If they are not of the same instances, labels, seeds and episodes, one lists only some of its
            answers (then use :func:`flawshot.evaluate_banks`), or a classifier is missing.

    Example:
        ::

            small, large = flawshot.Results.load("small.json"), flawshot.Results.load("large.json")
            compared = flawshot.compare_results({"small": small, "large": large})
            print(compared.scores[0].difference[1])
    """
    sides = _named(results)
    pairs, unshared = shared_pairs(sides)
    contests = _contests(sides, classifier)
    wanted = {name: list(dict.fromkeys(each[place] for each in contests)) for place, name in enumerate(sides)}
    outcomes: list[Outcomes] = [{} for _ in sides]
    for product, shots in pairs:
        for own, made in zip(outcomes, recorded_outcomes(sides, (product, shots), wanted), strict=True):
            own |= {(product, shots, name): outcome for name, outcome in made.items()}
    return _compared(sides, pairs, unshared, contests, outcomes)


def evaluate_banks(
    banks: Mapping[str, FeatureBank],
    episode_sets: Sequence[EpisodeSet],
    classifiers: Sequence[str] | Mapping[str, FewShotClassifier],
    *,
    device: str = "cpu",
    jobs: int = 1,
    on: RayTasks | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Results], ComparedResults]:
    """Evaluate several feature banks of the same instances on the same episodes, and compare them.

    All answers count in the comparison, however many there are.

    Args:
        banks: The banks by name; differences are from the first.
        episode_sets: Episodes verified against each bank's catalog, as :func:`flawshot.read_episodes` does.
        classifiers: As for :func:`flawshot.evaluate`, like the other arguments.
        device: Where trained classifiers given by name are trained.
        jobs: Number of processes.
        on: A Ray cluster.
        progress: Called with the number of episodes done, over all banks and classifiers, and their total.

    Returns:
        Each bank's results, and their comparison.

    Raises:
        FlawshotError: As for :func:`flawshot.evaluate`, if there are fewer than two banks, or the episodes are not of
            a bank's instances and labels.
    """
    if len(banks) < 2:
        raise FlawshotError(f"{argument('banks')}: name at least two to compare")
    for each in episode_sets:
        for name, bank in banks.items():
            if each.product not in bank.catalog.products or bank.catalog.fingerprint(each.product) != each.fingerprint:
                raise FlawshotError(
                    f"{name}: {each.product}: the episodes are of other instances or labels; encode the same data, or "
                    "sample from what all banks have"
                )
    sides: dict[str, Results] = {}
    outcomes: list[Outcomes] = []
    for number, (name, bank) in enumerate(banks.items()):

        def tick(done: int, total: int, before: int = number) -> None:
            if progress is not None:
                progress(before * total + done, len(banks) * total)

        results, made = evaluate_outcomes(
            bank, episode_sets, classifiers, device=device, jobs=jobs, on=on, progress=tick
        )
        sides[name] = results
        outcomes.append(made)
    pairs, unshared = shared_pairs(sides)
    return sides, _compared(sides, pairs, unshared, _contests(sides, None), outcomes)


def _named(results: Sequence[Results] | Mapping[str, Results]) -> dict[str, Results]:
    if isinstance(results, Mapping):
        sides = dict(results)
    else:
        letters = string.ascii_uppercase
        sides = {letters[n] if n < len(letters) else str(n + 1): each for n, each in enumerate(results)}
    if len(sides) < 2:
        raise FlawshotError(f"{argument('results')}: name at least two to compare")
    return sides


def _contests(sides: Mapping[str, Results], wanted: str | Sequence[str] | None) -> list[Contest]:
    """Which classifiers are compared, one per side."""
    if wanted is not None:
        names = [wanted] * len(sides) if isinstance(wanted, str) else list(wanted)
        if len(names) != len(sides):
            raise FlawshotError(
                f"{argument('classifier', ','.join(names))}: name one for all {len(sides)} results, or one for each"
            )
        return [tuple(_found(name, side, results) for name, (side, results) in zip(names, sides.items(), strict=True))]
    own = [{run.classifier: None for run in results.runs} for results in sides.values()]
    common = [name for name in own[0] if name not in {*YARDSTICKS, OUTLINE} and all(name in each for each in own)]
    references = tuple(results.reference for results in sides.values())
    return list(dict.fromkeys([references, *((name,) * len(sides) for name in common)]))


def _found(wanted: str, side: str, results: Results) -> str:
    """The classifier that a name stands for: results show ``default`` together with what it is."""
    names = list(dict.fromkeys(run.classifier for run in results.runs if run.classifier != CHANCE))
    alike = [name for name in names if wanted == name or (name.endswith(")") and wanted in _both(name))]
    if not alike:
        raise FlawshotError(f"{argument('classifier', wanted)}: is not in {side}, which has {', '.join(names)}")
    return wanted if wanted in alike else alike[0]


def _both(name: str) -> tuple[str, str]:
    """The two names of a classifier that is shown with what it stands for.

    >>> _both("default (evidence-ridge)")
    ('default', 'evidence-ridge')
    """
    short, _, full = name.removesuffix(")").partition(" (")
    return short, full


def _compared(
    sides: Mapping[str, Results],
    pairs: Sequence[Pair],
    unshared: Sequence[Pair],
    contests: Sequence[Contest],
    outcomes: Sequence[Outcomes],
) -> ComparedResults:
    """Compare each contest at each product and K, and in the mean over products."""
    scores: list[ComparedScore] = []
    means: list[ComparedScore] = []
    for contest in contests:
        by_shots: dict[int, list[list[Outcome]]] = {}
        for product, shots in pairs:
            keys = [(product, shots, name) for name in contest]
            if all(key in own for key, own in zip(keys, outcomes, strict=True)):
                one = [[own[key]] for key, own in zip(keys, outcomes, strict=True)]
                scores.append(_score(product, contest, one))
                by_shots.setdefault(shots, []).append([each[0] for each in one])
        means += [
            _score(None, contest, [list(side) for side in zip(*several, strict=True)])
            for several in by_shots.values()
            if len(several) > 1
        ]
    if not scores:
        raise FlawshotError(
            f"{' / '.join(dict.fromkeys(contests[0]))}: has no recorded answers at a product and K that all results "
            "have; name another classifier"
        )
    places = {pair: number for number, pair in enumerate(pairs)}
    scores.sort(key=lambda each: places[each.product or "", each.shots])
    return ComparedResults(
        sides=tuple(ComparedSide(name=name, provenance=results.provenance) for name, results in sides.items()),
        scores=(*scores, *sorted(means, key=lambda each: each.shots)),
        unshared=tuple(map(pair_text, unshared)),
        provenance={"flawshot": version("flawshot"), "interval": INTERVAL},
    )


def _score(product: str | None, contest: Contest, outcomes: list[list[Outcome]]) -> ComparedScore:
    """The score of some products: one list of outcomes per side, each in the order of the products."""
    first, *others = outcomes
    return ComparedScore(
        product=product,
        shots=first[0].run.shots,
        support=joined_support(outcome.run.support for outcome in first),
        n_query=sum(outcome.run.n_query for outcome in first),
        classifiers=contest,
        accuracy=tuple(mean_accuracy(own) if product is None else own[0].run.accuracy for own in outcomes),
        difference=(None, *(difference_between(own, first) for own in others)),
    )
