"""``flawshot evaluate-find``."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from flawshot.cli.encoder_groups import EncoderGroup, ViewGroup
from flawshot.cli.options import (
    GroupOption,
    ImagesOption,
    OverwriteOption,
    ProductOption,
    StrictOption,
    groups_with_good,
)
from flawshot.cli.wording import option_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.encoders.base import BaseEncoder
    from flawshot.evaluation.finding_data import FindingData
    from flawshot.evaluation.finding_episodes import FindingEpisode, GoodShots
    from flawshot.evaluation.finding_names import RegionNamer
    from flawshot.evaluation.finding_runs import FitFinder, ScoredRun
    from flawshot.locating.examples import LabeledImage

__all__ = ["evaluate_find"]

SEEDS = 5


class Plan(NamedTuple):
    """The episodes of one product with one number of labeled instances and of good images."""

    data: FindingData
    shots: int
    good_shots: GoodShots
    episodes: Sequence[FindingEpisode]


def evaluate_find(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Labelme files with their images, or a tree of images and masks such as MVTec AD's or MIRAD's.",
        ),
    ],
    *,
    good: Annotated[
        Path | None,
        typer.Option("--good", metavar="FOLDER", help="For Labelme files: images without flaws, of one product."),
    ] = None,
    task: Annotated[
        Literal["few-shot", "published"],
        typer.Option(
            "--task",
            help="few-shot: labeled instances and good images support; published: good images only, by default all of "
            "train/good, and every image of test is a query.",
        ),
    ] = "few-shot",
    shots: Annotated[
        str | None,
        typer.Option(
            "--shots", metavar="K,…", help="Labeled instances per category; 0: none.", show_default="1,5; published: 0"
        ),
    ] = None,
    good_shots: Annotated[
        str,
        typer.Option(
            "--good-shots", metavar="N,…|all", help="Good images for support; of a folder without splits, all is half."
        ),
    ] = "all",
    alarms: Annotated[
        float,
        typer.Option("--alarms", metavar="SHARE", help="The share of good images that may be alarmed."),
    ] = 0.05,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, help="Number of episodes, with seeds 0 to N-1.")
    ] = SEEDS,
    classifier: Annotated[
        str, typer.Option("--classifier", metavar="NAME", help="Names the found regions; needs only features.")
    ] = "default",
    group: GroupOption = None,
    allow_short: Annotated[
        bool, typer.Option("--allow-short", help="Accept categories with fewer than K instances.")
    ] = False,
    product: ProductOption = None,
    layout: Annotated[
        str | None,
        typer.Option(
            "--layout",
            metavar="PATTERN",
            help="Labelme files: as for flawshot encode; masks: as for flawshot import masks, by name or pattern.",
        ),
    ] = None,
    images: ImagesOption = None,
    encoder_options: EncoderGroup,
    view_options: ViewGroup,
    per_category: Annotated[
        bool, typer.Option("--per-category", help="Print scores per category even for several products.")
    ] = False,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON; - prints them.")
    ] = None,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Score a locator: fitted to a few images, does it find the flaws on others, and are they named right?"""
    from flawshot.base.errors import FlawshotError
    from flawshot.cli.console import print_json, say_left_out
    from flawshot.cli.finding_tables import print_finding
    from flawshot.cli.reporting import command_stamp
    from flawshot.evaluation.finding_names import RegionNamer
    from flawshot.evaluation.finding_results import FindingResults
    from flawshot.evaluation.finding_runs import average_finding
    from flawshot.evaluation.provenance import finding_provenance
    from flawshot.models.fitting import pick_classifier

    if json not in {None, "-"} and Path(str(json)).exists() and not overwrite:
        raise FlawshotError(f"{json}: exists; name another file, move it away, or add --overwrite")
    if not 0 < alarms < 1:
        raise FlawshotError(f"--alarms {alarms:g}: must be a share above 0 and below 1, such as 0.05")
    if task == "published" and shots is not None:
        raise FlawshotError("--shots: is for --task few-shot; the published tasks have no labeled instances")
    _, named = pick_classifier(classifier)
    labeled = [0] if task == "published" else _numbers(shots or "1,5", "shots")
    several: list[GoodShots] = ["all"] if good_shots == "all" else [*_numbers(good_shots, "good_shots")]
    started, clock = datetime.now(UTC), time.perf_counter()
    opened = _open(data, good, layout, product, images, strict=strict)
    groups = None
    if group is not None:
        annotated = list(dict.fromkeys(image for own in opened for image in own.catalog.column("image")))
        short = {
            each.name: each.name if good is None else each.path.relative_to(good).as_posix()
            for own in opened
            for each in own.good
        }
        groups = groups_with_good(group, annotated, short)
    plans = _plans(opened, labeled, several, range(seeds), groups, allow_short=allow_short)
    encoder, scheme = encoder_options.make(0), view_options.scheme(encoder_options.model)
    scored = _run(plans, finder_fitter(encoder, alarms), RegionNamer(encoder, scheme, classifier), groups)
    own = {"task": task, "alarms": alarms, "seeds": seeds, "grouped": groups is not None, "classifier": named}
    results = FindingResults(
        runs=tuple(each.run for each in scored),
        means=tuple(average_finding(scored)),
        provenance=finding_provenance(opened, encoder, scheme)
        | own
        | command_stamp(started, time.perf_counter() - clock),
    )
    for run in results.runs:
        for name, reason in run.left_out.items():
            say_left_out(f"{name}: {reason}")
    if json != "-":
        print_finding(results, per_category=per_category)
    if json is not None:
        print_json(results.model_dump(mode="json"), json, overwrite=overwrite)


