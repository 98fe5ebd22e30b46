"""``flawshot predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.wording import counted, plural
from flawshot.cli.encoder_groups import BatchGroup, ModelEncoderGroup
from flawshot.cli.finder_groups import REMEDIES, FinderGroup, whole_threshold
from flawshot.cli.options import ImagesOption, LayoutOption, OverwriteOption, ProductOption, StrictOption, open_data
from flawshot.cli.ray_groups import RayGroup
from flawshot.cli.wording import option_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flawshot.base.errors import Problem
    from flawshot.catalog import Catalog
    from flawshot.formats.scored_shapes import ShapeReader
    from flawshot.models.model import Model
    from flawshot.models.predict_report import PredictReport
    from flawshot.models.predicting_images import Find

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
    layout_name: Annotated[
        str | None,
        typer.Option("--as", metavar="LAYOUT", help="Images with masks: mvtec-ad, mvtec-loco, visa or beside."),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option("--pattern", metavar="IMAGES|MASKS", help="Images with masks: 'images/{name} | masks/{name}'."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", metavar="N", help="Masks and maps: values above N belong to a region."),
    ] = None,
    min_area: Annotated[
        int, typer.Option("--min-area", metavar="PX", min=1, help="Masks and maps: skip regions with fewer px.")
    ] = 1,
    max_instances: Annotated[
        int,
        typer.Option("--max-instances", metavar="N", min=1, help="Skip images with more such regions, or boxes."),
    ] = 10_000,
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
    from flawshot.base.errors import FlawshotError
    from flawshot.cli.console import progress_bar, say_left_out
    from flawshot.models.model import load_model
    from flawshot.models.predicting import predict_catalog
    from flawshot.models.prediction_folder import check_predictions_free

    at_once = batch.size
    cluster.check(compiled=encoder_options.compile, finds=finder.find or bool(finder.named))
    others = {"--as": layout_name, "--pattern": pattern, "--product": product, "--layout": layout, "--images": images}
    finder.check(threshold=threshold, min_area=min_area, others=others)
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
        reader = finder.reader(data, out, threshold=threshold, min_area=min_area, max_instances=max_instances)
        encoder_options.introduce(opened.encoder, at_once)
        _say(_predict_found(opened, data, out, reader, batch, strict=strict, overwrite=overwrite), out)
        return
    if layout_name or pattern or _only_masks(data):
        if not (layout_name or pattern):
            _refuse_bare(data, out)
        if images is not None:
            raise FlawshotError("--images: is for Labelme files; masks name their images")
        limit = whole_threshold(threshold)
        catalog = _masked(data, out, layout_name or pattern, limit, min_area, max_instances, product)
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


def _refuse_bare(data: Path, out: Path) -> None:
    """Say what can be done about images without masks and without regions."""
    from flawshot.base.errors import FlawshotError
    from flawshot.formats.mask_layouts import recognize_masks
    from flawshot.formats.scored_shapes import bare_images

    try:
        recognize_masks(data, beyond=out)
    except FlawshotError as error:
        found = bare_images(data, [], beyond=[out])
        raise FlawshotError(
            f"{data}: contains {counted(len(found), 'image')}, but no Labelme files, and no masks in a known layout: "
            f"{REMEDIES}; for masks that people drew, name their layout with --as or --pattern"
        ) from error


def _only_masks(data: Path) -> bool:
    """Whether a folder contains no annotation file."""
    from flawshot.labelme.data_folder import annotation_files

    return data.is_dir() and not annotation_files(data.resolve(), [])


def _masked(
    data: Path,
    out: Path,
    layout: str | None,
    threshold: int | None,
    min_area: int,
    max_instances: int,
    product: list[str] | None,
) -> Catalog:
    """The regions of images with masks."""
    from flawshot.base.errors import FlawshotError
    from flawshot.catalog import Catalog
    from flawshot.cli.console import progress_bar, say_problems
    from flawshot.cli.options import problems_of
    from flawshot.formats.masks import read_masks

    problems: list[Problem] = []
    with progress_bar("masks") as progress:
        annotations = read_masks(
            data,
            problems,
            layout=layout,
            threshold=threshold,
            min_area=min_area,
            max_instances=max_instances,
            beyond=out,
            progress=progress,
        )
        try:
            found = Catalog.from_annotations(annotations, root_name=data.resolve().name)
        except FlawshotError as error:
            raise FlawshotError(error.worded(_mask_words)) from error
    catalog = Catalog(found.table, data.resolve(), (*problems, *found.problems))
    if not len(catalog):
        first = f"; the first problem: {catalog.problems[0].marked}" if catalog.problems else ""
        raise FlawshotError(f"{data}: no mask contains a region{first}")
    selected = catalog.select(product) if product else catalog
    say_problems(problems_of(selected, catalog), data, remedy="flawshot import masks --problems FILE lists all")
    return selected


def _mask_words(name: str, value: str) -> str:
    """An argument of the mask reader as an option; its layout has another option name than that of Labelme files."""
    words = option_words(name, value)
    return words.replace("--layout", "--pattern" if "|" in value else "--as", 1) if name == "layout" else words


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
