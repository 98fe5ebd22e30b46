"""``flawshot export``: converts a catalog to other formats, and a model for computers without torch."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flawshot.base.errors import FlawshotError
from flawshot.base.wording import counted
from flawshot.cli.formats import FormatGroup, Given, Shown
from flawshot.cli.imports import ProblemsOption
from flawshot.cli.options import (
    DataArgument,
    ImagesOption,
    LayoutOption,
    OverwriteOption,
    ProductOption,
    StrictOption,
    open_data,
    with_shared_options,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flawshot.formats import Exporter
    from flawshot.formats.exporting import Exported

__all__ = ["exports"]


class _Exports(FormatGroup):
    """A command for each exporter."""

    def table(self) -> Mapping[str, Exporter]:
        from flawshot.formats import exporters

        return exporters()

    def made(self, entry: Exporter, function: Callable[..., int | Exported]) -> Callable[..., None]:
        shown = Shown(function, frozenset({"overwrite"}), source=DataArgument)
        more = {
            "product": (None, ProductOption),
            "layout": (None, LayoutOption),
            "images": (None, ImagesOption),
            "strict": (False, StrictOption),
            "overwrite": (False, OverwriteOption),
        }
        if "Exported" in str(inspect.signature(function).return_annotation):
            more["problems"] = (None, ProblemsOption)
        return shown.command(partial(_export, entry, function), more)


exports = typer.Typer(
    cls=_Exports, no_args_is_help=True, help="Turn Labelme files into other formats, or a model into one."
)


@exports.callback()
def _callback() -> None:
    pass


def _export(
    entry: Exporter,
    function: Callable[..., int | Exported],
    given: Given,
    *,
    product: list[str] | None,
    layout: str | None,
    images: Path | None,
    strict: bool,
    overwrite: bool,
    problems: Path | None = None,
) -> None:
    from flawshot.cli.console import say_problems, write_problems
    from flawshot.formats.export_images import is_prediction_folder
    from flawshot.formats.exporting import Exported

    data, out = given.places
    # Predictions know where their images are.
    unsaid = frozenset({"missing-image"} if is_prediction_folder(data) else ())
    catalog = open_data(data, layout, product, strict=strict, images=images, unsaid=unsaid)
    try:
        written = function(catalog, out, **given.arguments, overwrite=overwrite)
    except FlawshotError as error:
        raise given.error(error) from error
    count, more = written if isinstance(written, int) else 0, ""
    if isinstance(written, Exported):
        found = list(map(given.problem, written.problems))
        remedy = "--problems FILE writes all" if problems is None else f"{problems} lists all"
        say_problems(found, data, remedy=remedy)
        count, more = written.written, f"; {written.summary}" if written.summary else ""
    items = counted(count, entry.counted.removesuffix("s"), entry.counted)
    typer.echo(f"{out}: {items} of {counted(len(catalog), 'instance')}{more}")
    if problems is not None and isinstance(written, Exported):
        write_problems(found, problems, overwrite=overwrite)


def _onnx(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model's folder, made by flawshot fit.")],
    *,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for the graph, its description, a script.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="Folder of the images that the model was fitted to, on which the export is verified.",
            show_default="the folder that was fitted, if it is still there",
        ),
    ] = None,
    pretrained: Annotated[
        str | None,
        typer.Option("--pretrained", metavar="FILE", help="The encoder's weights, if they came from a file."),
    ] = None,
    precision: Annotated[
        Literal["float32", "float16", "int8"],
        typer.Option(
            "--precision", help="Of the encoder's weights: float16 halves the file; int8 quantizes matrix products."
        ),
    ] = "float32",
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance",
            metavar="SHARE",
            help="float16, int8: refuse if the leave-one-out accuracy falls by more than this.",
        ),
    ] = 0.01,
    overwrite: OverwriteOption = False,
) -> None:
    """A model for a computer without torch: one ONNX graph, its description, and a script that predicts."""
    from flawshot.models.line_side.exporting import export_onnx

    report = export_onnx(
        model, out, data=data, pretrained=pretrained, precision=precision, tolerance=tolerance, overwrite=overwrite
    )
    found, cost = report.record.verification, report.record.left_out
    on = "of the examples" if found.images == "support" else "of noise, and on stored features, as images are missing"
    said = (
        f"{report.out}: {report.size / 1e6:.1f} MB, {precision}; onnxruntime differs from torch by at most "
        f"{found.largest_probability_difference:.1e} in probability on {counted(found.regions, 'region')} {on}"
    )
    if cost is not None:
        said += (
            f"; leave-one-out accuracy on {counted(cost.instances, 'example')} {cost.reduced:.1%}, with float32 "
            f"({cost.float32_bytes / 1e6:.1f} MB) {cost.float32:.1%}"
        )
    typer.echo(said)


exports.command("onnx")(with_shared_options(_onnx))
