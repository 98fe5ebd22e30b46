"""``flawshot demo``: every step from images to a report, on drawn data or the user's own."""

from __future__ import annotations

import shlex
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.wording import counted
from flawshot.cli.options import GroupOption, ImagesOption, LayoutOption, ProductOption, open_data, read_groups

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flawshot.bank.features import FeatureBank
    from flawshot.catalog import Catalog
    from flawshot.episodes import Possible
    from flawshot.synthetic.demo_folder import DemoFolder

__all__ = ["demo"]

CATEGORIES, IMAGES, SIDE = 6, 100, 512
SHOTS, SEEDS = (1, 3, 5), 10
# The product drawn by default: brushed metal, whose six categories are visible even in a small picture.
SEED = 1
CLASSIFIERS = ("default", "matched-prototype", "zip-adapter", "prototype")
EPISODES, RESULTS, REPORT = "episodes/", "results.json", "report.html"
REAL_CLIP = "--model ViT-L-14-quickgelu --pretrained openai --views cross15"


def demo(
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            help="Folder for all output.",
            show_default="flawshot-demo; with --data, flawshot-demo-<its name>",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Use your own Labelme folder instead of drawn images."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", metavar="N", help="Random seed; each seed draws a different product.", show_default=str(SEED)
        ),
    ] = None,
    group: GroupOption = None,
    product: ProductOption = None,
    layout: LayoutOption = None,
    images: ImagesOption = None,
) -> None:
    """Run every step once, offline: images, feature bank, episodes, accuracies, and a report."""
    from flawshot.base.errors import FlawshotError
    from flawshot.synthetic.demo_folder import DemoFolder

    if data is None:
        for option, value in (("--group", group), ("--product", product), ("--layout", layout), ("--images", images)):
            if value:
                raise FlawshotError(f"{option}: is for your own data; name it with --data")
        drawn = SEED if seed is None else seed
        folder = DemoFolder(
            out or Path("flawshot-demo" if drawn == SEED else f"flawshot-demo-{drawn}"),
            f"{IMAGES} drawn images of {SIDE} px, {CATEGORIES} categories, seed {drawn}",
        )
        catalog = open_data(_draw(folder, drawn), None, None, strict=True)
    else:
        if seed is not None:
            raise FlawshotError("--seed: is for drawn data; omit it with --data")
        name = data.resolve().name
        place = out or Path(f"flawshot-demo-{name.removesuffix('.parquet')}")
        if data.is_dir() and place.resolve().is_relative_to(data.resolve()):
            raise FlawshotError(f"--out {place}: is inside --data {data}; name a folder outside it")
        catalog = open_data(data, layout, product, strict=False, images=images)
        folder = DemoFolder(place, str(data.resolve()))
        _say_own(catalog, data)
    folder.own([EPISODES, RESULTS, REPORT])  # refuse existing files before the long work
    groups = None if group is None else read_groups(group, catalog)
    bank, possible = _encode(folder, catalog, groups, data or folder.path / "images")
    _sample(folder, possible)
    _evaluate(folder, bank, possible)
    _next(folder, data, group, images)


def _draw(folder: DemoFolder, seed: int) -> Path:
    """Draw the images, or reuse those of an earlier run if they are unchanged; return their folder."""
    from collections import Counter

    from flawshot.cli.console import progress_bar
    from flawshot.synthetic.data_set import draw_data_set

    place = folder.path / "images"
    if folder.holds("images"):
        typer.echo(f"1. Images: reused from the last run, in {place}")
        return place
    with progress_bar("images") as progress, folder.making("images") as made:
        (drawn,) = draw_data_set(
            made / "images", categories=CATEGORIES, images=IMAGES, side=SIDE, seed=seed, progress=progress
        )
    counts = Counter(drawn.instances)
    typer.echo(
        f"1. Images: drew {drawn.images} of {drawn.surface}, {SIDE} px, with {counts.total()} flaws of {len(counts)} "
        f"categories, some similar on purpose ({', '.join(counts)}); Labelme files in {place / drawn.name}"
    )
    return place


def _say_own(catalog: Catalog, data: Path) -> None:
    images = len(set(catalog.column("image")))
    typer.echo(
        f"1. Images: {images} of {counted(len(catalog.products), 'product')} with "
        f"{counted(len(catalog), 'annotated instance')} in {data}"
    )


