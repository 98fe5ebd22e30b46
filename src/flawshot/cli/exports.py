"""``flawshot export``: a catalog becomes other people's formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flawshot.cli.options import (
    DataArgument,
    LayoutOption,
    OverwriteOption,
    ProductOption,
    StrictOption,
    open_data,
    with_pixel_limit,
)

__all__ = ["exports"]

exports = typer.Typer(no_args_is_help=True, help="Turn Labelme files into other formats.")


@exports.command("masks")
@with_pixel_limit
def masks(
    data: DataArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Where the masks go.")],
    product: ProductOption = None,
    layout: LayoutOption = None,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Write OUT/<product>/ground_truth/<category>/<name>_mask.png, 255 where a defect is and 0 elsewhere."""
    from flawshot.formats.mask_export import export_masks

    catalog = open_data(data, layout, product, strict=strict)
    found = export_masks(catalog, out, overwrite=overwrite)
    typer.echo(f"{out}: {found} masks of {len(catalog)} instances")


@exports.command("detailed")
@with_pixel_limit
def detailed(
    data: DataArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT.json", help="The file to write.")],
    product: ProductOption = None,
    layout: LayoutOption = None,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Write detailed annotations as MPDD's: boxes, number, size, and a description in words, a record an image."""
    from flawshot.formats.detailed import write_detailed

    catalog = open_data(data, layout, product, strict=strict)
    records = write_detailed(catalog, out, overwrite=overwrite)
    typer.echo(f"{out}: {records} records of {len(catalog)} instances")
