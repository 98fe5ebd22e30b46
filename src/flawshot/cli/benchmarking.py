"""``flawshot bench``."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.wording import counted
from flawshot.cli.encoder_groups import EncoderGroup, ViewGroup
from flawshot.cli.options import ImagesOption, LayoutOption, OverwriteOption, ProductOption, open_data

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flawshot.catalog import Catalog
    from flawshot.models.timing import Timing

__all__ = ["bench"]

# The folder that is drawn if the user names none.
DRAWN_IMAGES = 32


def bench(
    *,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL|ENCODER]",
            help="A model's folder, or an encoder, such as flawshot-tiny or timm/convnextv2_tiny.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DATA", help="Labelme files to read; by default, 32 images are drawn."),
    ] = None,
    encoder_options: EncoderGroup,
    view_options: ViewGroup,
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=1, help="How often each of ten regions is timed.")
    ] = 3,
    product: ProductOption = None,
    layout: LayoutOption = None,
    images: ImagesOption = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the rows as JSON; - prints them.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Time one region and a folder on this machine: torch, compiled, onnxruntime, and OpenVINO if it is installed."""
    from flawshot.base.arguments import argument, worded
    from flawshot.base.errors import FlawshotError
    from flawshot.cli.console import print_json, say
    from flawshot.cli.wording import option_words
    from flawshot.models.model import load_model
    from flawshot.models.timing import time_runtimes

    if json not in {None, "-"} and Path(str(json)).exists() and not overwrite:
        raise FlawshotError(f"{json}: exists; name another file, or add {argument('overwrite', True)}")
    if _is_model(what, encoder_options, view_options):
        model = load_model(str(what), device=encoder_options.device, pretrained=encoder_options.pretrained)
        encoder, scheme, judge = model.encoder, model.scheme, model.judge
        named = f"model {model.path.name}, {encoder.record.name}"
    else:
        options = encoder_options if what is None else replace(encoder_options, model=what)
        scheme = view_options.scheme(options.model)
        encoder, judge = options.make(0), None
        named = encoder.record.name
    with _data(data, layout, product, images) as catalog:
        timings = []
        for timing in time_runtimes(encoder, scheme, catalog, judge=judge, rounds=rounds):
            say(worded(f"{timing.runtime}: {timing.remark or 'timed'}", option_words))
            timings.append(timing)
        if json is not None:
            print_json([timing._asdict() for timing in timings], json, overwrite=overwrite)
        if json != "-":
            _show(
                timings,
                f"{named}, {counted(len(scheme.views), 'view')} of {encoder.side} px",
                catalog,
                drawn=data is None,
            )


def _is_model(what: str | None, encoder_options: EncoderGroup, view_options: ViewGroup) -> bool:
    """Whether the user named a model's folder; options that say otherwise are refused.

    Raises:
        FlawshotError: With the option.
    """
    from flawshot.base.arguments import argument
    from flawshot.base.errors import FlawshotError

    if encoder_options.compile:
        raise FlawshotError(f"{argument('compile', True)}: is one of the rows anyway; omit it")
    if what is None:
        return False
    if encoder_options.model != EncoderGroup.model:
        raise FlawshotError(f"{argument('model')}: {what} is named already; omit one")
    if not (Path(what) / "model.json").is_file():
        return False
    given = encoder_options.given() | view_options.given()
    if encoder_options.precision != "auto":
        given["precision"] = encoder_options.precision
    for name in given:
        if name != "pretrained":
            raise FlawshotError(f"{argument(name)}: is for an encoder, and {what} is a model; omit it")
    return True


@contextmanager
def _data(data: Path | None, layout: str | None, product: list[str] | None, images: Path | None) -> Iterator[Catalog]:
    """The user's data, or a drawn folder."""
    from flawshot.catalog import Catalog
    from flawshot.synthetic.data_set import draw_data_set

    if data is not None:
        yield open_data(data, layout, product, strict=False, images=images)
        return
    with TemporaryDirectory() as folder:
        draw_data_set(Path(folder) / "drawn", categories=2, images=DRAWN_IMAGES)
        yield Catalog.open(Path(folder) / "drawn")


def _show(timings: Sequence[Timing], what: str, catalog: Catalog, *, drawn: bool) -> None:
    import torch

    from flawshot.cli.console import new_table, print_table

    where = "drawn images" if drawn else str(catalog.root)
    title = f"{what}; {counted(len(catalog), 'region')} of {where}; {counted(torch.get_num_threads(), 'thread')}"
    table = new_table(
        title,
        "runtime",
        "prepared, s",
        "one region, ms",
        "90th percentile, ms",
        "regions/s of the folder",
        "difference",
    )
    for timing in timings:
        cells = [
            "-" if value is None else form.format(value)
            for value, form in (
                (timing.latency, "{:.1f}"),
                (timing.slow, "{:.1f}"),
                (timing.rate, "{:.1f}"),
                (timing.largest_difference, "{:.0e}"),
            )
        ]
        table.add_row(timing.runtime, f"{timing.prepared:.1f}", *cells)
    print_table(table)
    typer.echo(
        "One region: from a decoded image to the answer. Folder: from files to answers, on all cores. Difference: of a "
        "feature from torch's, as a share of the largest."
    )
