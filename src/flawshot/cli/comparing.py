"""``flawshot compare``, and what ``flawshot evaluate`` does with several feature banks."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flawshot.cli.options import OverwriteOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.evaluation.compared_records import ComparedResults
    from flawshot.evaluation.results import Results

__all__ = ["check_places", "compare", "print_and_write", "results_files", "side_names"]


def compare(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULTS.json", help="Two or more files written by flawshot evaluate --json."),
    ],
    classifier: Annotated[
        str | None,
        typer.Option(
            "--classifier",
            metavar="NAME",
            help="Only this classifier, or one for each file: NAME,NAME,…. By default the one that each file names "
            "first, and all that they have in common.",
        ),
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the comparison as JSON; - prints it.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write it as tidy CSV.")] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.html", help="Write it as a self-contained HTML page.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Compare results on the same episodes: paired differences from the first file, with intervals."""
    from flawshot.base.errors import FlawshotError
    from flawshot.evaluation import Results, compare_results

    if len(results) < 2:
        raise FlawshotError("name at least two results files to compare")
    place = None if json in {None, "-"} else Path(str(json))
    check_places([each for each in (place, csv, report) if each is not None], overwrite=overwrite, also=results)
    loaded = [Results.load(path) for path in results]
    names = None if classifier is None else [name.strip() for name in classifier.split(",")]
    chosen = names[0] if names is not None and len(names) == 1 else names
    compared = compare_results(dict(zip(side_names(results), loaded, strict=True)), chosen)
    print_and_write(compared, "-" if json == "-" else place, csv, report, overwrite=overwrite)


def check_places(places: Sequence[Path], *, overwrite: bool, also: Sequence[Path] = ()) -> None:
    """Refuse, before the work, output files that exist, are named twice, or are among those that are read."""
    from flawshot.base.errors import FlawshotError
    from flawshot.base.store.together import undo_half
    from flawshot.cli.reporting import check_apart

    check_apart([*places, *{path.resolve(): path for path in also}.values()])
    undo_half(places)
    for place in places:
        if place.is_dir():
            raise FlawshotError(f"{place}: is a folder; name a file")
        if place.exists() and not overwrite:
            raise FlawshotError(f"{place}: exists; name another file, move it away, or add --overwrite")


def side_names(paths: Sequence[Path]) -> list[str]:
    """Short names for files or folders: their stems, with as many of their folders as make them differ.

    >>> side_names([Path("a.json"), Path("b.json")])
    ['a', 'b']
    >>> side_names([Path("old/results.json"), Path("new/results.json"), Path("new/results.json")])
    ['old/results', 'new/results', 'new/results (2)']
    """
    whole = [path.resolve() for path in paths]
    parts = [(*path.parts[:-1], path.stem if path.suffix == ".json" else path.name) for path in whole]
    deepest = max(map(len, parts))
    length = next(n for n in count(1) if n >= deepest or len({own[-n:] for own in parts}) == len(set(parts)))
    names: list[str] = []
    for own in parts:
        name = "/".join(own[-length:])
        again = (f"{name} ({n})" for n in count(2))
        names.append(name if name not in names else next(other for other in again if other not in names))
    return names


def results_files(folder: Path, sides: Sequence[str]) -> dict[str, Path]:
    """The file of each bank's results in a folder, by the bank's name; the comparison's is that of the empty name."""
    files = {side: folder / f"{side.replace('/', '-')}.json" for side in sides}
    return files | {"": folder / "comparison.json"}


def print_and_write(
    compared: ComparedResults,
    json: Path | Literal["-"] | None,
    csv: Path | None,
    report: Path | None,
    *,
    more: Mapping[Path, Results] | None = None,
    overwrite: bool,
) -> None:
    """Print a comparison, and write all of its files, or none.

    Args:
        compared: The comparison.
        json: Where its JSON goes; ``-`` prints it instead of the tables.
        csv: Where its table goes.
        report: Where its page goes.
        more: Further results and where they go.
        overwrite: Whether existing files may be replaced.
    """
    from flawshot.base.store.files import json_bytes
    from flawshot.base.store.together import write_together
    from flawshot.cli.comparison_tables import print_comparison
    from flawshot.cli.console import print_json, say
    from flawshot.report.comparison import make_comparison_page
    from flawshot.report.tables import compared_csv

    if json == "-":
        print_json(compared.model_dump(mode="json"), json, overwrite=overwrite)
    else:
        print_comparison(compared)
    contents = {place: json_bytes(each.model_dump(mode="json"), place) for place, each in (more or {}).items()}
    if isinstance(json, Path):
        contents[json] = json_bytes(compared.model_dump(mode="json"), json)
    if csv is not None:
        contents[csv] = compared_csv(compared).encode("utf-8", "backslashreplace")
    if report is not None:
        contents[report] = make_comparison_page(compared)
    write_together(contents, overwrite=overwrite)
    if report is not None:
        say(f"{report}: {len(contents[report]) / 1e3:.0f} kB")
