"""``flawshot import``: other people's formats become Labelme files, or a feature bank."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.errors import printable
from flawshot.cli.options import OverwriteOption, with_pixel_limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.base.errors import Problem
    from flawshot.catalog import Catalog
    from flawshot.formats.importing import Imported

__all__ = ["imports"]

OutArgument = Annotated[Path, typer.Argument(metavar="OUT", help="Where the Labelme files go.")]
ImagesOption = Annotated[
    Path | None,
    typer.Option(
        "--images", metavar="DIR", help="Where the images are looked for; beside the annotations unless given."
    ),
]

ProblemsOption = Annotated[
    Path | None,
    typer.Option("--problems", metavar="FILE", help="Write all that is left out or odd to a text file, a line each."),
]

imports = typer.Typer(no_args_is_help=True, help="Turn other formats into Labelme files, or into a feature bank.")


@imports.command("mvtec-fs")
@with_pixel_limit
def mvtec_fs(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The folder that holds MVTec-FS's CONFIG.")],
    out: OutArgument,
    images: ImagesOption = None,
    problems: ProblemsOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """MVTec-FS's tables become Labelme files, and its images, where SRC has them, are copied beside them."""
    from flawshot.cli.console import progress_bar
    from flawshot.formats.mvtec_fs import import_mvtec_fs

    left_out: list[Problem] = []
    missing: list[Problem] = []
    with progress_bar("images") as progress:
        written, found = import_mvtec_fs(
            source, out, images=images, overwrite=overwrite, problems=left_out, missing=missing, progress=progress
        )
    summary = f"{out}: {written} Labelme files, {found} images"
    _tell(left_out, source, problems, summary, missing=missing, overwrite=overwrite)


@imports.command("masks")
@with_pixel_limit
def masks(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="Images with pixel masks: of several products, or of one.")
    ],
    out: OutArgument,
    layout: Annotated[
        str | None,
        typer.Option("--as", metavar="LAYOUT", help="mvtec-ad, mvtec-loco, visa or beside; recognised unless given."),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            metavar="'IMAGES | MASKS'",
            help="Where images and masks lie, such as '{product}/{split}/{category}/{name} | "
            "{product}/ground_truth/{category}/{name}_mask'; * and ** stand for anything; MASKS that end in /* are "
            "several an image, an instance each.",
        ),
    ] = None,
    threshold: Annotated[
        int | None,
        typer.Option(
            "--threshold", metavar="N", min=0, help="Values over it are defect: 127, unless the layout has others."
        ),
    ] = None,
    instance_values: Annotated[
        bool, typer.Option("--instance-values", help="Each value of a mask but 0 is one instance.")
    ] = False,
    min_area: Annotated[
        int, typer.Option("--min-area", metavar="PX", min=1, help="Smaller instances are left out.")
    ] = 1,
    merge_distance: Annotated[
        float,
        typer.Option(
            "--merge-distance", metavar="PX", min=0, help="Connected components nearer than this are one instance."
        ),
    ] = 0.0,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Write masks, not polygons, for all components and not only those with holes."),
    ] = False,
    max_instances: Annotated[
        int,
        typer.Option(
            "--max-instances", metavar="N", min=1, help="Images with more instances are left out: masks of noise."
        ),
    ] = 10_000,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first problem.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="Processes; one for each core unless given.")
    ] = None,
    problems: ProblemsOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Images with pixel masks become Labelme files, one instance a connected component, and are copied beside them."""
    from flawshot.base.errors import FlawshotError
    from flawshot.base.parallel import cores
    from flawshot.cli.console import progress_bar, say
    from flawshot.formats.mask_layouts import MaskLayout
    from flawshot.formats.masks import import_masks

    if pattern is not None:
        if layout is not None:
            raise FlawshotError("--as and --pattern: give one of them")
        MaskLayout.parse(pattern)
    with progress_bar("images") as progress:
        found = import_masks(
            source,
            out,
            layout=layout or pattern,
            threshold=threshold,
            instance_values=instance_values,
            min_area=min_area,
            merge_distance=merge_distance,
            exact=exact,
            max_instances=max_instances,
            strict=strict,
            overwrite=overwrite,
            workers=workers or cores(),
            say=say,
            progress=progress,
        )
    many = "product" if len(found.products) == 1 else f"{len(found.products)} products"
    products = f"{many} {printable(found.product)}"
    names = ", ".join(map(printable, found.categories))
    empty = f"; {found.empty} mask{'' if found.empty == 1 else 's'} without a defect pixel" if found.empty else ""
    good = f" and {found.good} without a defect" if found.good else ""
    summary = (
        f"{out}: {products}, {len(found.categories)} categories ({names}), {found.images} images{good}, "
        f"{found.instances} instances; {found.small} under {min_area} px left out{empty}"
    )
    _tell(found.problems, source, problems, summary, overwrite=overwrite)


@imports.command("mpdd")
@with_pixel_limit
def mpdd(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="The .json file of detailed annotations, or the folder that holds it.")
    ],
    out: OutArgument,
    salvage: Annotated[bool, typer.Option("--salvage", help="Keep the whole records of a damaged file.")] = False,
    images: ImagesOption = None,
    problems: ProblemsOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """MPDD's detailed annotations become Labelme files, a rectangle a box, with the images where they are at hand."""
    from flawshot.base.errors import Problem
    from flawshot.cli.console import progress_bar
    from flawshot.formats.mpdd import import_mpdd

    with progress_bar("records") as progress:
        found = import_mpdd(source, out, salvage=salvage, images=images, overwrite=overwrite, progress=progress)
    lost = [
        Problem(f"{source}: lines {first} to {last}", "lost", "no record that begins here is whole; it is lost")
        for first, last in found.lost
    ]
    whole = "whole records" if salvage else "records"
    places = f", {len(found.lost)} damaged place{'' if len(found.lost) == 1 else 's'}" if salvage else ""
    summary = f"{source}: {found.records} {whole} with {found.boxes} boxes{places}\n{_written(out, found.written)}"
    missing = found.written.missing
    _tell([*lost, *found.written.problems], source, problems, summary, missing=missing, overwrite=overwrite)


