"""``flawshot import``: converts other formats to Labelme files, or to a feature bank."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.errors import FlawshotError, printable
from flawshot.base.wording import counted
from flawshot.cli.formats import FormatGroup, Given, Shown
from flawshot.cli.options import ImagesOption, OverwriteOption
from flawshot.cli.voice import with_voice
from flawshot.cli.wording import option_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flawshot.base.errors import Problem
    from flawshot.catalog import Catalog
    from flawshot.formats import Importer
    from flawshot.formats.importing import Imported

__all__ = ["imports"]

ProblemsOption = Annotated[
    Path | None,
    typer.Option("--problems", metavar="FILE", help="Write all problems to a text file, one per line."),
]


class _Imports(FormatGroup):
    """A command for each importer."""

    def table(self) -> Mapping[str, Importer]:
        from flawshot.formats import importers

        return importers()

    def made(self, entry: Importer, function: Callable[..., Imported]) -> Callable[..., None]:
        shown = Shown(function, frozenset({"overwrite", "progress", "say"}), unset=frozenset({"workers"}))
        more = {"problems": (None, ProblemsOption), "overwrite": (False, OverwriteOption)}
        return shown.command(partial(_import, entry, function), more)


imports = typer.Typer(
    cls=_Imports, no_args_is_help=True, help="Turn other formats into Labelme files, or into a feature bank."
)


def _import(
    entry: Importer, function: Callable[..., Imported], given: Given, *, problems: Path | None, overwrite: bool
) -> None:
    from flawshot.base.parallel import cores
    from flawshot.cli.console import progress_bar, say

    def remark(problem: Problem) -> None:
        say(given.problem(problem).worded(option_words))

    arguments = dict(given.arguments)
    if "workers" in arguments:
        arguments["workers"] = arguments["workers"] or cores()
    if "say" in inspect.signature(function).parameters:
        arguments["say"] = remark
    source, out = given.places
    try:
        with progress_bar(entry.counted) as progress:
            imported = function(source, out, **arguments, overwrite=overwrite, progress=progress)
    except FlawshotError as error:
        raise given.error(error) from error
    _tell(imported, given, problems, overwrite=overwrite)


@imports.command("mvrec-features")
@with_voice
def mvrec_features(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="A folder with <product>_support.pt and <product>_query.pt.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The feature bank's folder.")],
    annotations: Annotated[
        Path,
        typer.Option(
            "--annotations",
            metavar="DATA",
            help="The products' Labelme files, or MVTec-FS's CONFIG, which give the ids.",
        ),
    ],
    encoder: Annotated[
        str, typer.Option("--encoder", metavar="NAME", help="Name of the encoder that computed the features.")
    ] = "AlphaCLIP ViT-L/14",
    views: Annotated[str, typer.Option("--views", metavar="NAME", help="View scheme of the features.")] = "mso",
    images: ImagesOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Convert features that MVREC released, or its code wrote, to a feature bank."""
    from flawshot.bank.mvrec_bank import import_mvrec_features

    bank = import_mvrec_features(
        source, out, _annotations(annotations, images), encoder=encoder, views=views, overwrite=overwrite
    )
    instances, count, tokens, dim = bank.manifest.shape
    typer.echo(
        f"{out}: {counted(instances, 'instance')} of {', '.join(bank.catalog.products)}: {counted(count, 'view')} x "
        f"{counted(tokens, 'token')} x {dim}"
    )


def _tell(imported: Imported, given: Given, file: Path | None, *, overwrite: bool) -> None:
    """Report problems and the summary.

    The file of all problems is written last, so that the summary is printed even if this fails. The exit status is 1
    if all annotations of some file are unusable.
    """
    from flawshot.cli.console import say, say_problems, write_problems

    found, missing = (list(map(given.problem, problems)) for problems in (imported.problems, imported.missing))
    say_problems(found, given.places[0], remedy="--problems FILE writes all" if file is None else f"{file} lists all")
    if missing:
        count = counted(len(missing), "image is", "images are")
        first = imported.missing[0].image
        example = first if len(missing) == 1 else f"such as {first}"
        say(printable(f"{count} not found, {example}; name their folder with --images DIR"))
    typer.echo(imported.summary)
    if file is not None:
        write_problems([*found, *missing], file, overwrite=overwrite)
    for name in imported.useless:
        say(printable(f"{name}: none of its annotations are usable"))
    if imported.useless:
        raise typer.Exit(1)


def _annotations(place: Path, images: Path | None) -> Catalog:
    from flawshot.catalog import Catalog
    from flawshot.cli.console import say_problems
    from flawshot.formats.mvtec_fs import find_config, read_mvtec_fs

    try:
        find_config(place)
    except FlawshotError:
        catalog = Catalog.open(place, images=images)
        unsaid = {"missing-image"} if images is None else set()
        say_problems([problem for problem in catalog.problems if problem.kind not in unsaid], place)
        return catalog
    if images is not None:
        raise FlawshotError(f"--images: is for Labelme files, and {place} is MVTec-FS's CONFIG; omit it")
    return Catalog.from_annotations(read_mvtec_fs(place))
