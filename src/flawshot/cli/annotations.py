"""``flawshot check`` and ``flawshot stats``."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.cli.options import (
    DataArgument,
    LayoutOption,
    OverwriteOption,
    ProductOption,
    StrictOption,
    open_data,
    problems_of,
)

if TYPE_CHECKING:
    from rich.text import Text

    from flawshot.stats import StatsRow

__all__ = ["check", "stats"]

SPLITS = ("train", "test", "val", None)


def check(
    data: DataArgument,
    product: ProductOption = None,
    layout: LayoutOption = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the findings as JSON; - prints them.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """List what is wrong or odd in the annotations; exit status 1 if anything is."""
    from flawshot.catalog import Catalog
    from flawshot.cli.console import print_json
    from flawshot.errors import FlawshotError

    if not data.is_dir():
        raise FlawshotError(f"{data}: is not a folder of Labelme files")
    catalog = Catalog.from_folder(data, layout=layout)
    if not len(catalog) and not catalog.problems:
        raise FlawshotError(f"{data}: holds no Labelme file")
    own = catalog.select(product) if product else catalog
    problems = problems_of(own, catalog)
    counts = Counter(problem.kind for problem in problems)
    findings = sorted(problems, key=lambda problem: (problem.kind, problem.file, problem.shape or 0))
    if json is not None:
        print_json([asdict(problem) for problem in findings], json, overwrite=overwrite)
    if json != "-":
        kind = ""
        for problem in findings:
            if problem.kind != kind:
                kind = problem.kind
                typer.echo(f"{kind} ({counts[kind]})")
            typer.echo(f"  {problem.severity}: {problem}")
        typer.echo(f"{len(findings)} findings in the annotations of {len(own)} instances")
    if findings:
        raise typer.Exit(1)


def stats(
    data: DataArgument,
    product: ProductOption = None,
    layout: LayoutOption = None,
    strict: StrictOption = False,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the rows as JSON; - prints them.")
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option("--catalog", metavar="FILE.parquet", help="Write the catalog, too.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Count images and instances per product, category and split."""
    from flawshot.cli.console import print_json, say
    from flawshot.stats import count

    opened = open_data(data, layout, product, strict=strict)
    rows = count(opened)
    if catalog is not None:
        opened.save(catalog, overwrite=overwrite)
        if opened.root is not None and catalog.resolve().parent != opened.root:
            say(f"{catalog}: images are looked for beside it; keep it in {opened.root} if they are needed")
    if json is not None:
        print_json(rows, json, overwrite=overwrite)
    if json != "-":
        _print(rows)
    _hint(rows)


def _print(rows: list[StatsRow]) -> None:
    from flawshot.cli.console import new_table, print_table

    splits = [split for split in SPLITS if any(row["split"] == split for row in rows)]
    names = [split or "no split" for split in splits]
    table = new_table(
        "", "product", "category", *(f"{name} {what}" for name in names for what in ("images", "instances")), left=2
    )
    cells = {(row["product"], row["category"], row["split"]): (row["images"], row["instances"]) for row in rows}
    for product in dict.fromkeys(row["product"] for row in rows):
        categories = sorted(
            {row["category"] for row in rows if row["product"] == product if row["category"] is not None}
        )
        for category in [*categories, None]:
            counts = [str(number) for split in splits for number in cells.get((product, category, split), (0, 0))]
            table.add_row(
                _plain(product), _plain("all" if category is None else category), *counts, end_section=category is None
            )
    print_table(table)


def _plain(text: str) -> Text:
    """Text that rich takes as it stands: labels are data, neither markup nor control characters."""
    from rich.text import Text

    from flawshot.errors import printable

    return Text(printable(text))


def _hint(rows: list[StatsRow]) -> None:
    from flawshot.cli.console import say

    products = dict.fromkeys(row["product"] for row in rows)
    single = [
        product
        for product in products
        if len({row["category"] for row in rows if row["product"] == product} - {None}) == 1
    ]
    if single:
        say(
            f"hint: {', '.join(single[:5])}{' …' if len(single) > 5 else ''} came out with a single category; if these "
            "folders are categories or parts of one product, name the layout, such as --layout '**'"
        )