def _encode(
    folder: DemoFolder, catalog: Catalog, groups: Mapping[str, str] | None, data: Path
) -> tuple[FeatureBank, Possible]:
    """Encode a bank of exactly the instances that the episodes are drawn from."""
    from flawshot.bank.builder import encode_catalog
    from flawshot.base.errors import EpisodeError, printable
    from flawshot.cli.console import progress_bar, say, say_left_out
    from flawshot.encoders.flawshot_tiny import TINY, TINY_VIEWS, TinyEncoder
    from flawshot.episodes import sample_possible
    from flawshot.regions.views import make_scheme

    encoder, scheme = TinyEncoder(), make_scheme(*TINY_VIEWS)
    said: list[str] = []
    start = time.perf_counter()
    encoded = 0
    while True:
        possible = sample_possible(catalog, shots=SHOTS, seeds=range(SEEDS), groups=groups)
        for remark in possible.remarks:
            if remark not in said:
                say(printable(remark))
                said.append(remark)
        if not possible.episodes:
            raise EpisodeError(
                f"{data}: no product has two categories with enough instances; flawshot stats {data} counts them"
            )
        with progress_bar("crops") as progress:
            report = encode_catalog(
                possible.catalog,
                encoder,
                scheme,
                folder.path / "bank",
                overwrite=folder.is_own("bank/manifest.json"),
                progress=progress,
            )
        folder.note("bank/manifest.json")
        encoded += report.encoded
        if not report.left_out:
            break
        for entry in report.left_out:
            say_left_out(entry.reason, len(entry.instances))
        catalog = report.bank.catalog  # what cannot be encoded cannot be evaluated either
        catalog.root = possible.catalog.root  # the bank's catalog has the bank's folder as its root
        catalog.images = possible.catalog.images
    instances, views, _, dim = report.bank.manifest.shape
    took = f"{encoded} encoded in {time.perf_counter() - start:.1f} s" if encoded else "all reused from the last run"
    typer.echo(
        f"2. Features: {TINY}, the embedded encoder, sees each of {counted(instances, 'instance')} in {views} crops "
        f"with its mask and turns each crop into {dim} numbers; {took}, in {folder.path / 'bank'}"
    )
    return report.bank, possible


def _sample(folder: DemoFolder, possible: Possible) -> None:
    from flawshot.episodes import write_all
    from flawshot.evaluation.result_records import joined_support, shots_text

    with folder.making("episodes") as made:
        write_all(possible.episodes, made / "episodes")
    columns = (possible.catalog.column(name) for name in ("id", "category"))
    category_of = dict(zip(*columns, strict=True))
    sizes: dict[int, list[tuple[int, int]]] = {}
    for each in possible.episodes:
        sizes.setdefault(each.shots, []).extend(each.support_sizes(category_of).values())
    shots = [shots_text(k, joined_support(sizes[k])) for k in sorted(sizes)]
    typer.echo(
        f"3. Episodes: {SEEDS} draws each of {', '.join(shots)} examples per category to learn from, all "
        f"others as queries, no image in both; in {folder.path / 'episodes'}"
    )


def _evaluate(folder: DemoFolder, bank: FeatureBank, possible: Possible) -> None:
    from flawshot.cli.console import progress_bar
    from flawshot.cli.reporting import stamped
    from flawshot.cli.tables import print_results
    from flawshot.evaluation import evaluate
    from flawshot.report import write_report
    from flawshot.report.sentence import sentence

    started, clock = datetime.now(UTC), time.perf_counter()
    with progress_bar("episodes") as progress:
        results = evaluate(bank, possible.episodes, CLASSIFIERS, progress=progress)
    results = stamped(results, started, time.perf_counter() - clock)
    with folder.making(RESULTS, REPORT) as made:
        results.save(made / RESULTS)
        write_report(results, made / REPORT, data=possible.catalog)
    typer.echo(f"4. Accuracy of {len(CLASSIFIERS)} classifiers, and of baselines that learn nothing:")
    print_results(results, per_category=False)
    typer.echo(sentence(results))
    typer.echo(f"5. Report: {folder.path / REPORT} (open it in a browser); figures in {RESULTS} beside it")


def _next(folder: DemoFolder, data: Path | None, group: str | None, images: Path | None) -> None:
    """Print the commands that a user would run next."""
    own = shlex.quote(str(data)) if data else "parts"
    if images is not None:
        own += f" --images {shlex.quote(str(images))}"
    place = shlex.quote(str(folder.path))
    grouped = f" --group {shlex.quote(group)}" if group else ""
    lines = ["", "Next:"]
    if data is None:
        lines.append("  flawshot demo --data parts              # the same on your own Labelme folder")
    else:
        lines.append(f"  flawshot check {own}    # is anything wrong with the annotations?")
    lines += [
        f"  flawshot evaluate {place}/bank {place}/episodes --classifiers all    # every classifier",
        "with a real CLIP, whose weights are downloaded once:",
        f"  flawshot encode {own} --out bank {REAL_CLIP}",
        f"  flawshot sample {own} --out episodes{grouped}",
        "  flawshot evaluate bank episodes --report report.html",
    ]
    typer.echo("\n".join(lines))
