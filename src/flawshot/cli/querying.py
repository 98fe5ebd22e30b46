"""``flawshot query``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flawshot.base.wording import counted
from flawshot.cli.options import (
    DataArgument,
    ImagesOption,
    LayoutOption,
    OverwriteOption,
    ProductOption,
    RowsOption,
    StrictOption,
    open_data,
)

if TYPE_CHECKING:
    from flawshot.catalog import Catalog

__all__ = ["CropsOption", "LimitOption", "print_hits", "query", "row_documents", "write_crops"]

# Rows that the table shows without --limit.
SHOWN = 50
LimitOption = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=1, help="List at most the first N instances.")
]
CropsOption = Annotated[
    Path | None,
    typer.Option("--crops", metavar="DIR", help="Write each instance's crop and mask as pictures to this folder."),
]


def query(
    data: DataArgument,
    where: Annotated[
        str,
        typer.Argument(
            metavar="WHERE",
            help="An SQL condition on the catalog's columns, such as \"area > 5000 and split = 'test'\".",
        ),
    ],
    limit: LimitOption = None,
    crops: CropsOption = None,
    json: RowsOption = None,
    product: ProductOption = None,
    layout: LayoutOption = None,
    images: ImagesOption = None,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """List the instances that match a condition."""
    import pyarrow as pa

    from flawshot.cli.console import print_json
    from flawshot.inspect.query import Condition, query_rows

    condition = Condition.parse(where)
    geometry = crops is not None or "geometry" in condition.columns
    catalog = open_data(data, layout, product, strict=strict, images=images, geometry=geometry)
    rows = query_rows(catalog, condition)
    hits = catalog.with_rows(catalog.table.take(pa.array(rows[:limit], pa.int64())))
    if crops is not None:
        write_crops(hits, crops, overwrite=overwrite)
    if json is not None:
        print_json(row_documents(hits), json, overwrite=overwrite)
    if json != "-":
        print_hits(hits, every=limit is not None)
        left_out = "" if len(hits) == len(rows) else f", of which the first {len(hits)} are used"
        typer.echo(f"{len(rows)} of {counted(len(catalog), 'instance')}{left_out}")


def write_crops(hits: Catalog, out: Path, *, overwrite: bool) -> None:
    """Write the crops and masks of instances as pictures; those that cannot be read are reported."""
    from flawshot.base.errors import FlawshotError
    from flawshot.cli.console import progress_bar, say, say_left_out, shown_of
    from flawshot.regions.crop_pictures import write_plain

    if hits.image_root is None:
        raise FlawshotError("--crops: the folder of the images is unknown; query the data folder itself")
    with progress_bar("instances") as progress:
        written, unusable = write_plain(hits, out, overwrite=overwrite, progress=progress)
    first = shown_of(len(unusable), 3)
    for reason in unusable[:first]:
        say_left_out(reason)
    if more := len(unusable) - first:
        say(f"left out: {more} more", left_out=more)
    say(f"{out}: {counted(written, 'crop')}")


def row_documents(hits: Catalog) -> list[dict[str, Any]]:
    """The rows for JSON: all columns except the geometry, plus the width and height of the box."""
    import json

    names = [name for name in hits.table.column_names if name != "geometry"]
    return [
        row | {"flags": json.loads(row["flags"]), "width": row["x1"] - row["x0"], "height": row["y1"] - row["y0"]}
        for row in hits.table.select(names).to_pylist()
    ]


def print_hits(hits: Catalog, *, every: bool) -> None:
    """Print a table of instances; the first ones unless ``every``."""
    from flawshot.cli.console import new_table, plain, print_table

    shown = hits.table if every else hits.table.slice(0, SHOWN)
    table = new_table("", "id", "product", "split", "category", "box (x0 y0 x1 y1)", "area, px", left=4)
    names = ["id", "product", "split", "category", "x0", "y0", "x1", "y1", "area"]
    for row in shown.select(names).to_pylist():
        box = " ".join(str(row[name]) for name in ("x0", "y0", "x1", "y1"))
        texts = (row["id"], row["product"], row["split"] or "", row["category"])
        table.add_row(*map(plain, texts), box, str(row["area"]))
    if len(hits):
        print_table(table)
    if shown.num_rows < len(hits):
        typer.echo(f"… and {len(hits) - shown.num_rows} more; --limit or --json shows more of them")
