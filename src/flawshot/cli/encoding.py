"""``flawshot encode`` and ``flawshot crops``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flawshot.cli.options import (
    DataArgument,
    LayoutOption,
    NoVerifyOption,
    OverwriteOption,
    ProductOption,
    StrictOption,
    open_data,
)

if TYPE_CHECKING:
    from flawshot.encoders.base import BaseEncoder
    from flawshot.regions.views import ViewScheme

__all__ = ["crops", "crops_at_once", "encode", "encode_scheme", "make_encoder"]

ViewsOption = Annotated[
    str,
    typer.Option(
        "--views", metavar="NAME", help="View scheme: none ms mo mr mf mso msf msr mor mso_bbox centre3 cross15."
    ),
]
SizeOption = Annotated[
    str | None,
    typer.Option(
        "--view-size", metavar="S,…", help="Crop sizes: px, such as 256,384,512, or times the box, such as 1x,1.5x,2x."
    ),
]
BorderOption = Annotated[
    Literal["zero", "reflect", "shift"],
    typer.Option("--border", help="Beyond the image: zero as MVREC, reflect it, or shift the crop inside."),
]

ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        help="flawshot-tiny, an open_clip model, as ViT-B-32, or an installed package's.",
    ),
]
PretrainedOption = Annotated[
    str | None,
    typer.Option(
        "--pretrained",
        metavar="TAG|FILE",
        help="One of its tags (downloaded once), or a local file; flawshot-tiny brings its own.",
    ),
]
RegionOption = Annotated[
    Literal["crop", "masked", "mask-pool", "alpha"] | None,
    typer.Option(
        "--region",
        help="How the mask enters: not at all, background dimmed, tokens inside it, as a channel (AlphaCLIP).",
        show_default="crop; alpha for flawshot-tiny",
    ),
]
LayerOption = Annotated[
    Literal["projection", "trunk"] | None,
    typer.Option(
        "--layer",
        help="CLIP's shared space, or what stands before it.",
        show_default="projection; trunk for flawshot-tiny",
    ),
]
PatchTokensOption = Annotated[
    int, typer.Option("--patch-tokens", metavar="N", min=0, help="Patch tokens nearest to the first, beside it.")
]
ActivationOption = Annotated[
    Literal["gelu", "quickgelu"] | None, typer.Option("--activation", help="That of a local file's weights.")
]
EncodeViewsOption = Annotated[
    str | None,
    typer.Option(
        "--views",
        metavar="NAME",
        help="View scheme: none ms mo mr mf mso msf msr mor mso_bbox centre3 cross15.",
        show_default="mso; for flawshot-tiny centre3 of 1.5x,2x,3x",
    ),
]
DeviceOption = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, ….")]
PrecisionOption = Annotated[
    Literal["auto", "float32", "float16", "bfloat16"],
    typer.Option("--precision", help="Of the arithmetic; auto: float16 on a GPU, float32 elsewhere."),
]
BatchSizeOption = Annotated[str, typer.Option("--batch-size", metavar="N|auto", help="Crops at once.")]
WorkersOption = Annotated[
    int, typer.Option("--workers", metavar="N", min=0, help="Threads that decode and crop; 0: as many as cores.")
]


def encode(
    data: DataArgument,
    out: Annotated[Path, typer.Option("--out", metavar="BANK", help="The feature bank's folder.")],
    model: ModelOption = "flawshot-tiny",
    pretrained: PretrainedOption = None,
    region: RegionOption = None,
    layer: LayerOption = None,
    patch_tokens: PatchTokensOption = 0,
    activation: ActivationOption = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            "--prompts", metavar="FILE", help="What the text tower reads of the categories, as JSON; else as before."
        ),
    ] = None,
    views: EncodeViewsOption = None,
    view_size: SizeOption = None,
    border: BorderOption = "zero",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    batch_size: BatchSizeOption = "auto",
    workers: WorkersOption = 0,
    product: ProductOption = None,
    layout: LayoutOption = None,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
    no_verify: NoVerifyOption = False,
) -> None:
    """Encode the regions into a feature bank; goes on where it was interrupted, and encodes only what is new."""
    from flawshot.bank.builder import encode_catalog
    from flawshot.bank.prompts import read_prompts
    from flawshot.bank.text_encoding import why_no_text
    from flawshot.base.errors import printable
    from flawshot.cli.console import progress_bar, say

    read = None if prompts is None else read_prompts(prompts)
    scheme = encode_scheme(model, views, view_size, border)
    at_once = crops_at_once(batch_size)
    catalog = open_data(data, layout, product, strict=strict)
    encoder = make_encoder(model, pretrained, region, layer, patch_tokens, activation, device, precision)
    for remark in encoder.remarks:
        say(remark)
    for category in sorted(set(read.categories if read else ()) - set(catalog.column("category"))):
        say(printable(f"{prompts}: categories.{category}: no instance has this label"))
    with progress_bar("crops") as progress:
        report = encode_catalog(
            catalog,
            encoder,
            scheme,
            out,
            prompts=read,
            batch_size=at_once,
            workers=workers,
            strict=strict,
            overwrite=overwrite,
            verify=not no_verify,
            progress=progress,
        )
    for entry in report.left_out:
        say(f"left out: {entry.reason} ({len(entry.instances)} instances)")
    if report.left_out:
        say(
            f"episodes that were sampled from {data} do not fit this bank, for it lacks what was left out; sample them "
            f"from it: flawshot sample {out} --out DIR"
        )
    for remark in report.remarks:
        say(remark)
    text = report.bank.manifest.text
    if text is None:
        say(f"no text features of the categories: {why_no_text(encoder)}")
    instances, number, tokens, dim = report.bank.manifest.shape
    typer.echo(
        f"{out}: {instances} instances x {number} views x {tokens} tokens x {dim}; "
        f"{report.encoded} encoded, {report.kept} kept, {sum(len(e.instances) for e in report.left_out)} left out"
        + ("" if text is None else f"; text features of {len(text.rows)} categories")
    )


def crops_at_once(batch_size: str) -> int:
    """``--batch-size`` as a number; 0 for auto."""
    from flawshot.base.errors import FlawshotError
    from flawshot.cli.options import whole_numbers

    sizes = [0] if batch_size == "auto" else whole_numbers(batch_size, "--batch-size")
    if len(sizes) > 1:
        raise FlawshotError(f"--batch-size {batch_size!r}: must be one number, or auto")
    return sizes[0]


def encode_scheme(
    model: str, views: str | None, view_size: str | None, border: Literal["zero", "reflect", "shift"]
) -> ViewScheme:
    """The views asked for; where none are, those that suit the model's family."""
    from flawshot.encoders import encoder_of
    from flawshot.encoders.base import EncoderOptions
    from flawshot.regions.views import SCHEMES

    name, sizes = encoder_of(EncoderOptions(model)).views
    if view_size is None and sizes is not None and (views or name) in SCHEMES:  # a package's scheme has its own
        view_size = ",".join(sizes)
    return _scheme(views or name, view_size, border)


