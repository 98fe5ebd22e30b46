"""``flawshot report``, and the report that ``flawshot evaluate`` writes."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.cli.options import GalleryImagesOption, GalleryOption, OverwriteOption

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from flawshot.catalog import Catalog
    from flawshot.evaluation.results import Results

__all__ = ["command_stamp", "open_pictures", "report", "save_report", "stamped"]


def report(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS.json", help="Results written by flawshot evaluate --json.")
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE.html", help="Write a self-contained HTML page.")
    ] = None,
    data: GalleryOption = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write all results as tidy CSV.")] = None,
    images: GalleryImagesOption = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write the accuracies as a Markdown table.")
    ] = None,
    latex: Annotated[
        Path | None, typer.Option("--latex", metavar="FILE", help="Write the accuracies as a LaTeX table.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Turn results into an HTML page, tidy CSV, or tables: one row per product, one column per classifier and K."""
    from flawshot.base.errors import FlawshotError
    from flawshot.base.store.files import write_bytes
    from flawshot.evaluation.results import Results
    from flawshot.report.tables import csv_table, latex_table, markdown_table

    if not any((out, csv, markdown, latex)):
        raise FlawshotError("nothing to write: name a file with --out, --csv, --markdown or --latex")
    if data is not None and out is None:
        raise FlawshotError("--data: is for the page's gallery; name the page with --out FILE.html")
    if images is not None and data is None:
        raise FlawshotError("--images: is for the images of --data DATA; name it, too")
    check_apart([place for place in (results, out, csv, markdown, latex) if place is not None])
    loaded = Results.load(results)
    known = {name for each in loaded.answers for name in each.ids}
    pictures = None if data is None else open_pictures(data, known, images)
    for path, make in ((csv, csv_table), (markdown, markdown_table), (latex, latex_table)):
        if path is not None:
            write_bytes(path, make(loaded).encode("utf-8", "backslashreplace"), overwrite=overwrite)
    if out is not None:
        save_report(loaded, out, pictures, overwrite=overwrite)


def check_apart(places: Sequence[Path]) -> None:
    """Refuse output files that would overwrite each other.

    Raises:
        FlawshotError: If two of them are the same file.
    """
    from flawshot.base.errors import FlawshotError

    resolved = [place.resolve() for place in places]
    for place in resolved:
        if resolved.count(place) > 1:
            raise FlawshotError(f"{place}: is named twice; name a different file for each")


def open_pictures(data: Path, ids: Collection[str], images: Path | None) -> Catalog:
    """Open the data set that the gallery's pictures come from; summarize its problems on standard error.

    Args:
        data: What ``--data`` names.
        ids: Instances that were evaluated; empty if the results do not list them.
        images: What ``--images`` names.

    Raises:
        FlawshotError: If it cannot be read, or contains none of the instances.
    """
    from flawshot.base.errors import FlawshotError
    from flawshot.catalog import Catalog
    from flawshot.cli.console import progress_bar, say_problems

    with progress_bar("files") as progress:
        catalog = Catalog.open(data, images=images, progress=progress)
    if ids and not any(name in catalog.row_of for name in ids):
        raise FlawshotError(
            f"--data {data}: contains none of the evaluated instances, such as {min(ids)}; "
            "name the folder that the bank was made from"
        )
    say_problems(catalog.problems, data)
    return catalog


def save_report(results: Results, path: Path, data: Catalog | None, *, overwrite: bool) -> None:
    """Write the page, and report its path and size."""
    from flawshot.cli.console import say
    from flawshot.report import write_report

    write_report(results, path, data=data, overwrite=overwrite)
    say(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def stamped(results: Results, started: datetime, seconds: float) -> Results:
    """The results with what only the command knows."""
    return results.model_copy(update={"provenance": results.provenance | command_stamp(started, seconds)})


def command_stamp(started: datetime, seconds: float) -> dict[str, str | float]:
    """What only the command knows: its command line, start time and duration."""
    return {
        "command": shlex.join(["flawshot", *sys.argv[1:]]),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
    }
