"""``flawshot fit``."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.wording import counted
from flawshot.cli.encoder_groups import BatchGroup, EncoderGroup, ViewGroup
from flawshot.cli.locator_groups import LocatorGroup, print_expected
from flawshot.cli.options import (
    GroupOption,
    ImagesOption,
    LayoutOption,
    NoVerifyOption,
    OverwriteOption,
    StrictOption,
    open_data,
)
from flawshot.cli.ordering import print_in_order, read_order

if TYPE_CHECKING:
    from flawshot.bank.features import FeatureBank
    from flawshot.catalog import Catalog
    from flawshot.encoders.base import BaseEncoder
    from flawshot.models.model import Model
    from flawshot.models.record import Accuracy, CategoryAccuracy
    from flawshot.regions.views import ViewScheme

__all__ = ["fit", "print_accuracy"]


def fit(
    data: Annotated[
        Path,
        typer.Argument(metavar="BANK|DATA", help="A feature bank's folder, or Labelme files, which are encoded first."),
    ],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="MODEL", help="The model's folder.")],
    classifier: Annotated[
        str,
        typer.Option(
            "--classifier", metavar="NAME", help="A classifier of flawshot evaluate that needs only features."
        ),
    ] = "default",
    coverage: Annotated[
        float,
        typer.Option(
            "--coverage", metavar="SHARE", help="Share of prediction sets that should contain the right category."
        ),
    ] = 0.9,
    group: GroupOption = None,
    order: Annotated[
        str | None,
        typer.Option(
            "--order",
            metavar="name|time|FILE.csv[:COLUMN]",
            help="Also estimate what fits to earlier images give on later ones: by name, by the time at which images "
            "were taken, or by a table with columns image,order.",
        ),
    ] = None,
    product: Annotated[
        str | None, typer.Option("--product", metavar="NAME", help="Which product, if there are several.")
    ] = None,
    layout: LayoutOption = None,
    images: ImagesOption = None,
    encoder_options: EncoderGroup,
    view_options: ViewGroup,
    batch: BatchGroup,
    locator: LocatorGroup,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
    no_verify: NoVerifyOption = False,
) -> None:
    """Fit a classifier to all labeled instances: a model for flawshot predict, with its estimated accuracy."""
    from flawshot.bank.features import FeatureBank
    from flawshot.base.arguments import argument
    from flawshot.base.errors import FlawshotError
    from flawshot.base.store.places import hold
    from flawshot.cli.console import progress_bar, say_left_out
    from flawshot.cli.options import read_groups
    from flawshot.encoders.base import pick_device
    from flawshot.models.fitting import fit_model, labeled, pick_classifier
    from flawshot.models.model_folder import check_model_free, check_nothing_learned, sound_bank_beside

    if not 0 < coverage < 1:
        raise FlawshotError(f"--coverage {coverage:g}: must be a share above 0 and below 1, such as 0.9")
    locator.check()
    check_model_free(out, overwrite=overwrite)
    check_nothing_learned(out)
    estimator, _ = pick_classifier(classifier)
    if "device" in estimator.get_params():
        estimator.set_params(device=str(pick_device(encoder_options.device)))
    with hold(out):
        if _is_bank(data):
            given: dict[str, object] = {"layout": layout} if layout else {}
            given |= {"images": images} if images else {}
            for name in given | encoder_options.given() | view_options.given():
                raise FlawshotError(f"{argument(name)}: is for DATA, and {data} is a feature bank; omit it")
            if locator.find:
                raise FlawshotError(f"--find: needs the images, and {data} is a feature bank; give DATA instead")
            bank, plan = FeatureBank.open(data, verify=not no_verify), None
            ordered = read_order(order, labeled(bank.catalog, product, data), bank=data)
        else:
            catalog = open_data(data, layout, [product] if product else None, strict=strict, images=images)
            own = labeled(catalog, product, data)
            ordered = read_order(order, own)
            scheme = view_options.scheme(encoder_options.model)
            encoder = encoder_options.make(batch.size)
            plan = None
            if locator.find:
                every = catalog.select([own.products[0]])
                good = locator.files(every)
                plan = locator.plan(every, encoder, scheme, good, group, encoder_options.device)
            place = sound_bank_beside(out, "bank")
            bank = _encode(own, encoder, scheme, place, batch, strict=strict)
        groups = None if group is None else read_groups(group, labeled(bank.catalog, product, data))
        with nullcontext() if plan is None else progress_bar("images") as progress:
            made = fit_model(
                bank,
                out,
                classifier=estimator,
                product=product,
                groups=groups,
                coverage=coverage,
                order=ordered,
                source=str(data),
                images=None if images is None else str(images),
                locate=None if plan is None else replace(plan, progress=progress),
                overwrite=overwrite,
            )
    if plan is not None:
        for reason in plan.left_out:
            say_left_out(f"locator: {reason}")
    _say(made)
    print_in_order(made.record, ordered)
    if made.record.locator is not None:
        print_expected(made.record.locator)


def _is_bank(data: Path) -> bool:
    try:
        return (data / "manifest.json").is_file()
    except OSError:  # a name that the file system cannot have
        return False


def _encode(
    catalog: Catalog,
    encoder: BaseEncoder,
    scheme: ViewScheme,
    place: Path,
    batch: BatchGroup,
    *,
    strict: bool,
) -> FeatureBank:
    """Encode into a bank beside the new model; it is kept for the next call if this one is interrupted."""
    from flawshot.bank.builder import encode_catalog
    from flawshot.cli.console import progress_bar, say_left_out

    with progress_bar("crops") as progress:
        report = encode_catalog(
            catalog,
            encoder,
            scheme,
            place,
            batch_size=batch.size,
            workers=batch.workers,
            strict=strict,
            overwrite=True,
            progress=progress,
        )
    for entry in report.left_out:
        say_left_out(entry.reason, len(entry.instances))
    return report.bank


def _say(model: Model) -> None:
    from flawshot.base.errors import printable
    from flawshot.cli.console import say

    record = model.record
    typer.echo(
        f"{model.path}: {record.classifier.name} fitted to {counted(record.instances, 'instance')} of "
        f"{counted(len(record.categories), 'category', 'categories')} of {printable(record.product)}; "
        f"{record.encoder.name}, {record.views.scheme} of {','.join(record.views.sizes)}"
    )
    if record.accuracy is None:
        say("the accuracy cannot be estimated: every category comes from a single image or group")
    else:
        unit = "group" if record.groups else "image"
        print_accuracy(record.accuracy, f"Accuracy, each {unit} left out in turn, % [95 % interval]", unit)
        if record.accuracy.folds < record.accuracy.units:
            folds = record.accuracy.folds  # at least two
            say(f"to save time, the {record.accuracy.units} {unit}s were left out in {folds} folds")
    known = record.calibration
    if known.promised is None:
        typer.echo("Prediction sets: too few examples to promise anything; every set contains every category")
    else:
        typer.echo(
            f"Prediction sets: {known.promised:.0%} should contain the right category, "
            "if new images resemble the examples"
        )
    if known.novelty_limit is None:
        typer.echo("Unknown categories: too few examples to detect them")
    elif known.unknown_found is not None:
        typer.echo(
            f"Unknown categories: {known.unknown_found:.0%} detected when each category was left out in turn, while "
            f"up to {known.false_alarms:.0%} of known regions are flagged as unknown"
        )


def print_accuracy(accuracy: Accuracy, title: str, unit: str) -> None:
    """Print the accuracy overall and per category; what cannot be estimated is marked."""
    from flawshot.cli.console import new_table, plain, print_table
    from flawshot.evaluation.intervals import percent

    table = new_table(title, "category", "instances", f"{unit}s", "right", "accuracy")
    for category, own in accuracy.per_category.items():
        table.add_row(plain(category), str(own.instances), str(own.units), *_cells(own))
    right = round(accuracy.mean * accuracy.asked)
    table.add_row("all", str(accuracy.asked), str(accuracy.units), str(right), percent(accuracy.mean, accuracy.ci95))
    print_table(table)
    single = [category for category, own in accuracy.per_category.items() if own.right is None]
    if single:
        typer.echo(
            f"– cannot be estimated: {', '.join(map(str, map(plain, single)))} "
            f"{'comes' if len(single) == 1 else 'each come'} from a single {unit}; not included in all"
        )


def _cells(own: CategoryAccuracy) -> tuple[str, str]:
    from flawshot.evaluation.intervals import percent

    if own.right is None or own.ci95 is None:
        return "–", "–"
    return str(own.right), percent(own.right / own.asked, own.ci95)
