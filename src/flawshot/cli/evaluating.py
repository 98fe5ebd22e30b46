"""``flawshot evaluate``."""

from __future__ import annotations

import json as json_format
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flawshot.base.wording import counted
from flawshot.cli.environment import DEVICE, WORKERS
from flawshot.cli.failing import Failures
from flawshot.cli.options import (
    GalleryImagesOption,
    GalleryOption,
    NoVerifyOption,
    OverwriteOption,
    ProductOption,
    whole_numbers,
)
from flawshot.cli.voice import this_voice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flawshot.bank.features import FeatureBank
    from flawshot.base.ray_tasks import RayTasks
    from flawshot.catalog import Catalog
    from flawshot.episodes import EpisodeSet
    from flawshot.evaluation.results import Results

__all__ = ["evaluate"]

DEFAULT_CLASSIFIERS = "default,matched-prototype,zip-adapter,prototype,knn,linear-probe"


def evaluate(
    banks: Annotated[
        list[Path],
        typer.Argument(metavar="BANK", help="A feature bank's folder; several are compared on the same episodes."),
    ],
    episodes: Annotated[Path, typer.Argument(metavar="EPISODES", help="An episode file, or a folder of them.")],
    classifiers: Annotated[
        str,
        typer.Option(
            "--classifiers", metavar="a,b,…", help="Classifiers by name, or all; differences are relative to the first."
        ),
    ] = DEFAULT_CLASSIFIERS,
    product: ProductOption = None,
    shots: Annotated[
        str | None, typer.Option("--shots", metavar="K,…", help="Only episodes with these K.", show_default="all")
    ] = None,
    json: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write the results as JSON; - prints them. With several banks, a folder for the results of each, and "
            "comparison.json.",
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write all results as tidy CSV.")] = None,
    per_category: Annotated[
        bool, typer.Option("--per-category", help="Print scores per category even for several products.")
    ] = False,
    wide: Annotated[
        bool, typer.Option("--wide", help="Print every classifier's accuracy for every product and category.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE.html", help="Write the results as a self-contained HTML page."),
    ] = None,
    data: GalleryOption = None,
    images: GalleryImagesOption = None,
    device: Annotated[
        str,
        typer.Option(
            "--device", metavar="NAME", envvar=DEVICE, help="Where trained classifiers compute: auto, cpu, cuda, …."
        ),
    ] = "auto",
    outline: Annotated[
        Literal["auto", "off"],
        typer.Option("--outline", help="auto: default also uses the annotations' outlines, as default-outline does."),
    ] = "off",
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            metavar="N",
            min=0,
            envvar=WORKERS,
            help="Processes; the results are the same. 0: one per core if it takes long.",
        ),
    ] = 0,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Evaluate on a Ray cluster: auto or HOST:PORT; local starts Ray on this machine.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    no_verify: NoVerifyOption = False,
) -> None:
    """Score classifiers on every episode: accuracy per category, with intervals; several banks are compared."""
    from flawshot.cli.comparing import check_places, print_and_write, results_files, side_names
    from flawshot.cli.console import print_json, progress_bar
    from flawshot.cli.reporting import open_pictures, stamped
    from flawshot.cli.tables import print_results
    from flawshot.evaluation import evaluate as run
    from flawshot.evaluation import evaluate_banks

    written = None if json in {None, "-"} else Path(str(json))
    sides = side_names(banks)
    files = {} if written is None or len(banks) == 1 else results_files(written, sides)
    check_places([place for place in (*(files.values() or [written]), csv, report) if place], overwrite=overwrite)
    if len(banks) > 1:
        _refuse_of_one({"--per-category": per_category, "--wide": wide, "--data": data is not None})
    _check_options(data, images, report)
    jobs = _jobs(jobs, ray)
    started, clock = datetime.now(UTC), time.perf_counter()
    opened = {side: _opened(place, verify=not no_verify) for side, place in zip(sides, banks, strict=True)}
    first = opened[sides[0]]
    names = _every(list(opened.values())) if classifiers == "all" else [each.strip() for each in classifiers.split(",")]
    if outline == "auto":
        names = ["default-outline" if name == "default" else name for name in names]
    names = list(dict.fromkeys(names))
    wanted = None if shots is None else whole_numbers(shots, "shots")
    sets = _of_all([_shared(bank, episodes, product, wanted) for bank in opened.values()])
    # Fail before the long work.
    pictures = None if data is None else open_pictures(data, first.catalog.row_of, images)
    where = "cpu" if ray is not None and device == "auto" else _device(device, names)
    with _cluster(ray) as cluster, progress_bar("episodes") as progress:
        if len(opened) > 1:
            several, compared = evaluate_banks(
                opened, sets, names, device=where, jobs=jobs, on=cluster, progress=progress
            )
        else:
            results = run(first, sets, names, device=where, jobs=jobs, on=cluster, progress=progress)
    if len(opened) > 1:
        seconds = time.perf_counter() - clock
        several = {side: stamped(each, started, seconds) for side, each in several.items()}
        print_and_write(
            compared.with_provenance({side: each.provenance for side, each in several.items()}),
            "-" if json == "-" else files.get(""),
            csv,
            report,
            more={files[side]: each for side, each in several.items() if side in files},
            overwrite=overwrite,
        )
        return
    results = stamped(results, started, time.perf_counter() - clock)
    if json != "-":
        print_results(results, per_category=per_category, wide=wide)
    if json == "-":
        print_json(results.model_dump(mode="json"), json, overwrite=overwrite)
    _write(results, written, csv, report, pictures, overwrite=overwrite)