@imports.command("coco")
@with_pixel_limit
def coco(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A COCO .json file, or a folder with some in it.")],
    out: OutArgument,
    images: ImagesOption = None,
    problems: ProblemsOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """COCO's polygons, run lengths and boxes become Labelme files, with the images where they are at hand."""
    from flawshot.cli.console import progress_bar
    from flawshot.formats.coco import import_coco

    with progress_bar("images") as progress:
        written = import_coco(source, out, images=images, overwrite=overwrite, progress=progress)
    _tell(written.problems, source, problems, _written(out, written), missing=written.missing, overwrite=overwrite)
    _stop_if_useless(written)


@imports.command("voc")
@with_pixel_limit
def voc(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A folder with Pascal VOC's .xml files in it.")],
    out: OutArgument,
    images: ImagesOption = None,
    problems: ProblemsOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Pascal VOC's boxes become Labelme files, with the images where they are at hand."""
    from flawshot.cli.console import progress_bar
    from flawshot.formats.voc import import_voc

    with progress_bar("files") as progress:
        written = import_voc(source, out, images=images, overwrite=overwrite, progress=progress)
    _tell(written.problems, source, problems, _written(out, written), missing=written.missing, overwrite=overwrite)
    _stop_if_useless(written)


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
    from flawshot.bank.mvrec_bank import import_mvrec_features

    bank = import_mvrec_features(
        source, out, _annotations(annotations), encoder=encoder, views=views, overwrite=overwrite
    )
    instances, count, tokens, dim = bank.manifest.shape
    typer.echo(
        f"{out}: {instances} instances of {', '.join(bank.catalog.products)}: {count} views x {tokens} tokens x {dim}"
    )


def _tell(
    found: Sequence[Problem],
    source: Path,
    file: Path | None,
    summary: str,
    *,
    missing: Sequence[Problem] = (),
    overwrite: bool,
) -> None:
    """Say problems and summary; the file of all problems comes last, for what is done must be said if it fails."""
    from flawshot.cli.console import say, say_problems, write_problems

    say_problems(found, source, remedy="--problems FILE writes all" if file is None else f"all go to {file}")
    if missing:
        count = "1 image is" if len(missing) == 1 else f"{len(missing)} images are"
        first = missing[0].message.partition(" is not found")[0].removeprefix("the image ")
        example = first if len(missing) == 1 else f"such as {first}"
        say(printable(f"{count} not found, {example}; their folder is named with --images DIR"))
    typer.echo(summary)
    if file is not None:
        write_problems([*found, *missing], file, overwrite=overwrite)


def _stop_if_useless(written: Imported) -> None:
    """End with exit status 1 where a file's annotations were all unusable."""
    from flawshot.cli.console import say

    for name in written.useless:
        say(printable(f"{name}: none of its annotations can be used"))
    if written.useless:
        raise typer.Exit(1)


def _written(out: Path, written: Imported) -> str:
    products = ", ".join(printable(product) for product in written.products)
    return (
        f"{out}: {written.files} Labelme files with {written.instances} instances, {written.images} images; "
        f"products: {products or 'none'}"
    )


def _annotations(place: Path) -> Catalog:
    from flawshot.base.errors import FlawshotError
    from flawshot.catalog import Catalog
    from flawshot.cli.console import say_problems
    from flawshot.formats.mvtec_fs import find_config, read_mvtec_fs

    try:
        find_config(place)
    except FlawshotError:
        catalog = Catalog.open(place)
        say_problems([problem for problem in catalog.problems if problem.kind != "missing-image"], place)
        return catalog
    return Catalog.from_annotations(read_mvtec_fs(place))
