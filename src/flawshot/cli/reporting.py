"""``flawshot report``, and the report that ``flawshot evaluate`` writes."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.cli.options import GalleryOption, OverwriteOption

if TYPE_CHECKING:
    from datetime import datetime

    from flawshot.evaluation.results import Results

__all__ = ["report", "save_report", "stamped"]


def report(
    results: Annotated[Path, typer.Argument(metavar="RESULTS.json", help="What flawshot evaluate --json wrote.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.html", help="One page to look at.")] = None,
    data: GalleryOption = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="The accuracies as CSV.")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="As a Markdown table.")] = None,
    latex: Annotated[Path | None, typer.Option("--latex", metavar="FILE", help="As a LaTeX table.")] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Turn results into a page to look at, or into tables: a row a product, a column a classifier and K."""
    from flawshot.errors import FlawshotError
    from flawshot.evaluation.results import Results
    from flawshot.files import write_bytes
    from flawshot.report.tables import csv_table, latex_table, markdown_table

    if not any((out, csv, markdown, latex)):
        raise FlawshotError("nothing to write: name a file with --out, --csv, --markdown or --latex")
    loaded = Results.load(results)
    for path, make in ((csv, csv_table), (markdown, markdown_table), (latex, latex_table)):
        if path is not None:
            write_bytes(path, make(loaded).encode("utf-8", "backslashreplace"), overwrite=overwrite)
    if out is not None:
        save_report(loaded, out, data, overwrite=overwrite)


def save_report(results: Results, path: Path, data: Path | None, *, overwrite: bool) -> None:
    """Write the page, and say where it lies."""
    from flawshot.cli.console import say
    from flawshot.report import write_report

    write_report(results, path, data=data, overwrite=overwrite)
    say(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def stamped(results: Results, started: datetime, seconds: float) -> Results:
    """The results with what the command alone knows: its own line, when it began, how long it took."""
    own = {
        "command": shlex.join(["flawshot", *sys.argv[1:]]),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
    }
    return results.model_copy(update={"provenance": results.provenance | own})
