"""``flawshot suggest``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.wording import counted, plural
from flawshot.cli.encoder_groups import BatchGroup, ModelEncoderGroup
from flawshot.cli.options import (
    GroupOption,
    ImagesOption,
    LayoutOption,
    OverwriteOption,
    ProductOption,
    StrictOption,
    open_data,
)

if TYPE_CHECKING:
    from flawshot.models.suggestion_folder import SuggestReport

__all__ = ["suggest"]

# Problems that unlabeled regions are expected to have.
NO_NEWS = frozenset({"no-label"})


def suggest(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model's folder, made by flawshot fit.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Labelme files with regions, labeled or not.")],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="Folder for what flawshot review shows.")],
    count: Annotated[int, typer.Option("--count", metavar="N", help="Suggest so many regions.")] = 20,
    by: Annotated[
        str,
        typer.Option("--by", metavar="NAME", help="The strategy: mixture, doubt, k-center, typicality or random."),
    ] = "mixture",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of what a strategy draws at random.")] = 0,
    bank: Annotated[
        Path | None,
        typer.Option(
            "--bank", metavar="BANK", help="Keep the features there, so that the next call encodes only what is new."
        ),
    ] = None,
    group: GroupOption = None,
    product: ProductOption = None,
    layout: LayoutOption = None,
    images: ImagesOption = None,
    encoder_options: ModelEncoderGroup,
    batch: BatchGroup,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Suggest which regions to label next, one per image or group: a folder for flawshot review."""
    from flawshot.cli.console import progress_bar, say_left_out
    from flawshot.cli.options import read_groups
    from flawshot.models.model import load_model
    from flawshot.models.prediction_folder import check_predictions_free
    from flawshot.models.suggestion_folder import suggest_catalog
    from flawshot.models.suggestions import check_wanted

    check_wanted(count, by)
    check_predictions_free(out.absolute(), overwrite=overwrite)
    at_once = batch.size
    opened = load_model(model, device=encoder_options.device, pretrained=encoder_options.pretrained)
    catalog = open_data(data, layout, product, strict=strict, images=images, unsaid=NO_NEWS)
    groups = None if group is None else read_groups(group, catalog)
    encoder_options.introduce(opened.encoder, at_once)
    with progress_bar("crops") as progress:
        report = suggest_catalog(
            opened,
            catalog,
            out,
            count,
            by=by,
            seed=seed,
            groups=groups,
            bank=bank,
            batch_size=at_once,
            workers=batch.workers,
            strict=strict,
            overwrite=overwrite,
            progress=progress,
        )
    for entry in report.left_out:
        say_left_out(entry.reason, len(entry.instances), "region")
    _say(report, out, count, grouped=groups is not None)


def _say(report: SuggestReport, out: Path, count: int, *, grouped: bool) -> None:
    from flawshot.cli.console import new_table, plain, print_table, say

    table = new_table("What to label next", "rank", "image", "predicted", "why", left=4)
    for rank, each in enumerate(report.suggestions, start=1):
        table.add_row(str(rank), plain(each.image), plain(each.prediction.label), plain(each.why))
    print_table(table)
    if report.examples:
        say(
            f"{counted(report.examples, 'region is an example', 'regions are examples')} of the model already, and "
            f"{plural(report.examples, 'is', 'are')} not suggested"
        )
    found = len(report.suggestions)
    if found < count:
        say(f"there are no more: each comes from another {'group or image' if grouped else 'image'}")
    if report.others:
        shown = f"{counted(report.others, 'other region', 'other regions')} on the same images"
        say(f"{shown} {plural(report.others, 'is', 'are')} shown in the review, too, as predicted")
    gone = sum(len(entry.instances) for entry in report.left_out)
    typer.echo(
        f"{out}: {counted(found, 'region')} suggested of {report.candidates}, {gone} left out; flawshot review {out}"
    )