def finder_fitter(encoder: BaseEncoder, alarms: float) -> FitFinder:
    """What fits a locator to support images, with this encoder."""
    from flawshot.evaluation.finding_runs import FittedFinder
    from flawshot.evaluation.held_out_names import HeldOutFinder
    from flawshot.locating.fitting import fit_locator

    def fit(labeled: Sequence[LabeledImage], good: Sequence[Path], units: Sequence[str] | None) -> FittedFinder:
        made = fit_locator(encoder, labeled, good, alarms=alarms, units=units)
        variants = [HeldOutFinder(each.locator, each.locator.categories, each.units) for each in made.variants]
        return FittedFinder(made.locator, variants)

    return fit


def _numbers(text: str, name: str) -> list[int]:
    """Whole numbers of at least 0, separated by commas."""
    from flawshot.base.arguments import argument
    from flawshot.base.errors import FlawshotError
    from flawshot.cli.options import whole_numbers

    parts = [part.strip() for part in text.split(",")]
    try:
        above = whole_numbers(",".join(part for part in parts if part != "0") or "1", name)
    except FlawshotError as error:
        also = " or all" if name == "good_shots" else ""
        message = f"{argument(name, text[:80])}: must be whole numbers, such as 0,1,4{also}"
        raise FlawshotError(message) from error
    return list(dict.fromkeys(0 if part == "0" else int(part) for part in parts)) if above else []


def _open(
    data: Path,
    good: Path | None,
    layout: str | None,
    products: list[str] | None,
    images: Path | None,
    *,
    strict: bool,
) -> list[FindingData]:
    """The images of each product; problems are summarized on standard error."""
    from flawshot.base.errors import FlawshotError, Problem
    from flawshot.cli.console import progress_bar, say_problems
    from flawshot.cli.options import open_data
    from flawshot.evaluation.finding_data import data_of_folder, data_of_tree, is_mask_tree

    problems: list[Problem] = []
    if is_mask_tree(data):
        if good is not None:
            raise FlawshotError(f"--good {good}: is for Labelme files; {data} has none, and masks have folders of good")
        if images is not None:
            raise FlawshotError(
                f"--images {images}: is for Labelme files; {data} has none, and masks name their images"
            )
        with progress_bar("masks") as progress:
            opened = data_of_tree(data, problems, layout=layout, products=products, progress=progress)
        remedy = f"flawshot import masks {data} --out DIR --strict stops at the first"
    else:
        catalog = open_data(data, layout, products, strict=strict, images=images)
        opened, remedy = data_of_folder(catalog, good, problems), "these are not used"
    for problem in problems:
        if strict and problem.severity == "error":
            raise FlawshotError(problem.marked)
    say_problems(problems, data, remedy=remedy)
    return opened


def _plans(
    opened: Sequence[FindingData],
    labeled: Sequence[int],
    several: Sequence[GoodShots],
    seeds: Sequence[int],
    groups: Mapping[str, str] | None,
    *,
    allow_short: bool,
) -> list[Plan]:
    """The episodes of each product for each number of labeled instances and good images.

    Of several products, those without enough instances or images are reported on standard error.
    """
    from flawshot.base.errors import FlawshotError
    from flawshot.cli.console import say
    from flawshot.evaluation.finding_episodes import draw_finding_episodes

    plans: list[Plan] = []
    for own in opened:
        for shots, good in itertools.product(labeled, several):
            try:
                drawn = draw_finding_episodes(own, shots, good, seeds=seeds, groups=groups, allow_short=allow_short)
            except FlawshotError as error:
                if len(opened) == 1:
                    raise
                say(f"left out: {error.worded(option_words)}", left_out=1)
            else:
                plans.append(Plan(own, shots, good, drawn))
    if not plans:
        raise FlawshotError(f"{len(opened)} products: none has enough instances and images")
    return plans


def _run(
    plans: Sequence[Plan], fit: FitFinder, namer: RegionNamer, groups: Mapping[str, str] | None
) -> list[ScoredRun]:
    from flawshot.cli.console import progress_bar
    from flawshot.evaluation.finding_runs import evaluate_finding

    total = sum(len(each.queries) + len(each.good_queries) for plan in plans for each in plan.episodes)
    scored: list[ScoredRun] = []
    before = 0
    with progress_bar("images") as progress:
        for plan in plans:
            start = before

            def tick(done: int, _: int, start: int = start) -> None:
                if progress is not None:
                    progress(start + done, total)

            scored.append(
                evaluate_finding(
                    plan.data,
                    plan.episodes,
                    fit,
                    shots=plan.shots,
                    good_shots=plan.good_shots,
                    namer=namer,
                    groups=groups,
                    progress=tick,
                )
            )
            before += sum(len(each.queries) + len(each.good_queries) for each in plan.episodes)
    return scored
