"""``flawshot check``: what is wrong with the annotations, and which images show one sample."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.wording import counted
from flawshot.cli.options import (
    DataArgument,
    ImagesOption,
    LayoutOption,
    OverwriteOption,
    ProductOption,
    problems_of,
    whole_numbers,
)
from flawshot.cli.wording import option_words, stored_words

if TYPE_CHECKING:
    from flawshot.base.errors import Problem
    from flawshot.catalog import Catalog

__all__ = ["check"]

SHOWN = 3  # unusable images listed by name


def check(
    data: DataArgument,
    product: ProductOption = None,
    layout: LayoutOption = None,
    images: ImagesOption = None,
    shots: Annotated[
        str,
        typer.Option(
            "--shots", metavar="K,…", help="Report categories with too few instances for K shots and one query."
        ),
    ] = "5",
    fast: Annotated[bool, typer.Option("--fast", help="Read only the images' headers, not their pixels.")] = False,
    same_sample: Annotated[
        bool,
        typer.Option(
            "--same-sample",
            help="Instead, find images that show the same physical sample, and write a table for --group.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="DIR", help="Folder for groups.csv and evidence/ of --same-sample."),
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the findings as JSON; - prints them.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """List errors and oddities in the annotations; exit status 1 if there are any."""
    from flawshot.base.errors import FlawshotError
    from flawshot.catalog import Catalog
    from flawshot.cli.console import progress_bar
    from flawshot.labelme.data_folder import annotation_files

    numbers = whole_numbers(shots, "shots")
    if not data.is_dir():
        raise FlawshotError(f"{data}: is not a folder of Labelme files")
    if same_sample and out is None:
        raise FlawshotError("--same-sample: needs --out DIR, where groups.csv and the evidence go")
    if out is not None and not same_sample:
        raise FlawshotError("--out: is for --same-sample; findings go to --json FILE")
    with progress_bar("files") as progress:
        catalog = Catalog.from_folder(data, layout=layout, images=images, progress=progress)
    if not len(catalog) and not catalog.problems and not annotation_files(data, []):
        raise FlawshotError(f"{data}: contains no Labelme file")
    own = catalog.select(product) if product else catalog
    if out is not None:
        if not len(own):
            raise FlawshotError(f"{data}: contains no usable defect instance; flawshot check {data} says why")
        _same_sample(own, out, json, overwrite=overwrite)
    elif _findings(own, catalog, numbers, json, fast=fast, overwrite=overwrite):
        raise typer.Exit(1)


def _findings(
    own: Catalog, catalog: Catalog, shots: list[int], json: str | None, *, fast: bool, overwrite: bool
) -> list[Problem]:
    """Find, print and write what is wrong."""
    from flawshot.cli.console import print_json, progress_bar
    from flawshot.inspect.checks import check_data

    elsewhere = frozenset(catalog.column("annotation")) - frozenset(own.column("annotation"))
    with progress_bar("files") as progress:
        found = check_data(own, shots=shots, fast=fast, elsewhere=elsewhere, progress=progress)
    findings = sorted(
        problems_of(own, catalog) + found,
        key=lambda problem: (problem.kind, problem.file, problem.shape or 0, problem.message),
    )
    counts = Counter(problem.kind for problem in findings)
    if json is not None:
        print_json([asdict(problem) for problem in findings], json, overwrite=overwrite)
    if json != "-":
        kind = ""
        for problem in findings:
            if problem.kind != kind:
                kind = problem.kind
                typer.echo(f"{kind} ({counts[kind]})")
            typer.echo(f"  {problem.severity}: {problem.worded(option_words)}")
        typer.echo(f"{counted(len(findings), 'finding')} in the annotations of {counted(len(own), 'instance')}")
    return findings


def _same_sample(catalog: Catalog, out: Path, json: str | None, *, overwrite: bool) -> None:
    """Find, write and summarize groups of images that show one sample."""
    from flawshot.base.errors import printable
    from flawshot.cli.console import print_json, progress_bar, say, shown_of
    from flawshot.inspect.same_sample import find_same_samples
    from flawshot.inspect.same_sample_files import write_same_samples

    with progress_bar("images") as progress:
        found = find_same_samples(catalog, progress=progress)
    first = shown_of(len(found.unusable), SHOWN)
    for line in found.unusable[:first]:
        say(f"a group of its own: {printable(stored_words(line))}")
    if more := len(found.unusable) - first:
        say(f"and {counted(more, 'more unusable image')}")
    write_same_samples(found, catalog, out, overwrite=overwrite)
    several = [group for group in found.groups if len(group.images) > 1]
    if json is not None:
        print_json([asdict(group) for group in found.groups], json, overwrite=overwrite)
    if json != "-":
        images = sum(len(group.images) for group in several)
        largest = max((len(group.images) for group in several), default=1)
        typer.echo(
            f"{out / 'groups.csv'}: {counted(found.images, 'image')}, {counted(len(found.groups), 'group')}; "
            f"{len(several)} with several images ({images} in all, the largest {largest}), shown in {out / 'evidence'}"
        )
        if several:
            typer.echo(f"review them, then: flawshot sample DATA --out DIR --group {out / 'groups.csv'}")
