"""Results on one screen: classifiers by K, and the strongest one's categories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flawshot.base.errors import printable
from flawshot.base.wording import counted
from flawshot.cli.console import console_width, new_table, plain, print_line, print_table
from flawshot.cli.wide_tables import FEW, MARK, print_wide, seconds_of
from flawshot.evaluation.intervals import percent
from flawshot.report.overview import category_rows, classifier_rows, confusions, strongest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from flawshot.evaluation.result_records import Estimate, Run
    from flawshot.evaluation.results import Results
    from flawshot.report.overview import CategoryRow, CategoryScores, ClassifierRow

__all__ = ["print_results"]

# Columns that a screen has, whatever the terminal's width: longer lines are hard to read.
SCREEN = 100
# Pairs of categories that are named as mistaken for each other.
MISTAKES = 3
# Characters between two columns.
GAP = 3


def print_results(results: Results, *, per_category: bool = False, wide: bool = False) -> None:
    """Print what results say: on one screen by default.

    Args:
        results: What to print.
        per_category: Whether categories are printed even if there are several products.
        wide: Whether to print every classifier's figures for every product and category instead.
    """
    if wide:
        print_wide(results, per_category=per_category)
        return
    width = min(console_width(), SCREEN)
    products = list(dict.fromkeys(run.product for run in results.runs))
    several = len(products) > 1
    if several and not results.means:  # of different classifiers or K
        for product in products:
            _print_product(results, product, width, categories=per_category)
    elif several:
        best = _print_classifiers(results, None, width)
        _print_products(results, products, best, width)
        for product in products if per_category else ():
            _print_categories(results, product, best, width)
    else:
        _print_product(results, products[0], width, categories=True)
    for note in _notes(results, several=several and not per_category):
        print_line(note, width)


def _print_product(results: Results, product: str, width: int, *, categories: bool) -> None:
    best = _print_classifiers(results, product, width)
    if categories:
        _print_categories(results, product, best, width)


def _print_classifiers(results: Results, product: str | None, width: int) -> str:
    """Print one row per K and classifier; return the classifier that is right most often at the greatest K."""
    rows = classifier_rows(results, product)
    own = [run for run in results.runs if product in {None, run.product}]
    counts = {run.product: run.n_query for run in own}  # the same instances at every K but for the support
    shown = sum(counts.values())
    where = f"mean of {len(counts)} products" if product is None else product
    reference = results.comparisons[0].reference if results.comparisons else ""
    title = f"Accuracy, % [95 % interval]: {where}, {counted(shown, 'query instance')}"
    columns = [
        ("accuracy", [_shown(row.accuracy) for row in rows]),
        ("difference", [_difference(row, reference) for row in rows]),
        ("macro\nrecall", [_short(row.macro_recall) for row in rows]),
        ("calibr.\nerror", [_short(row.ece) for row in rows]),
    ]
    columns = [(head, cells) for head, cells in columns if any(cells)]
    classifiers = [row for row in rows if not row.is_baseline]
    names = [_marked(row) for row in classifiers]
    left = (
        2 * GAP + max(1, *(len(row.label) for row in rows)) + max(len(word) for name in names for word in name.split())
    )
    while len(columns) > 1 and left + sum(GAP + _width(head, cells) for head, cells in columns) > width:
        columns.pop()
    table = new_table("", "K", "classifier", *(head for head, _ in columns), left=2)
    table.columns[0].no_wrap = True
    last = None
    for number, row in enumerate(rows):
        if not row.is_baseline:
            table.add_row(
                "" if row.label == last else row.label,
                plain(_marked(row)),
                *(cells[number] for _, cells in columns),
            )
            last = row.label
    _print_titled(title, table, width)
    _print_baselines(rows, width)
    return strongest(rows)


def _print_baselines(rows: Sequence[ClassifierRow], width: int) -> None:
    """Print in one line what is right without learning anything from the images."""
    parts = []
    for name in dict.fromkeys(row.classifier for row in rows if row.is_baseline):
        own = [f"{100 * row.accuracy.mean:.1f}" for row in rows if row.classifier == name]
        parts.append(f"{name} {', '.join(dict.fromkeys(own))}")
    if parts:
        print_line(f"without the images: {'; '.join(parts)}", width)


def _print_products(results: Results, products: Sequence[str], classifier: str, width: int) -> None:
    """Print one classifier's accuracy by product and K; first the product on which it is right least often."""
    runs = {(run.product, run.shots): run for run in results.runs if run.classifier == classifier}
    shots = sorted({k for _, k in runs})

    def accuracy(product: str) -> float:
        run = runs.get((product, shots[-1]))
        return 2.0 if run is None else run.accuracy.mean

    cells = {
        product: [_shown(None if (run := runs.get((product, k))) is None else run.accuracy) for k in shots]
        for product in sorted(products, key=accuracy)
    }
    heads = [f"{results.shots_label(k)}-shot" for k in shots]
    title = f"{printable(classifier)}, the most often right, by product: accuracy, % [95 % interval]"
    _print_by_k(title, "product", cells, heads, width)


