"""``flawshot stats``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    from flawshot.inspect.stats import SizeRow, StatsRow

__all__ = ["stats"]

SPLITS = ("train", "test", "val", None)


def stats(
    data: DataArgument,
    product: ProductOption = None,
    layout: LayoutOption = None,
    images: ImagesOption = None,
    strict: StrictOption = False,
    json: RowsOption = None,
    catalog: Annotated[
        Path | None, typer.Option("--catalog", metavar="FILE.parquet", help="Also write the catalog.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Plot one bar per category and a size histogram: .svg, .png or .pdf."
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Count images and instances per product, category and split, and measure the instances."""
    from flawshot.cli.console import print_json, say
    from flawshot.inspect.stats import count_instances, measure_sizes

    if plot is not None:
        from flawshot.inspect.stats_plot import check_suffix

        check_suffix(plot)
    opened = open_data(data, layout, product, strict=strict, images=images, geometry=catalog is not None)
    rows, sizes = count_instances(opened), measure_sizes(opened)
    if catalog is not None:
        opened.save(catalog, overwrite=overwrite)
        if opened.images is not None:
            say(f"{catalog}: images are looked up relative to this file; add --images {opened.images} where it is read")
        elif opened.root is not None and catalog.resolve().parent != opened.root:
            say(f"{catalog}: images are looked up relative to this file; keep it in {opened.root} if you need them")
    if json is not None:
        print_json(_documents(rows, sizes), json, overwrite=overwrite)
    if plot is not None:
        from flawshot.inspect.stats_plot import write_plot

        for remark in write_plot(opened, plot, overwrite=overwrite):
            say(remark)
    if json != "-":
        _print(rows)
        _print_sizes(sizes)
    _hint(rows)


def _print(rows: list[StatsRow]) -> None:
    from flawshot.cli.console import new_table, plain, print_table

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
                plain(product), plain("all" if category is None else category), *counts, end_section=category is None
            )
    print_table(table)


def _print_sizes(sizes: list[SizeRow]) -> None:
    """One row per product: how large its instances are, and how many an image has."""
    from flawshot.cli.console import new_table, plain, print_table

    heads = ("area, px", "box width, px", "box height, px")
    table = new_table(
        "Sizes: min, 25 %, median, 75 %, max", "product", *heads, "instances per image: mean, max", left=1
    )
    for row in sizes:
        if row["every_split"]:
            per_image = row["instances_an_image"]
            sizes_of = (row["area"], row["width"], row["height"])
            cells = [" ".join(f"{value:.10g}" for value in quantiles.values()) for quantiles in sizes_of]
            table.add_row(plain(row["product"]), *cells, f"{per_image['mean']:.2f}  {per_image['max']}")
    print_table(table)


def _documents(rows: list[StatsRow], sizes: list[SizeRow]) -> list[dict[str, Any]]:
    """The rows for JSON: counts and sizes; a product's totals also have its sizes over all splits."""
    place = {"product", "split", "category", "every_split"}
    by_row = {
        (row["product"], row["split"], row["category"], row["every_split"]): {
            name: value for name, value in row.items() if name not in place
        }
        for row in sizes
    }
    documents: list[dict[str, Any]] = []
    for row in rows:
        documents.append({**row, "sizes": by_row[row["product"], row["split"], row["category"], False]})
        if row["category"] is None:
            documents[-1]["product_sizes"] = by_row[row["product"], None, None, True]
    return documents


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
            f"hint: only one category found in {', '.join(single[:5])}{' …' if len(single) > 5 else ''}; if these "
            "folders are categories or parts of one product, name the layout, such as --layout '**'"
        )
