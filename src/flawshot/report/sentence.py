"""The main result in one sentence."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from flawshot.base.errors import printable
from flawshot.base.wording import counted
from flawshot.evaluation.intervals import percent

if TYPE_CHECKING:
    from flawshot.evaluation.results import Results

__all__ = ["reference_of", "sentence"]


def reference_of(results: Results) -> tuple[str, int]:
    """The classifier that others are compared with, and the greatest K that most products have for it."""
    name = results.reference
    products = Counter(run.shots for run in results.runs if run.classifier == name)
    return name, max(shots for shots, count in products.items() if count == max(products.values()))


def sentence(results: Results) -> str:
    """How often the reference is right at the greatest K, and its difference from the strongest other classifier.

    With several products it is their mean, in which each has the same weight, however many queries it has.
    """
    name, shots = reference_of(results)
    own = [run for run in results.runs if (run.classifier, run.shots) == (name, shots)]
    all_products = {run.product for run in results.runs}
    mean = next((each.accuracy for each in results.means if (each.classifier, each.shots) == (name, shots)), None)
    several = len(own) > 1 and mean is not None
    estimate = mean if several and mean is not None else own[0].accuracy
    figure, interval = percent(estimate.mean, estimate.ci95).split(" ", 1)
    label = results.shots_label(shots, None if several else own[0].product)
    if label == str(shots):
        learned = f"At {counted(shots, 'shot')}"
    else:
        support = label.partition("(")[2].removesuffix(")").replace("-", " to ")
        learned = f"With {support} examples per category (up to {shots} wanted)"
    said = f"{learned} {printable(name)} is right on {figure} %"
    if several:
        counts = sorted({run.n_query for run in own})
        queries = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        count = f"{len(own)}" if len(own) == len(all_products) else f"{len(own)} of {len(all_products)}"
        said += (
            f" {interval}, the mean over {count} products with {queries} query instances, all products weighted equally"
        )
    else:
        where = "" if len(all_products) == 1 else f" of {printable(own[0].product)}"
        said += f" of {counted(own[0].n_query, 'query instance')}{where} {interval}"
    product = None if several else own[0].product
    rivals = [each for each in results.comparisons if (each.shots, each.product) == (shots, product)]
    if not rivals:
        return f"{said}."
    best = max(rivals, key=lambda each: each.difference.mean)
    rival = printable(best.classifier)
    at_once = any(run.transductive for run in results.runs if run.classifier == best.classifier)
    low, high = best.difference.ci95
    gap, ends = -best.difference.mean, (-high, -low)
    if round(100 * gap, 1) == 0:
        return f"{said}, on par with {rival} {percent(gap, ends, signed=True).split(' ', 1)[1]}."
    more = "more" if gap > 0 else "fewer"
    if gap < 0:
        gap, ends = -gap, (-ends[1], -ends[0])
    figure, interval = percent(gap, ends).split(" ", 1)
    chance = "; the difference may be due to chance" if ends[0] <= 0 <= ends[1] else ""
    aside = " (which sees all queries at once)" if at_once else ""
    return f"{said}, {figure} points {more} than {rival}{aside} {interval}{chance}."
