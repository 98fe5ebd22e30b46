"""``flawshot predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flawshot.base.wording import counted, plural
from flawshot.cli.encoder_groups import BatchGroup, ModelEncoderGroup
from flawshot.cli.finder_groups import FinderGroup
from flawshot.cli.mask_groups import MaskGroup
from flawshot.cli.options import ImagesOption, LayoutOption, OverwriteOption, ProductOption, StrictOption, open_data
from flawshot.cli.ray_groups import RayGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flawshot.base.errors import Problem
    from flawshot.formats.scored_shapes import ShapeReader
    from flawshot.models.image_regions import Find
    from flawshot.models.model import Model
    from flawshot.models.predict_report import PredictReport

__all__ = ["predict"]

# Problems that unlabeled regions are expected to have.
NO_NEWS = frozenset({"no-label"})


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model's folder, made by flawshot fit.")],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Labelme files with regions, labeled or not; images with masks; or bare images, with --boxes, "
            "--masks, --maps or --whole-image.",
        ),
    ],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="Folder for the predictions.")],
    mask_options: MaskGroup,
    finder: FinderGroup,
    encoder_options: ModelEncoderGroup,
    batch: BatchGroup,
    cluster: RayGroup,
    product: ProductOption = None,
    layout: LayoutOption = None,
    images: ImagesOption = None,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Classify annotated or found regions: Labelme files to review, and a table; resumes after an interruption."""
    from flawshot.cli.console import progress_bar, say_left_out
    from flawshot.models.model import load_model
    from flawshot.models.predicting import predict_catalog
    from flawshot.models.prediction_folder import check_predictions_free

    at_once = batch.size
    cluster.check(compiled=encoder_options.compile, finds=finder.find or bool(finder.named))
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
    if finder.find:
        encoder_options.introduce(opened.encoder, at_once)
        _say(_find(opened, data, out, finder.heatmaps, batch, strict=strict, overwrite=overwrite), out)
        return
    if finder.named:
        reader = finder.reader(
            data,
            out,
            threshold=mask_options.threshold,
            min_area=mask_options.min_area,
            max_instances=mask_options.max_instances,
        )
        encoder_options.introduce(opened.encoder, at_once)
        _say(_predict_found(opened, data, out, reader, batch, strict=strict, overwrite=overwrite), out)
        return
    if mask_options.hold(data, out):
        catalog = mask_options.catalog(data, out, product, images)
    else:
        catalog = open_data(data, layout, product, strict=strict, images=images, unsaid=NO_NEWS)
    encoder_options.introduce(opened.encoder, at_once)
    with cluster.cluster(encoder_options.pretrained) as machines, progress_bar("crops") as progress:
        report = predict_catalog(
            opened,
            catalog,
            out,
            batch_size=at_once,
            workers=batch.workers,
            strict=strict,
            overwrite=overwrite,
            progress=progress,
            on=machines,
        )
    for entry in report.left_out:
        say_left_out(entry.reason, len(entry.instances), "region")
    _say(report, out)


def _find(
    model: Model,
    data: Path,
    out: Path,
    heat_maps: Path | None,
    batch: BatchGroup,
    *,
    strict: bool,
    overwrite: bool,
) -> PredictReport:
    """Predict what the model's own locator finds."""
    from flawshot.formats.scored_shapes import bare_images
    from flawshot.models.finding import find_request, finder_of, missing_pictures

    problems: list[Problem] = []
    images = bare_images(data, problems, beyond=[out])
    _ = model.locator  # a model without one is refused before anything is written
    root = data.resolve()
    return _on_images(
        model,
        data,
        out,
        images,
        finder_of(model, root, heat_maps),
        find_request(model),
        problems,
        batch,
        strict=strict,
        overwrite=overwrite,
        again=None if heat_maps is None else missing_pictures(model, heat_maps),
    )


def _predict_found(
    model: Model,
    data: Path,
    out: Path,
    reader: ShapeReader,
    batch: BatchGroup,
    *,
    strict: bool,
    overwrite: bool,
) -> PredictReport:
    """Predict what another program found, with a summary of what could not be used."""
    from flawshot.cli.console import say
    from flawshot.models.predicting_images import found_by

    report = _on_images(
        model,
        data,
        out,
        reader.images,
        found_by(reader),
        reader.request,
        reader.problems,
        batch,
        strict=strict,
        overwrite=overwrite,
    )
    for what, count in reader.skipped.items():
        say(f"{count} {plural(count, 'region')} {what} {plural(count, 'is', 'are')} left out", left_out=count)
    return report


def _on_images(
    model: Model,
    data: Path,
    out: Path,
    images: Sequence[str],
    find: Find,
    request: str,
    known: Sequence[Problem],
    batch: BatchGroup,
    *,
    strict: bool,
    overwrite: bool,
    again: Callable[[Sequence[str]], Sequence[str]] | None = None,
) -> PredictReport:
    """Predict what a finder finds, with a summary of what could not be used; ``known`` is what is known before."""
    from flawshot.cli.console import progress_bar, say_left_out, say_problems
    from flawshot.models.predicting_images import annotations_of, predict_images
    from flawshot.models.prediction_folder import PROBLEMS

    problems = list(known)
    annotations = annotations_of(data, images, problems)
    with progress_bar("images") as progress:
        report = predict_images(
            model,
            data,
            images,
            find,
            out,
            request=request,
            again=again,
            annotations=annotations,
            batch_size=batch.size,
            workers=batch.workers,
            strict=strict,
            overwrite=overwrite,
            problems=problems,
            progress=progress,
        )
    say_problems([*problems, *report.problems], data, remedy=f"{out / PROBLEMS} lists all")
    for entry in report.left_out:
        say_left_out(entry.reason, len(entry.instances) or None, "region")
    return report


def _say(report: PredictReport, out: Path) -> None:
    from flawshot.cli.console import new_table, plain, print_table, say
    from flawshot.cli.fitting import print_accuracy
    from flawshot.models.drift import describe_drift

    table = new_table("Predicted regions", "category", "regions")
    for category, count in report.predicted.items():
        table.add_row(plain(category), str(count))
    print_table(table)
    if report.accuracy is not None:
        print_accuracy(report.accuracy, "Accuracy on labeled regions, % [95 % interval]", "image")
    if report.examples:
        say(
            f"{counted(report.examples, 'region is an example', 'regions are examples')} that the model was fitted to, "
            f"and {plural(report.examples, 'does', 'do')} not count toward the accuracy"
        )
    gone = sum(len(entry.instances) for entry in report.left_out)
    searched = unusable = ""
    if report.images:
        if lost := len(report.left_out):
            unusable = f", {counted(lost, 'image')} left out"
        searched = f"{counted(report.images, 'image')}, {report.without} without a region{unusable}; "
    regions_gone = counted(gone, "region") if unusable else gone
    typer.echo(
        f"{out}: {searched}{counted(report.regions, 'region')} predicted, {report.unsure} unsure, "
        f"{report.unknown} unlike every category, {regions_gone} left out"
        + (f"; {counted(report.kept, 'file')} kept from an earlier run" if report.kept else "")
    )
    if report.drift is not None and report.drift.unlike:
        typer.echo(describe_drift(report.drift, found=bool(report.images)))
