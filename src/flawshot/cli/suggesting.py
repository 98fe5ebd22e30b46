"""``flawshot suggest``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flawshot.base.wording import counted, plural
from flawshot.cli.encoder_groups import BatchGroup, ModelEncoderGroup
from flawshot.cli.finder_groups import FinderGroup
from flawshot.cli.mask_groups import MaskGroup
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
    from flawshot.base.errors import Problem
    from flawshot.catalog import Catalog
    from flawshot.models.model import Model
    from flawshot.models.suggestion_folder import SuggestReport

__all__ = ["suggest"]

# Problems that unlabeled regions are expected to have.
NO_NEWS = frozenset({"no-label"})


def suggest(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model's folder, made by flawshot fit.")],
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="What flawshot predict takes: regions that are drawn, or bare images."),
    ],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="Folder for what flawshot review shows.")],
    count: Annotated[int, typer.Option("--count", metavar="N", help="Suggest so many regions.")] = 20,
    by: Annotated[
        str,
        typer.Option("--by", metavar="NAME", help="The strategy: typicality, k-center, doubt, mixture or random."),
    ] = "typicality",
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
    mask_options: MaskGroup,
    finder: FinderGroup,
    encoder_options: ModelEncoderGroup,
    batch: BatchGroup,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Suggest which regions to label next, one per image or group: a folder for flawshot review."""
    from flawshot.cli.console import say_left_out, say_problems
    from flawshot.models.model import load_model
    from flawshot.models.prediction_folder import PROBLEMS, check_predictions_free
    from flawshot.models.suggestions import check_wanted

    check_wanted(count, by)
    others: dict[str, Any] = {"--as": mask_options.layout_name, "--pattern": mask_options.pattern}
    others |= {"--product": product, "--layout": layout, "--images": images}
    finder.check(threshold=mask_options.threshold, min_area=mask_options.min_area, others=others)
    finder.check_heat_maps(data, out)
    check_predictions_free(out.absolute(), overwrite=overwrite)
    opened = load_model(
        model,
        device=encoder_options.device,
        pretrained=encoder_options.pretrained,
        find_pretrained=None if finder.find_pretrained is None else str(finder.find_pretrained),
    )
    wanted: dict[str, Any] = {"count": count, "by": by, "seed": seed, "bank": bank}
    wanted |= {"batch_size": batch.size, "workers": batch.workers, "strict": strict, "overwrite": overwrite}
    if finder.named:
        encoder_options.introduce(opened.encoder, batch.size)
        report = _of_images(opened, data, out, finder, mask_options, group, wanted)
    else:
        if mask_options.hold(data, out):
            catalog = mask_options.catalog(data, out, product, images)
        else:
            catalog = open_data(data, layout, product, strict=strict, images=images, unsaid=NO_NEWS)
        encoder_options.introduce(opened.encoder, batch.size)
        report = _of_regions(opened, catalog, out, group, wanted)
    say_problems(report.problems, data, remedy=f"{out / PROBLEMS} lists all")
    for entry in report.left_out:
        say_left_out(entry.reason, len(entry.instances) or None, "region")
    _say(report, out, count, grouped=group is not None)


def _of_regions(model: Model, catalog: Catalog, out: Path, group: str | None, wanted: dict[str, Any]) -> SuggestReport:
    """Suggest regions that are drawn."""
    from flawshot.cli.console import progress_bar
    from flawshot.cli.options import read_groups
    from flawshot.models.suggestion_folder import suggest_catalog

    groups = None if group is None else read_groups(group, catalog)
    with progress_bar("crops") as progress:
        return suggest_catalog(model, catalog, out, groups=groups, progress=progress, **wanted)


def _of_images(
    model: Model,
    data: Path,
    out: Path,
    finder: FinderGroup,
    mask_options: MaskGroup,
    group: str | None,
    wanted: dict[str, Any],
) -> SuggestReport:
    """Suggest regions that the model's own locator, or another program, finds."""
    from flawshot.cli.console import progress_bar
    from flawshot.cli.options import image_groups
    from flawshot.formats.scored_shapes import bare_images
    from flawshot.models.finding import find_request, finder_of
    from flawshot.models.predicting_images import annotations_of, found_by
    from flawshot.models.suggesting_images import suggest_images

    problems: list[Problem] = []
    if finder.find:
        images = bare_images(data, problems, beyond=[out])
        _ = model.locator  # a model without one is refused before anything is done
        find, request = finder_of(model, data.resolve(), finder.heatmaps), find_request(model)
    else:
        reader = finder.reader(
            data,
            out,
            threshold=mask_options.threshold,
            min_area=mask_options.min_area,
            max_instances=mask_options.max_instances,
        )
        images, find, request = list(reader.images), found_by(reader), reader.request
        problems += reader.problems
    annotations = annotations_of(data, images, problems)
    groups = None if group is None else image_groups(group, images)
    with progress_bar("images") as progress:
        report = suggest_images(
            model,
            data,
            images,
            find,
            out,
            request=request,
            annotations=annotations,
            groups=groups,
            problems=problems,
            progress=progress,
            **wanted,
        )
    return report._replace(problems=(*problems, *report.problems))


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
    lost = f", {counted(len(report.left_out), 'image')} left out" if report.left_out else ""
    typer.echo(f"{out}: {counted(found, 'region')} suggested of {report.candidates}{lost}; flawshot review {out}")