def _jobs(wanted: int, ray: str | None) -> int:
    """The number of processes on this machine; a variable in the environment does not count on a cluster."""
    from flawshot.base.errors import FlawshotError

    if ray is None or "jobs" in this_voice().variables:
        return wanted if ray is None else 0
    if wanted:
        raise FlawshotError(f"--jobs {wanted}: is for processes of this machine; omit it with --ray")
    return 0


def _refuse_of_one(options: Mapping[str, bool]) -> None:
    """Refuse options that show the results of one bank only."""
    from flawshot.base.errors import FlawshotError

    for option, given in options.items():
        if given:
            raise FlawshotError(f"{option}: is for the results of one bank; omit it, or evaluate each bank by itself")


def _check_options(data: Path | None, images: Path | None, report: Path | None) -> None:
    """Refuse options without those that they need."""
    from flawshot.base.errors import FlawshotError

    if data is not None and report is None:
        raise FlawshotError("--data: is for the report's gallery; name the report with --report FILE.html")
    if images is not None and data is None:
        raise FlawshotError("--images: is for the images of --data DATA; name it, too")


@contextmanager
def _cluster(address: str | None) -> Iterator[RayTasks | None]:
    """The Ray cluster, if there is to be one; what was done where is printed afterward."""
    if address is None:
        yield None
        return
    from flawshot.base.ray_tasks import RayTasks
    from flawshot.cli.console import say

    with RayTasks(address) as made:
        yield made
        say(f"units of work by node: {', '.join(f'{node} {count}' for node, count in sorted(made.done.items()))}")


def _write(
    results: Results,
    json: Path | None,
    csv: Path | None,
    report: Path | None,
    pictures: Catalog | None,
    *,
    overwrite: bool,
) -> None:
    """Write results, table and report: all, or none."""
    from flawshot.base.store.files import json_bytes
    from flawshot.base.store.together import write_together
    from flawshot.cli.console import say
    from flawshot.report.page import make_page
    from flawshot.report.tables import csv_table

    contents = {}
    if json is not None:
        contents[json] = json_bytes(results.model_dump(mode="json"), json)
    if csv is not None:
        contents[csv] = csv_table(results).encode("utf-8", "backslashreplace")
    if report is not None:
        contents[report] = make_page(results, pictures)
    write_together(contents, overwrite=overwrite)
    if report is not None:
        say(f"{report}: {len(contents[report]) / 1e6:.1f} MB")


def _device(wanted: str, names: list[str]) -> str:
    """The device to train on; torch is loaded only if a device is named or a named classifier is trained."""
    from flawshot.classifiers import classifier_names, make_classifier

    known = classifier_names()
    trained = any("device" in make_classifier(name).get_params() for name in names if name in known)
    if wanted == "auto" and not trained:
        return "cpu"
    from flawshot.encoders.base import pick_device

    return str(pick_device(wanted))


def _opened(place: Path, *, verify: bool) -> FeatureBank:
    from flawshot.bank.features import FeatureBank

    return FeatureBank.open(place, verify=verify)


