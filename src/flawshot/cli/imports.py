"""``flawshot import``: other people's formats become Labelme files, or a feature bank."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.cli.options import OverwriteOption

if TYPE_CHECKING:
    from flawshot.catalog import Catalog

__all__ = ["imports"]

imports = typer.Typer(no_args_is_help=True, help="Turn other formats into Labelme files, or into a feature bank.")


@imports.command("mvtec-fs")
def mvtec_fs(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The folder that holds MVTec-FS's CONFIG.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Where the Labelme files go.")],
    overwrite: OverwriteOption = False,
) -> None:
    """MVTec-FS's tables become Labelme files, and its images, where SRC has them, are copied beside them."""
    from flawshot.formats.mvtec_fs import import_mvtec_fs

    written, found = import_mvtec_fs(source, out, overwrite=overwrite)
    typer.echo(f"{out}: {written} Labelme files, {found} images")


@imports.command("masks")
def masks(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="<category>/…/<name>.jpg with its mask <name>.png beside.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Where the Labelme files go.")],
    min_area: Annotated[
        int, typer.Option("--min-area", metavar="PX", min=1, help="Smaller connected components are left out.")
    ] = 1,
    overwrite: OverwriteOption = False,
) -> None:
    """Images with pixel masks become Labelme files, one instance a connected component, and are copied beside them."""
    from flawshot.cli.console import say_problems
    from flawshot.formats.masks import import_masks

    found = import_masks(source, out, min_area=min_area, overwrite=overwrite)
    say_problems(found.problems, source)
    names = ", ".join(found.categories)
    typer.echo(
        f"{out}: product {found.product}, {len(found.categories)} categories ({names}), {found.images} images, "
        f"{found.instances} instances; {found.small} components under {min_area} px left out"
    )


@imports.command("mvrec-features")
def mvrec_features(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="A folder with <product>_support.pt and <product>_query.pt.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The feature bank's folder.")],
    annotations: Annotated[
        Path,
        typer.Option(
            "--annotations",
            metavar="DATA",
            help="The products' Labelme files, or MVTec-FS's CONFIG: they give the ids.",
        ),
    ],
    encoder: Annotated[
        str, typer.Option("--encoder", metavar="NAME", help="Who computed the features, for the record.")
    ] = "AlphaCLIP ViT-L/14",
    views: Annotated[str, typer.Option("--views", metavar="NAME", help="The view scheme they are of.")] = "mso",
    overwrite: OverwriteOption = False,
) -> None:
    """The features that MVREC released, or its code wrote, become a feature bank."""
    from flawshot.mvrec_bank import import_mvrec_features

    bank = import_mvrec_features(
        source, out, _annotations(annotations), encoder=encoder, views=views, overwrite=overwrite
    )
    instances, count, tokens, dim = bank.manifest.shape
    typer.echo(
        f"{out}: {instances} instances of {', '.join(bank.catalog.products)}: {count} views x {tokens} tokens x {dim}"
    )


def _annotations(place: Path) -> Catalog:
    from flawshot.catalog import Catalog
    from flawshot.cli.console import say_problems
    from flawshot.errors import FlawshotError
    from flawshot.formats.mvtec_fs import find_config, read_mvtec_fs

    try:
        find_config(place)
    except FlawshotError:
        catalog = Catalog.open(place)
        say_problems([problem for problem in catalog.problems if problem.kind != "missing-image"], place)
        return catalog
    return Catalog.from_annotations(read_mvtec_fs(place))