def _print_categories(results: Results, product: str, classifier: str, width: int) -> None:
    """Print recall, precision and F1 of each category by K, and what is mistaken for what."""
    rows = category_rows(results, product, classifier)
    runs = sorted(
        (run for run in results.runs if (run.product, run.classifier) == (product, classifier)),
        key=lambda run: run.shots,
    )
    cells = {_counted(row): [_scores(row.scores.get(run.shots)) for run in runs] for row in rows}
    heads = [f"{results.shots_label(run.shots, product)}-shot\n{'recall':^13}{'prec':>4}{'F1':>4}" for run in runs]
    title = f"{printable(product)}: {printable(classifier)}, the most often right, by category, %"
    _print_by_k(title, "category (n)", cells, heads, width)
    pairs = confusions(runs[-1])
    if pairs:
        shown = "; ".join(
            f"{printable(true)} for {printable(other)} ({100 * share:.0f} %)" for true, other, share in pairs[:MISTAKES]
        )
        label = results.shots_label(runs[-1].shots, product)
        print_line(f"most often mistaken at {label}-shot: {shown}", width)
    if any(row.queries[0] < FEW for row in rows):
        print_line(f"* fewer than {FEW} query instances", width)


def _print_by_k(title: str, first: str, cells: dict[str, list[str]], heads: list[str], width: int) -> None:
    """Print a table with one column per K, or as many tables as the width requires."""
    room = width - 2 - max(len(first), *map(len, cells))
    widths = [
        GAP + max(_width(head, ()), *(len(row[number]) for row in cells.values())) for number, head in enumerate(heads)
    ]
    parts: list[list[int]] = []
    for number in range(len(heads)):
        if parts and sum(widths[n] for n in parts[-1]) + widths[number] <= room:
            parts[-1].append(number)
        else:
            parts.append([number])
    for numbers in parts:
        table = new_table("", first, *(heads[n] for n in numbers))
        table.columns[0].no_wrap = room >= max(widths)
        for name, row in cells.items():
            table.add_row(plain(name), *(row[n] for n in numbers))
        print_line("", width)
        _print_titled(title, table, width)


def _print_titled(title: str, table: Table, width: int) -> None:
    table.title, table.show_edge = None, False
    print_line(title, width)
    print_table(table, width)


def _notes(results: Results, *, several: bool) -> list[str]:
    notes = []
    transductive = sorted({run.classifier for run in results.runs if run.transductive})
    if transductive:
        notes.append(f"{MARK} sees all queries at once (transductive): {', '.join(transductive)}")
    if any(run.support not in {None, (run.shots, run.shots)} for run in results.runs):
        notes.append("K (a-b): some categories have fewer than K support instances; from a to b are there")
    more = "all classifiers by product and category: --wide"
    notes.append(f"categories: --per-category; {more}" if several else more)
    notes.append(_time(results.runs))
    return notes


def _time(runs: Sequence[Run]) -> str:
    seconds = seconds_of(runs)
    slowest = max(seconds, key=seconds.__getitem__)
    return f"fit and predict, all episodes: {sum(seconds.values()):.1f} s, of which {slowest} {seconds[slowest]:.1f} s"


def _marked(row: ClassifierRow) -> str:
    return f"{row.classifier} {MARK}" if row.transductive else row.classifier


def _difference(row: ClassifierRow, reference: str) -> str:
    return "(reference)" if row.classifier == reference else _shown(row.difference, signed=True)


def _counted(row: CategoryRow) -> str:
    least, most = row.queries
    count = f"{least}" if least == most else f"{least}–{most}"
    return f"{printable(row.category)} ({count}{'*' if least < FEW else ''})"


def _scores(scores: CategoryScores | None) -> str:
    """Recall with its interval, precision and F1, in whole percents, since there are rarely many queries."""
    if scores is None or scores.recall is None or scores.ci95 is None:
        return ""
    low, high = (f"{100 * end:.0f}" for end in scores.ci95)
    others = (" –" if share is None else f"{100 * share:.0f}" for share in (scores.precision, scores.f1))
    return f"{100 * scores.recall:.0f} [{low}, {high}] {' '.join(f'{each:>3}' for each in others)}"


def _shown(value: Estimate | None, *, signed: bool = False) -> str:
    return "" if value is None else percent(value.mean, value.ci95, signed=signed)


def _short(value: Estimate | None) -> str:
    return "" if value is None else f"{100 * value.mean:.1f}"


def _width(head: str, cells: Sequence[str]) -> int:
    return max(map(len, (*head.split("\n"), *cells)))
