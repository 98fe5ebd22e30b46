"""Results as tables for other programs: all as tidy CSV, and accuracies by product for documents."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from flawshot.base.errors import printable
from flawshot.evaluation.intervals import percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.evaluation.compared_records import ComparedResults
    from flawshot.evaluation.language_results import LanguageResults
    from flawshot.evaluation.result_records import Estimate
    from flawshot.evaluation.results import Results

__all__ = ["compared_csv", "csv_table", "language_csv", "latex_table", "markdown_table"]

# Characters that start a formula in a spreadsheet; some programs treat the full-width forms alike.
FORMULAS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def _cells(results: Results) -> tuple[list[tuple[str, int]], dict[str, list[Estimate | None]]]:
    """Columns (classifier, K) by increasing K, and each row's estimates, with the mean over products last."""
    columns = sorted(dict.fromkeys((run.classifier, run.shots) for run in results.runs), key=lambda each: each[1])
    runs = {(run.product, run.classifier, run.shots): run.accuracy for run in results.runs}
    rows = {
        product: [runs.get((product, *column)) for column in columns]
        for product in dict.fromkeys(run.product for run in results.runs)
    }
    if results.means:
        means = {(mean.classifier, mean.shots): mean.accuracy for mean in results.means}
        rows[f"mean of {len(rows)}"] = [means.get(column) for column in columns]
    return columns, rows


def csv_table(results: Results) -> str:
    """All results as tidy CSV, as :meth:`flawshot.evaluation.results.Results.to_arrow` has them; null is empty."""
    out = io.StringIO(newline="")
    table = results.to_arrow()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in table.to_pylist():
        writer.writerow([_inert(cell) if isinstance(cell, str) else cell for cell in row.values()])
    return out.getvalue()


def compared_csv(results: ComparedResults) -> str:
    """A comparison as tidy CSV: one row per product, K, classifier and side; the product is empty for the mean."""
    rows = []
    for score in results.scores:
        least, most = score.support or (None, None)
        for place, side in enumerate(results.names):
            accuracy, difference = score.accuracy[place], score.difference[place]
            rows.append(
                {
                    "product": score.product,
                    "shots": score.shots,
                    "support_least": least,
                    "support_most": most,
                    "n_query": score.n_query,
                    "side": side,
                    "classifier": score.classifiers[place],
                    **_columns("accuracy", accuracy),
                    **_columns("difference", difference),
                }
            )
    return _written(rows)


def language_csv(results: LanguageResults) -> str:
    """A model's answers as tidy CSV: one row per product, kind, category and score; empty for all together."""
    rows = []
    for run in results.runs:
        for name, score in run.scores.items():
            low, high = score.ci95 or (None, None)
            rows.append(
                {
                    "product": run.product,
                    "kind": run.kind,
                    "category": run.category,
                    "questions": run.n_questions,
                    "images": run.n_images,
                    "answered": run.n_answered,
                    "read": run.n_read,
                    "score": name,
                    "n": score.n,
                    "value": score.mean,
                    "low": low,
                    "high": high,
                    "reference": score.reference,
                }
            )
    return _written(rows)


def _written(rows: Sequence[Mapping[str, str | float | None]]) -> str:
    """Rows as CSV, with the first one's keys as the header."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow([_inert(cell) if isinstance(cell, str) else cell for cell in row.values()])
    return out.getvalue()


def _columns(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    mean, (low, high) = (None, (None, None)) if estimate is None else (estimate.mean, estimate.ci95)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def markdown_table(results: Results) -> str:
    """A GitHub-style table of accuracies in percent with 95 % intervals."""
    columns, rows = _cells(results)
    lines = [["product", *(_markdown(f"{name} {results.shots_label(shots)}-shot") for name, shots in columns)]]
    lines.append(["---", *("---:" for _ in columns)])
    lines += [[_markdown(product), *(_shown(cell) for cell in cells)] for product, cells in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def latex_table(results: Results) -> str:
    """A ``tabular`` of accuracies in percent with 95 % intervals."""
    columns, rows = _cells(results)
    lines = [["product", *(_latex(f"{name} {results.shots_label(shots)}-shot") for name, shots in columns)]]
    lines += [[_latex(product), *(_shown(cell) for cell in cells)] for product, cells in rows.items()]
    # In braces, so that \\ does not take the next row's opening bracket for its optional argument.
    body = [f"{' & '.join(f'{{{cell}}}' for cell in line)} \\\\\n" for line in lines]
    head = f"\\begin{{tabular}}{{l{'r' * len(columns)}}}\n\\hline\n"
    return f"{head}{body[0]}\\hline\n{''.join(body[1:])}\\hline\n\\end{{tabular}}\n"


def _shown(estimate: Estimate | None) -> str:
    return "" if estimate is None else percent(estimate.mean, estimate.ci95)


def _inert(text: str) -> str:
    """Text that no spreadsheet takes for a formula, even after leading blanks, or for a line break."""
    text = text.replace("\r", "\\r")  # the csv module does not quote it
    return f"'{text}" if text.lstrip().startswith(FORMULAS) or text[:1] in {"\t", "\n"} else text


def _markdown(text: str) -> str:
    """Text escaped so that it is not markup, a formula, a mention or a link, not even as a bare address."""
    escaped = re.sub(r"([\\`*_\[\]<>|&~$@#!:])", r"\\\1", printable(text))
    return escaped.replace("www.", r"www\.")


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in printable(text))
