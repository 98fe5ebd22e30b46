"""A comparison of results as tables for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flawshot.base.errors import printable
from flawshot.cli.console import console_width, new_table, plain, print_line, print_table
from flawshot.evaluation.intervals import percent
from flawshot.report.comparison import side_facts

if TYPE_CHECKING:
    from rich.table import Table

    from flawshot.evaluation.compared_records import ComparedResults, ComparedScore
    from flawshot.evaluation.result_records import Estimate

__all__ = ["print_comparison"]

# Columns that a screen has, whatever the terminal's width.
SCREEN = 100
# Characters of a value in the table of what differs.
LONGEST_VALUE = 40


def print_comparison(results: ComparedResults) -> None:
    """Print accuracies and differences by K, classifier and side, then by product, then what the sides are."""
    width = min(console_width(), SCREEN)
    means = results.of(None)
    if means:
        _print_scores(results, means, f"mean of {len(results.products)} products", width)
        _print_products(results, width)
    else:
        for product in results.products:
            _print_scores(results, results.of(product), printable(product), width)
    _print_sides(results, width)
    if results.unshared:
        print_line(f"not compared, because not all sides have it: {', '.join(results.unshared)}", width)


def _print_scores(results: ComparedResults, scores: list[ComparedScore], where: str, width: int) -> None:
    count = max(score.n_query for score in scores)
    title = f"Accuracy, % [95 % interval]: {where}, {count} query instance{'' if count == 1 else 's'}"
    first = f"difference\nfrom {printable(results.names[0], 18)}"
    table = new_table("", "K", "classifier", "side", "accuracy", first, left=3)
    before: tuple[str, str] | None = None  # K and classifier of the row above
    for score in scores:
        for place, side in enumerate(results.names):
            own = score.classifiers[place]
            table.add_row(
                "" if before is not None and score.label == before[0] else score.label,
                plain("" if (score.label, own) == before else own),
                plain(side),
                _shown(score.accuracy[place]),
                _shown(score.difference[place], signed=True),
            )
            before = score.label, own
    _print_titled(title, table, width)


def _print_products(results: ComparedResults, width: int) -> None:
    """Print the differences of the classifiers that the sides name first, by product and K."""
    first = results.scores[0].classifiers
    own = [each for each in results.scores if each.product is not None and each.classifiers == first]
    shots = sorted({each.shots for each in own})
    heads = [f"{results.shots_label(k)}-shot" for k in shots]
    table = new_table("", "product", "side", *heads, left=2)
    for product in results.products:
        by_shots = {each.shots: each for each in own if each.product == product}
        for place, side in list(enumerate(results.names))[1:]:
            cells = [_shown(by_shots[k].difference[place], signed=True) if k in by_shots else "" for k in shots]
            table.add_row(plain(product if place == 1 else ""), plain(side), *cells)
    print_line("", width)
    title = f"{printable(own[0].classifier)}, by product: difference from {printable(results.names[0])}"
    _print_titled(title, table, width)


def _print_sides(results: ComparedResults, width: int) -> None:
    """Print encoder and views of each side, and what else differs."""
    table = new_table("", "", *map(printable, results.names), left=1 + len(results.names))
    for name, values in side_facts(results.sides):
        table.add_row(plain(name), *(plain(printable(value, LONGEST_VALUE)) for value in values))
    for column in table.columns:
        column.no_wrap = False
        column.overflow = "fold"
    print_line("", width)
    _print_titled("What is compared", table, width)


def _print_titled(title: str, table: Table, width: int) -> None:
    table.title, table.show_edge = None, False
    print_line(title, width)
    print_table(table, width)


def _shown(estimate: Estimate | None, *, signed: bool = False) -> str:
    return "" if estimate is None else percent(estimate.mean, estimate.ci95, signed=signed)
