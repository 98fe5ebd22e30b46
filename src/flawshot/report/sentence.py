"""The answer in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flawshot.report.tables import percent

if TYPE_CHECKING:
    from flawshot.evaluation.results import Estimate, Results

__all__ = ["reference_of", "sentence"]


def reference_of(results: Results) -> tuple[str, int]:
    """The classifier that others are compared to, and the greatest K it was run at."""
    name = results.comparisons[0].reference if results.comparisons else results.runs[0].classifier
    return name, max(run.shots for run in results.runs if run.classifier == name)


def sentence(results: Results) -> str:
    """How often the reference is right at the greatest K, and how far it lies from the strongest other classifier."""
    name, shots = reference_of(results)
    own = [run for run in results.runs if run.classifier == name and run.shots == shots]
    several = len(own) > 1
    mean = next((each.accuracy for each in results.means if (each.classifier, each.shots) == (name, shots)), None)
    estimate = mean if several and mean is not None else own[0].accuracy
    queries = sum(run.n_query for run in own)
    over = f", on average over {len(own)} products" if several else ""
    said = f"At {shots} shot{'' if shots == 1 else 's'} {name} is right on {_percent(estimate)}"
    product = None if several else own[0].product
    rivals = [each for each in results.comparisons if each.shots == shots and each.product == product]
    said = said.replace(" % [", f" % of {queries} query instances [") + over
    if not rivals:
        return f"{said}."
    best = max(rivals, key=lambda each: each.difference.mean)
    low, high = best.difference.ci95
    gap, ends = -best.difference.mean, (-high, -low)
    if round(100 * gap, 1) == 0:
        return f"{said}, level with {best.classifier} {percent(gap, ends, signed=True).split(' ', 1)[1]}."
    more = "more" if gap > 0 else "fewer"
    if gap < 0:
        gap, ends = -gap, (-ends[1], -ends[0])
    figure, interval = percent(gap, ends).split(" ", 1)
    return f"{said}, {figure} points {more} than {best.classifier} {interval}."


def _percent(estimate: Estimate) -> str:
    figure, interval = percent(estimate.mean, estimate.ci95).split(" ", 1)
    return f"{figure} % {interval}"
