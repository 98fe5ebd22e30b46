"""All results as tables for the terminal: one row per product or category, one column per classifier and K."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rich.text import Text

from flawshot.base.errors import printable
from flawshot.cli.console import console_width, new_table, print_line, print_table
from flawshot.evaluation.intervals import percent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flawshot.evaluation.result_records import Estimate, Run
    from flawshot.evaluation.results import Results

__all__ = ["FEW", "MARK", "print_wide", "seconds_of"]

# A category with fewer query instances is marked.
FEW = 10
# Follows the name of a transductive classifier.
MARK = "†"
Column = tuple[str, int]


def print_wide(results: Results, *, per_category: bool) -> None:
    """Print accuracy by product, by category, and the paired differences.

    Args:
        results: What to print.
        per_category: Whether categories are printed even if there are several products.
    """
    columns = list(dict.fromkeys((run.classifier, run.shots) for run in results.runs))
    columns.sort(key=lambda column: column[1])
    transductive = _transductive(results.runs)
    products = list(dict.fromkeys(run.product for run in results.runs))
    runs = {(run.product, run.classifier, run.shots): run for run in results.runs}
    notes = [f"{MARK} sees all queries at once (transductive): {', '.join(transductive)}"] if transductive else []

    rows = {product: [_of(runs.get((product, *column))) for column in columns] for product in products}
    if results.means:
        means = {(mean.classifier, mean.shots): _estimate(mean.accuracy) for mean in results.means}
        rows[f"mean of {len(products)}"] = [means.get(column, "") for column in columns]
    _print("Accuracy, % [95 % interval]", "product", columns, rows, transductive, results.shots_label)

    if per_category or len(products) == 1:
        for product in products:
            own = [run for run in results.runs if run.product == product]
            rows = {}
            few = False
            for category in own[0].categories:
                counts = sorted({run.per_category[category].n_query for run in own})  # may differ by K
                few = few or counts[0] < FEW
                shown = "–".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
                named = f"{category} (n={shown}{'*' if counts[0] < FEW else ''})"
                rows[named] = [_category(runs.get((product, *column)), category) for column in columns]
            label = partial(results.shots_label, product=product)
            _print(f"{product}: accuracy by category, %", "category", columns, rows, transductive, label)
            if few:
                notes.append(f"* fewer than {FEW} query instances")
    _print_differences(results, transductive)
    short = sorted({run.shots for run in results.runs if run.support not in {None, (run.shots, run.shots)}})
    notes += [
        f"{results.shots_label(shots)}-shot: some categories have fewer than {shots} support instances; the "
        "fewest and the most of any category are in parentheses"
        for shots in short
    ]
    notes.append(_times(results.runs))
    for note in dict.fromkeys(notes):
        print_line(note)


def _print_differences(results: Results, transductive: list[str]) -> None:
    if not results.comparisons:
        return
    overall = [each for each in results.comparisons if each.product is None] or results.comparisons
    columns = list(dict.fromkeys((each.classifier, each.shots) for each in overall))
    columns.sort(key=lambda column: column[1])
    rows: dict[str, list[str]] = {}
    for product in dict.fromkeys(each.product for each in overall):
        cells = {
            (each.classifier, each.shots): _estimate(each.difference, signed=True)
            for each in overall
            if each.product == product
        }
        rows[product or "mean"] = [cells.get(column, "") for column in columns]
    title = f"Difference from {overall[0].reference}, points [95 % interval]"
    _print(title, "product", columns, rows, transductive, results.shots_label)


def _transductive(runs: Sequence[Run]) -> list[str]:
    return sorted({run.classifier for run in runs if run.transductive})


def _of(run: Run | None) -> str:
    return "" if run is None else _estimate(run.accuracy)


def _category(run: Run | None, category: str) -> str:
    if run is None:
        return ""
    score = run.per_category[category]
    return "–" if score.mean is None or score.ci95 is None else percent(score.mean, score.ci95)


def _estimate(value: Estimate, *, signed: bool = False) -> str:
    return percent(value.mean, value.ci95, signed=signed)


def _print(
    title: str,
    first: str,
    columns: list[Column],
    rows: dict[str, list[str]],
    transductive: list[str],
    label: Callable[[int], str],
) -> None:
    """Print one table, or as many as are needed to fit the width, each with the row labels and for one K."""
    columns = [(f"{name} {MARK}" if name in transductive else name, shots) for name, shots in columns]
    widths = [
        max(len(name), len(label(columns[number][1])) + 5, *(len(cells[number]) for cells in rows.values())) + 3
        for number, (name, _) in enumerate(columns)
    ]
    room = console_width() - max(len(first), *map(len, rows)) - 4
    parts = [list(range(len(columns)))]
    if sum(widths) > room:
        parts = []
        for number, (_, shots) in enumerate(columns):
            fits = (
                parts
                and columns[parts[-1][0]][1] == shots
                and sum(widths[n] for n in parts[-1]) + widths[number] <= room
            )
            if fits:
                parts[-1].append(number)
            else:
                parts.append([number])
    for numbers in parts:
        several = len({columns[number][1] for number in numbers}) > 1
        heads = [f"{columns[n][0]}\n{label(columns[n][1])}-shot" if several else columns[n][0] for n in numbers]
        caption = title if several else f"{title}: {label(columns[numbers[0]][1])}-shot"
        table = new_table(caption, first, *heads)
        table.columns[0].no_wrap = True
        for row, cells in rows.items():
            table.add_row(Text(printable(row)), *(cells[number] for number in numbers))
        print_table(table)


def seconds_of(runs: Sequence[Run]) -> dict[str, float]:
    """Seconds of fitting and predicting over all episodes, by classifier."""
    seconds: dict[str, float] = {}
    for run in runs:
        if run.confusion is not None and run.classifier != "majority":
            spent = sum(episode.fit_seconds + episode.predict_seconds for episode in run.episodes)
            seconds[run.classifier] = seconds.get(run.classifier, 0.0) + spent
    return seconds


def _times(runs: Sequence[Run]) -> str:
    """How long fitting and predicting took over all episodes, slowest classifier first."""
    seconds = seconds_of(runs)
    slowest, *others = sorted(seconds, key=seconds.__getitem__, reverse=True)
    shown = "".join(f", {name} {seconds[name]:.1f} s" for name in others)
    return f"fit and predict, all episodes: {slowest} {seconds[slowest]:.1f} s (the slowest){shown}"
