"""``flawshot encode`` and ``flawshot crops``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.wording import counted
from flawshot.cli.encoder_groups import BatchGroup, EncoderGroup, ModelOption, ViewGroup
from flawshot.cli.options import (
    DataArgument,
    ImagesOption,
    LayoutOption,
    NoVerifyOption,
    OverwriteOption,
    ProductOption,
    StrictOption,
    open_data,
)
from flawshot.cli.ray_groups import RayGroup

if TYPE_CHECKING:
    from flawshot.regions.views import ViewScheme

__all__ = ["crops", "encode"]


def encode(
    data: DataArgument,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="BANK", help="The feature bank's folder.")],
    encoder_options: EncoderGroup,
    view_options: ViewGroup,
    batch: BatchGroup,
    cluster: RayGroup,
    prompts: Annotated[
        Path | None,
        typer.Option(
            "--prompts",
            metavar="FILE",
            help="JSON file with the text prompts of the categories; the bank's own, or built-in ones, by default.",
        ),
    ] = None,
    product: ProductOption = None,
    layout: LayoutOption = None,
    images: ImagesOption = None,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
    no_verify: NoVerifyOption = False,
) -> None:
    """Encode the regions into a feature bank; resumes after an interruption and encodes only what is new."""
    from flawshot.bank.builder import encode_catalog
    from flawshot.bank.prompts import read_prompts
    from flawshot.bank.text_encoding import why_no_text
    from flawshot.base.errors import printable
    from flawshot.cli.console import progress_bar, say, say_left_out

    read = None if prompts is None else read_prompts(prompts)
    scheme = view_options.scheme(encoder_options.model)
    at_once = batch.size
    cluster.check(compiled=encoder_options.compile)
    catalog = open_data(data, layout, product, strict=strict, images=images)
    encoder = encoder_options.make(at_once)
    for category in sorted(set(read.categories if read else ()) - set(catalog.column("category"))):
        say(printable(f"{prompts}: categories.{category}: no instance has this label"))
    with cluster.cluster(encoder_options.pretrained) as machines, progress_bar("crops") as progress:
        report = encode_catalog(
            catalog,
            encoder,
            scheme,
            out,
            prompts=read,
            batch_size=at_once,
            workers=batch.workers,
            strict=strict,
            overwrite=overwrite,
            verify=not no_verify,
            progress=progress,
            on=machines,
        )
    for entry in report.left_out:
        say_left_out(entry.reason, len(entry.instances))
    if report.left_out:
        say(
            f"episodes that were sampled from {data} do not match this bank, which lacks these instances; sample "
            f"from the bank: flawshot sample {out} --out DIR"
        )
    for remark in report.remarks:
        say(remark)
    text = report.bank.manifest.text
    if text is None:
        say(f"no text features of the categories: {why_no_text(encoder)}")
    instances, number, tokens, dim = report.bank.manifest.shape
    typer.echo(
        f"{out}: {counted(instances, 'instance')} x {counted(number, 'view')} x {counted(tokens, 'token')} x {dim}; "
        f"{report.encoded} encoded, {report.kept} kept, {sum(len(e.instances) for e in report.left_out)} left out"
        + ("" if text is None else f"; text features of {counted(len(text.rows), 'category', 'categories')}")
    )


def crops(
    data: DataArgument,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for the pictures.")],
    view_options: ViewGroup,
    model: ModelOption = "flawshot-tiny",
    side: Annotated[
        int, typer.Option("--side", metavar="PX", min=16, max=1024, help="Side of a view on the sheet.")
    ] = 160,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Instead of sheets, write each instance's crop and mask as files, and a CSV."),
    ] = False,
    product: ProductOption = None,
    layout: LayoutOption = None,
    images: ImagesOption = None,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Draw what an encoder will see: one contact sheet per instance, with its mask outlined."""
    from flawshot.cli.console import progress_bar, say_left_out
    from flawshot.regions.crop_pictures import write_plain, write_sheets

    scheme = view_options.scheme(model)
    catalog = open_data(data, layout, product, strict=strict, images=images)
    with progress_bar("instances") as progress:
        if plain:
            written, unusable = write_plain(catalog, out, overwrite=overwrite, progress=progress)
        else:
            written, unusable = write_sheets(catalog, scheme, out, side, overwrite=overwrite, progress=progress)
    for reason in unusable:
        say_left_out(reason)
    what = ("crop with its mask", "crops with their masks") if plain else ("contact sheet",)
    shown = "" if plain else f" of {counted(len(scheme.views), 'view')}: {_views_said(view_options, scheme, model)}"
    typer.echo(f"{out}: {counted(written, *what)}{shown}")


def _views_said(given: ViewGroup, scheme: ViewScheme, model: str) -> str:
    """The views by name, and whose they are."""
    sizes = ",".join(map(str, scheme.sizes))
    whose = "as given" if given.given() else f"those of {model}"
    return f"{scheme.name} of {sizes}, {whose}"
