"""``flawshot learn``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.wording import counted, plural
from flawshot.cli.encoder_groups import BatchGroup, ModelEncoderGroup
from flawshot.cli.options import GroupOption, MovedImagesOption, OverwriteOption, StrictOption

if TYPE_CHECKING:
    from flawshot.models.learning import LearnReport
    from flawshot.models.model import Model

__all__ = ["learn"]

SHOWN = 10


def learn(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model's folder, made by flawshot fit.")],
    predictions: Annotated[
        Path, typer.Argument(metavar="OUT", help="Predictions that you corrected, in flawshot review or elsewhere.")
    ],
    *,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="NEW", help="The new model's folder; MODEL itself by default.")
    ] = None,
    accept_all: Annotated[
        bool, typer.Option("--accept-all", help="Also learn predictions that nobody reviewed, as they are.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DATA", help="Where the images are now, if they were moved.")
    ] = None,
    images: MovedImagesOption = None,
    group: GroupOption = None,
    encoder_options: ModelEncoderGroup,
    batch: BatchGroup,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Learn what you corrected or confirmed as further examples, and report what that changed."""
    from flawshot.cli.console import progress_bar
    from flawshot.cli.options import read_groups
    from flawshot.models.learning import learn_corrections
    from flawshot.models.model import load_model

    at_once = batch.size
    opened = load_model(model, device=encoder_options.device, pretrained=encoder_options.pretrained)
    encoder_options.introduce(opened.encoder, at_once)
    with progress_bar("crops") as progress:
        report = learn_corrections(
            opened,
            predictions,
            out,
            data=data,
            images=images,
            groups=None if group is None else lambda catalog: read_groups(group, catalog),
            accept_all=accept_all,
            batch_size=at_once,
            workers=batch.workers,
            strict=strict,
            overwrite=overwrite,
            progress=progress,
        )
    _remarks(report, predictions)
    _say(report, opened, predictions)


def _remarks(report: LearnReport, predictions: Path) -> None:
    from flawshot.base.errors import printable
    from flawshot.cli.console import say, say_left_out, say_problems
    from flawshot.inspect.checks.labels import differ_by_a_letter

    say_problems(report.problems, predictions, remedy="they were not learned")
    for entry in report.left_out:
        say_left_out(entry.reason, len(entry.instances), "region")
    if report.foreign:
        say(f"{predictions} was predicted by another model; its corrections are learned anyway")
    if any(step.in_order is not None for step in report.model.record.history) and report.added:
        say("what fit estimated in order is not estimated again with the new examples; it stays in the history")
    if report.ungrouped:
        count = counted(report.ungrouped, "image has", "images have")
        say(f"{count} no group, unlike the model's earlier images; assign groups with --group")
    for category in sorted(report.after.keys() - report.before.keys()):
        like = [each for each in report.before if differ_by_a_letter(each, category)]
        say(printable(f"{category}: a new category" + (f", differs from {like[0]} by one letter" if like else "")))
    for category in sorted(report.before.keys() - report.after.keys()):
        say(printable(f"{category}: has no examples left; all of them have other labels now"))


def _say(report: LearnReport, before: Model, predictions: Path) -> None:
    from flawshot.base.errors import printable
    from flawshot.cli.console import new_table, plain, print_table, shown_of

    said = ", ".join(f"{count} {how}" for how, count in report.named.items())
    typer.echo(f"{predictions}: {counted(sum(report.named.values()), 'region')}: {said}")
    if report.not_flaws:
        typer.echo(
            f"{counted(report.not_flaws, 'found region was', 'found regions were')} deleted; the locator has learned "
            f"that {plural(report.not_flaws, 'it is no flaw', 'they are not flaws')}, and no longer finds "
            f"{report.quiet} of them"
        )
    if not report.added:
        if not report.not_flaws:
            known = plural(report.known, "the region is an example", f"all {report.known} regions are examples")
            typer.echo(f"{before.path}: unchanged; {known} already")
        return
    table = new_table("Examples", "category", "before", "after")
    for category in sorted(report.before.keys() | report.after.keys()):
        table.add_row(plain(category), str(report.before.get(category, 0)), str(report.after.get(category, 0)))
    table.add_row("all", str(sum(report.before.values())), str(sum(report.after.values())))
    print_table(table)
    _say_accuracy(report, before)
    for title, lines in (
        (
            tuple(
                f"{words} by the same region with another label or outline"
                for words in ("example was replaced", "examples were replaced")
            ),
            [f"{r.id}: {r.before} → {r.after}" for r in report.replaced],
        ),
        (
            ("example is now classified as another category", "examples are now classified as other categories"),
            [f"{j.id} ({j.category}): {j.before} → {j.after}" for j in report.changed],
        ),
    ):
        if lines:
            typer.echo(f"{counted(len(lines), *title)}:")
            first = shown_of(len(lines), SHOWN)
            for line in lines[:first]:
                typer.echo(f"  {printable(line)}")
            if len(lines) > first:
                typer.echo(f"  and {len(lines) - first} more")
    known = f", {counted(report.known, 'was an example', 'were examples')} already" if report.known else ""
    typer.echo(
        f"{report.model.path}: {counted(report.added, 'region')} learned, {len(report.replaced)} of them "
        f"in place of earlier examples{known}; {counted(report.model.record.instances, 'example')}"
    )


def _say_accuracy(report: LearnReport, before: Model) -> None:
    from flawshot.evaluation.intervals import percent

    unit = "group" if report.model.record.groups else "image"
    typer.echo(f"Accuracy, each {unit} left out in turn, % [95 % interval]; 'after' includes the new examples")
    for word, record in (("before", before.record), ("after", report.model.record)):
        found = record.accuracy
        if found is None:
            typer.echo(f"  {word}: cannot be estimated")
        else:
            typer.echo(f"  {word}: {percent(found.mean, found.ci95)} on {counted(found.asked, 'example')}")
    count, right_before, right_after = report.earlier
    if count:
        both = counted(count, "example")
        typer.echo(f"  of the {both} in both, {right_before} classified correctly before, {right_after} now")
