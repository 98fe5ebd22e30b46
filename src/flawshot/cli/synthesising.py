"""``flawshot synth``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["synth"]


def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder that is not there yet.")],
    categories: Annotated[
        int, typer.Option("--categories", metavar="N", min=1, help="Of each product; a third of them alike on purpose.")
    ] = 6,
    images: Annotated[
        int, typer.Option("--images", metavar="N", min=1, help="Of each product, with one or two instances each.")
    ] = 100,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another one draws another data set.")] = 0,
    size: Annotated[int, typer.Option("--size", metavar="PX", help="Of an image's side: 64 to 2048.")] = 512,
    products: Annotated[int, typer.Option("--products", metavar="N", min=1, help="How many.")] = 1,
    surface: Annotated[
        str | None, typer.Option("--surface", metavar="NAME", help="Such as brushed-metal or wood; any unless given.")
    ] = None,
    flaws: Annotated[
        str | None, typer.Option("--flaws", metavar="a,b,…", help="Kinds such as scratch,dent,chip; any unless given.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=0, help="Processes; 0: one for each core.")] = 0,
) -> None:
    """Draw a data set of surfaces with flaws: images with Labelme files; the same everywhere for the same options."""
    from flawshot.cli.console import progress_bar
    from flawshot.synthetic.data_set import draw_data_set

    with progress_bar("images") as progress:
        drawn = draw_data_set(
            out,
            categories=categories,
            images=images,
            seed=seed,
            side=size,
            products=products,
            surface=surface,
            flaws=None if flaws is None else flaws.split(","),
            workers=workers,
            progress=progress,
        )
    for product in drawn:
        names = ", ".join(f"{label} {count}" for label, count in product.instances.items())
        typer.echo(
            f"{out / product.name}: {product.images} images of {product.surface}, "
            f"{sum(product.instances.values())} instances: {names}"
        )
