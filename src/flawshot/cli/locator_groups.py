"""Options of flawshot fit that give a model a locator."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.errors import FlawshotError
from flawshot.base.wording import counted, plural
from flawshot.cli.wording import option_of

if TYPE_CHECKING:
    from flawshot.catalog import Catalog
    from flawshot.encoders.base import BaseEncoder
    from flawshot.locating.record import LocatorRecord
    from flawshot.models.locator_fitting import GoodFile, LocatorPlan
    from flawshot.regions.views import ViewScheme

__all__ = ["LocatorGroup", "print_expected"]

# No more good images than this are used, since all are in memory at once; more hardly find more.
MOST_GOOD = 400
# The share of good images that may be alarmed, unless another is named.
ALARMS = 0.05
# Scores by name, as they are printed, and whether they are shares.
WORDED = {
    "found": ("instances found", True),
    "found_and_named": ("instances found and named right", True),
    "mean_iou": ("mean IoU of those found", True),
    "precision": ("found regions that are instances", True),
    "false_regions_per_image": ("false regions per image", False),
    "good_images_alarmed": ("good images alarmed", True),
    "image_auroc": ("image AUROC", True),
    "pixel_auroc": ("pixel AUROC", True),
    "pro": ("PRO to 30 % false positives", True),
}
# Scores of good images, which fewer than this number say little about.
FEW = 10


@dataclass(frozen=True)
class LocatorGroup:
    """Whether the model gets a locator, and what it is fitted to besides the labeled images."""

    find: Annotated[
        bool,
        typer.Option("--find", help="Also fit a locator: flawshot predict --find then finds regions on bare images."),
    ] = False
    good: Annotated[
        list[Path] | None,
        typer.Option("--good", metavar="FOLDER", help="With --find: images without flaws; can be repeated."),
    ] = None
    alarms: Annotated[
        float | None,
        typer.Option(
            "--alarms",
            metavar="SHARE",
            help="With --find: the share of good images that may be alarmed; more finds more.",
            show_default=str(ALARMS),
        ),
    ] = None
    find_encoder: Annotated[
        str | None,
        typer.Option(
            "--find-encoder",
            metavar="NAME",
            help="With --find: another encoder for finding, named as for --model.",
            show_default="the model's",
        ),
    ] = None
    find_pretrained: Annotated[
        str | None,
        typer.Option("--find-pretrained", metavar="TAG|FILE", help="Its weights, named as for --pretrained."),
    ] = None

    def check(self) -> None:
        """Refuse options without ``--find``, and shares that are none.

        Raises:
            FlawshotError: With one line that names the option.
        """
        if not self.find:
            for name in ("good", "alarms", "find_encoder", "find_pretrained"):
                if getattr(self, name):
                    raise FlawshotError(f"{option_of(name)}: needs --find")
        if self.find_pretrained and not self.find_encoder:
            raise FlawshotError("--find-pretrained: needs --find-encoder")
        if self.alarms is not None and not 0 < self.alarms < 1:
            raise FlawshotError(f"--alarms {self.alarms:g}: must be a share above 0 and below 1, such as {ALARMS}")

    def files(self, catalog: Catalog) -> list[GoodFile]:
        """The good images.

        Args:
            catalog: The annotated data; its images, and others with annotated flaws, are not good.

        Raises:
            FlawshotError: If a folder has none.
        """
        from flawshot.base.errors import Problem
        from flawshot.cli.console import say, say_problems
        from flawshot.formats.scored_shapes import bare_images
        from flawshot.labelme.annotated_images import without_annotated
        from flawshot.labelme.data_folder import path_from
        from flawshot.models.locator_fitting import GoodFile

        root, images = catalog.image_root, sorted(set(catalog.column("image")))
        annotated = [] if root is None else [root / image for image in images]
        elsewhere = catalog.image_folder()
        made: dict[Path, GoodFile] = {}
        for folder in self.good or []:
            problems: list[Problem] = []
            flawless = without_annotated(folder, bare_images(folder, problems), catalog.root, annotated, elsewhere)
            problems += flawless.problems
            before = len(made)
            for name in flawless.names:
                path = folder / name
                made.setdefault(path.resolve(), GoodFile(path_from(root, path), path.resolve(), name))
            again = len(flawless.names) - (len(made) - before)
            if again:
                twice = counted(again, "image is given twice, and counts", "images are given twice, and count")
                message = f"{twice} once"
                problems.append(Problem(str(folder), "given-twice", message, "warning"))
            say_problems(problems, folder, remedy="these are not used")
        if self.good and not made:
            raise FlawshotError(f"--good {self.good[0]}: contains no image without annotated flaws")
        files = list(made.values())
        if len(files) > MOST_GOOD:
            say(f"{len(files)} good images: {MOST_GOOD} of them, drawn at random, are used")
            files = [files[number] for number in sorted(random.Random("good").sample(range(len(files)), MOST_GOOD))]
        return files

    def plan(
        self,
        catalog: Catalog,
        namer: BaseEncoder,
        scheme: ViewScheme,
        good: list[GoodFile],
        group: str | None,
        device: str,
    ) -> LocatorPlan:
        """What the locator is fitted to.

        Args:
            catalog: All instances of the product.
            namer: The model's encoder.
            scheme: The model's views.
            good: Images without flaws.
            group: What ``--group`` says; each image is a part of its own if None.
            device: Where its encoder computes.
        """
        from flawshot.cli.console import say
        from flawshot.cli.options import groups_with_good
        from flawshot.encoders import make_encoder
        from flawshot.models.locator_fitting import LocatorPlan

        groups = {}
        if group is not None:
            images = list(dict.fromkeys(catalog.column("image")))
            groups = groups_with_good(group, images, {each.name: each.short for each in good})
        encoder = namer
        if self.find_encoder is not None:
            encoder = make_encoder(self.find_encoder, self.find_pretrained, device=device)
            for remark in encoder.remarks:
                say(remark)
        _ = encoder.map_side  # an encoder without maps is refused before anything is encoded
        alarms = ALARMS if self.alarms is None else self.alarms
        return LocatorPlan(encoder, catalog, namer, scheme, good, groups, alarms)


def print_expected(record: LocatorRecord) -> None:
    """Print what a locator was fitted to, and what can be expected of it."""
    from flawshot.cli.console import new_table, print_table
    from flawshot.evaluation.intervals import percent

    typer.echo(
        f"Locator: fitted to {record.labeled} labeled and {counted(record.good, 'good image')}; {record.encoder.name}, "
        f"{counted(len(record.categories), 'category', 'categories')}"
    )
    if record.expected:
        table = new_table(
            "Finding, on images left out of the fit in turn [95 % interval]", "score", "n", "value (shares in %)"
        )
        for name, (words, share) in WORDED.items():
            score = record.expected.get(name)
            if score is None:
                continue
            low, high = score.ci95
            value = percent(score.mean, score.ci95) if share else f"{score.mean:.2f} [{low:.2f}, {high:.2f}]"
            table.add_row(words, f"{score.n}{'*' if score.n < FEW else ''}", value)
        print_table(table)
        if any(score.n < FEW for score in record.expected.values()):
            typer.echo(f"* fewer than {FEW}")
    else:
        typer.echo("What to expect cannot be estimated: all images show one part")
    if record.good and record.expected and "good_images_alarmed" not in record.expected:
        typer.echo("Good images cannot be left out: nearly all that is good is on one of them, or in one group")
    typer.echo(f"Threshold: {_threshold_said(record)}")
    if record.source == "background":
        typer.echo("No good image was given; with --good FOLDER the threshold is more reliable")


def _threshold_said(record: LocatorRecord) -> str:
    """Where the threshold comes from, and what it lets one expect."""
    grouped = record.units < record.images
    unit = ("group of good images", "groups of good images") if grouped else ("good image", "good images")
    good = unit[1]
    if record.source == "good":
        of = counted(record.units, *unit)
    else:
        own = counted(record.units, "group" if grouped else "image")
        of = f"the {plural(record.units, 'background')} of {own}"
    promised = f"about {record.promised:.0%} of {good} will be alarmed"
    if record.promised <= record.alarms + 1e-9:
        return f"from {of} that {plural(record.units, 'was', 'were')} held out; {promised}"
    return (
        f"the highest peak on {of}; {promised}, more than the {record.alarms:.0%} asked for; "
        f"{counted(needed_units(record.alarms), *unit)} would do"
    )


def needed_units(alarms: float) -> int:
    """The least number n of good images, or groups, whose highest peak promises at most this share: 1 / (n + 1).

    >>> [needed_units(share) for share in (0.05, 0.1, 0.3, 0.4, 0.5, 0.07)]
    [19, 9, 3, 2, 1, 14]
    """
    return math.ceil(1 / alarms - 1e-9) - 1