def _of_all(several: list[list[EpisodeSet]]) -> list[EpisodeSet]:
    """The episodes, verified against each bank, of the products and K that all banks have."""
    from flawshot.base.errors import EpisodeError

    first, *others = several
    sets = [each for each in first if all(each.product in {one.product for one in own} for own in others)]
    if not sets:
        raise EpisodeError("the banks share no product that has episodes; encode the same data for each")
    return sets


def _every(banks: list[FeatureBank]) -> list[str]:
    """All classifiers that the banks have the features for; the others are reported on standard error."""
    from flawshot.classifiers import DEFAULT, classifier_names, descriptive_name, make_classifier
    from flawshot.cli.console import say

    known = [name for name in classifier_names() if name != descriptive_name(DEFAULT)]  # once, as default
    by_text = (
        []
        if all(bank.has_text for bank in banks)
        else [name for name in known if "text" in make_classifier(name).inputs]
    )
    if by_text:
        lacks = "the bank has" if len(banks) == 1 else "not all banks have"
        no = "no " if len(banks) == 1 else ""
        say(
            f"left out because {lacks} {no}text features of the categories: {', '.join(by_text)}",
            left_out=len(by_text),
        )
    return [name for name in known if name not in by_text]


def _with_shots(sets: list[EpisodeSet], shots: list[int] | None, place: Path) -> list[EpisodeSet]:
    from flawshot.base.errors import EpisodeError

    if shots is None:
        return sets
    there = sorted({each.shots for each in sets})
    for k in shots:
        if k not in there:
            raise EpisodeError(f"--shots {k}: {place} has episodes of K = {', '.join(map(str, there))} only")
    return [each for each in sets if each.shots in shots]


def _read(path: Path, bank: FeatureBank) -> EpisodeSet:
    """Read the episodes in a file and verify them against the bank."""
    from flawshot.base.errors import EpisodeError
    from flawshot.episodes import read_episodes

    try:
        return read_episodes(path, bank.catalog)
    except EpisodeError as error:
        left_out = {identifier for entry in bank.manifest.left_out for identifier in entry.instances}
        gone = len(left_out)
        # The hint explains only episodes that name instances missing from the bank, not damaged files.
        if not gone or not _names_any(path, left_out):
            raise
        lost = counted(gone, "instance was", "instances were")
        raise EpisodeError(
            f"{error.marked}; {lost} left out when {bank.path} was encoded, so sample from it: "
            f"flawshot sample {bank.path} --out DIR"
        ) from error


def _names_any(path: Path, ids: set[str]) -> bool:
    try:
        text = path.read_bytes()
    except OSError:
        return False
    return any(json_format.dumps(identifier, ensure_ascii=False).encode() in text for identifier in ids)


def _products(files: list[Path], wanted: list[str] | None, place: Path) -> dict[Path, str]:
    """The product of each episode file; those that are wanted must be among them."""
    from flawshot.base.errors import EpisodeError
    from flawshot.episodes import episode_product

    named: dict[Path, str] = {}
    failures = Failures()
    for path in files:
        with failures.of(str(path)):
            named[path] = episode_product(path)
    failures.refuse()  # first: a product may be missing because its file is damaged
    for product in wanted or []:
        with failures.of(product):
            if product not in named.values():
                raise EpisodeError(f"--product {product}: has no episodes at {place}")
    failures.refuse()
    return named


def _shared(bank: FeatureBank, place: Path, products: list[str] | None, shots: list[int] | None) -> list[EpisodeSet]:
    """The episodes of products in the bank, with the K that are asked for; other products are reported."""
    from flawshot.base.errors import EpisodeError
    from flawshot.cli.console import say
    from flawshot.episodes import find_episode_files

    named = _products(find_episode_files(place), products, place)
    failures = Failures()
    sets, absent = [], []
    for path, product in named.items():
        if products and product not in products:
            continue
        if product in bank.catalog.products:
            with failures.of(product):
                sets.append(_read(path, bank))
        elif product not in absent:
            absent.append(product)
    failures.refuse()
    if not sets:
        held = ", ".join(bank.catalog.products)
        raise EpisodeError(f"{place}: has no episodes of a product in the bank ({held}); sample some from the bank")
    sets = _with_shots(sets, shots, place)
    if absent:
        say(f"left out because they are not in the bank: {', '.join(absent)}", left_out=len(absent))
    unasked = sorted(set(bank.catalog.products) - {each.product for each in sets})
    if unasked and not products:
        say(f"left out because they have no episodes: {', '.join(unasked)}", left_out=len(unasked))
    return sorted(sets, key=lambda each: (each.product, each.shots))
