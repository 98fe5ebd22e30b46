"""``flawshot synth``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flawshot.base.wording import counted
from flawshot.cli.environment import WORKERS

__all__ = ["synth"]


def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    categories: Annotated[
        int,
        typer.Option(
            "--categories", metavar="N", min=1, help="Categories per product; a third of them look alike on purpose."
        ),
    ] = 6,
    images: Annotated[
        int, typer.Option("--images", metavar="N", min=1, help="Images per product, each with one or two instances.")
    ] = 100,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Random seed; each seed draws a different data set.")
    ] = 0,
    size: Annotated[int, typer.Option("--side", "--size", metavar="PX", help="Image side, 64 to 2048 px.")] = 512,
    products: Annotated[int, typer.Option("--products", metavar="N", min=1, help="Number of products.")] = 1,
    surface: Annotated[
        str | None,
        typer.Option("--surface", metavar="NAME", help="Surface, such as brushed-metal or wood; any by default."),
    ] = None,
    flaws: Annotated[
        str | None,
        typer.Option("--flaws", metavar="a,b,…", help="Kinds of flaw, such as scratch,dent,chip; any by default."),
    ] = None,
    good: Annotated[
        int, typer.Option("--good", metavar="N", min=0, help="Further images per product without a flaw.")
    ] = 0,
    workers: Annotated[
        int,
        typer.Option("--workers", metavar="N", min=0, envvar=WORKERS, help="Number of processes; 0: one per core."),
    ] = 0,
) -> None:
    """Draw surfaces with flaws: images with Labelme files, identical for the same options on every machine."""
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
            good=good,
            workers=workers,
            progress=progress,
        )
    for product in drawn:
        names = ", ".join(f"{label} {count}" for label, count in product.instances.items())
        typer.echo(
            f"{out / product.name}: {counted(product.images, 'image')} of {product.surface}, "
            f"{counted(sum(product.instances.values()), 'instance')}: {names}"
            + (f"; {counted(product.good, 'image')} without a flaw" if product.good else "")
        )