def make_encoder(
    model: str,
    pretrained: str | None,
    region: str | None,
    layer: str | None,
    patch_tokens: int,
    activation: str | None,
    device: str,
    precision: str,
) -> BaseEncoder:
    """The encoder that the options name."""
    from flawshot.encoders import make_encoder as made

    return made(
        model,
        pretrained,
        region=region,
        layer=layer,
        patch_tokens=patch_tokens,
        activation=activation,
        device=device,
        precision=precision,
    )


def _scheme(views: str, view_size: str | None, border: Literal["zero", "reflect", "shift"]) -> ViewScheme:
    from flawshot.regions.views import make_scheme

    return make_scheme(views, None if view_size is None else view_size.split(","), border)


def crops(
    data: DataArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the pictures go.")],
    views: ViewsOption = "mso",
    view_size: SizeOption = None,
    border: BorderOption = "zero",
    side: Annotated[
        int, typer.Option("--side", metavar="PX", min=16, max=1024, help="A view's side on the sheet.")
    ] = 160,
    plain: Annotated[
        bool, typer.Option("--plain", help="The defect's crop and its mask as files, and a CSV, instead of sheets.")
    ] = False,
    product: ProductOption = None,
    layout: LayoutOption = None,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Pictures of the regions: a contact sheet an instance of what an encoder will see, its mask outlined."""
    from flawshot.cli.console import progress_bar, say
    from flawshot.regions.crop_pictures import write_plain, write_sheets

    scheme = _scheme(views, view_size, border)
    catalog = open_data(data, layout, product, strict=strict)
    with progress_bar("instances") as progress:
        if plain:
            written, unusable = write_plain(catalog, out, overwrite=overwrite, progress=progress)
        else:
            written, unusable = write_sheets(catalog, scheme, out, side, overwrite=overwrite, progress=progress)
    for reason in unusable:
        say(f"left out: {reason}")
    typer.echo(f"{out}: {written} {'crops with their masks' if plain else 'contact sheets'}")
