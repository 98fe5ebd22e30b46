"""Whether several results are of the same episodes, without which their accuracies cannot be paired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flawshot.evaluation.result_records import Run
    from flawshot.evaluation.results import Results

__all__ = ["Pair", "pair_text", "recorded_value", "shared_pairs"]

# Product and K.
Pair = tuple[str, int]
AGAIN = "evaluate both on the same episodes"


def shared_pairs(sides: Mapping[str, Results]) -> tuple[list[Pair], list[Pair]]:
    """The products and K that all sides have, and the others.

    Args:
        sides: Results by name.

    Raises:
        FlawshotError: If they share none, or one was evaluated on other data, with other settings, or on other
            episodes.
    """
    runs = {name: _first_runs(results) for name, results in sides.items()}
    (first, base), *others = sides.items()
    everywhere = [pair for pair in runs[first] if all(pair in own for own in runs.values())]
    if not everywhere:
        odd = next(name for name in runs if not set(runs[name]) & set(runs[first]) or name != first)
        raise FlawshotError(
            f"{odd}: has {_listed(runs[odd])}, and {first} {_listed(runs[first])}: they share no product and K; {AGAIN}"
        )
    for name, results in others:
        for pair in everywhere:
            _check((name, results, runs[name][pair]), (first, base, runs[first][pair]))
    all_pairs = dict.fromkeys(pair for own in runs.values() for pair in own)
    return everywhere, [pair for pair in all_pairs if pair not in everywhere]


def _first_runs(results: Results) -> dict[Pair, Run]:
    runs: dict[Pair, Run] = {}
    for run in results.runs:
        runs.setdefault((run.product, run.shots), run)
    return runs


def _listed(pairs: Mapping[Pair, Run]) -> str:
    return ", ".join(map(pair_text, pairs))


def pair_text(pair: Pair) -> str:
    """A product and K in words.

    >>> pair_text(("bolt", 1)), pair_text(("nut", 5))
    ('bolt at 1 shot', 'nut at 5 shots')
    """
    product, shots = pair
    return f"{product} at {shots} shot{'' if shots == 1 else 's'}"


def recorded_value(results: Results, *names: str) -> Any:
    """A value of the provenance, level by level; None if it is not recorded."""
    value: Any = results.provenance
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _check(side: tuple[str, Results, Run], reference: tuple[str, Results, Run]) -> None:
    """Refuse another data set, other seeds, other settings, or other episodes."""
    (name, results, run), (first, base, its) = side, reference
    where = f"{name}: {pair_text((run.product, run.shots))}"
    mine, theirs = (recorded_value(each, "fingerprints", run.product) for each in (results, base))
    if mine is None or theirs is None:
        odd = name if mine is None else first
        raise FlawshotError(f"{odd}: records no fingerprint of {run.product}; {AGAIN}")
    if mine != theirs or run.categories != its.categories:
        raise FlawshotError(
            f"{where}: was evaluated on other instances or labels than {first} (fingerprint {str(mine)[:12]}…, not "
            f"{str(theirs)[:12]}…); {AGAIN}"
        )
    own, other = ([each.seed for each in one.episodes] for one in (run, its))
    if own != other:
        raise FlawshotError(f"{where}: has the seeds {_shown(own)}, and {first} {_shown(other)}; {AGAIN}")
    mine, theirs = (recorded_value(each, "episodes", run.product, str(run.shots)) for each in (results, base))
    if mine is not None and theirs is not None:
        if mine != theirs:
            raise FlawshotError(f"{where}: was asked other episodes than {first} (their hashes differ); {AGAIN}")
        return
    # Files of versions 1 to 4 do not record the episodes' hash; how they were drawn must do.
    mine, theirs = (recorded_value(each, "sampling", run.product) for each in (results, base))
    if mine != theirs:
        raise FlawshotError(f"{where}: its episodes were drawn with other settings than those of {first}; {AGAIN}")


def _shown(seeds: list[int]) -> str:
    if len(seeds) > 3 and seeds == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))
