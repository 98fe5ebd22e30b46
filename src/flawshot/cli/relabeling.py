"""``flawshot relabel``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.arguments import argument
from flawshot.base.wording import counted
from flawshot.cli.options import ImagesOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.formats.relabeling import Relabeled

__all__ = ["relabel"]


def relabel(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder of Labelme JSON files with their images.")],
    *,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="NEW", help="Folder for the copies; it must be new or empty.")
    ],
    rename: Annotated[
        list[str] | None, typer.Option("--rename", metavar="OLD=NEW", help="Give a label another name; repeatable.")
    ] = None,
    merge: Annotated[
        list[str] | None, typer.Option("--merge", metavar="A,B=C", help="Make A and B the label C; repeatable.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", metavar="LABEL", help="Remove the shapes of a label; repeatable.")
    ] = None,
    images: ImagesOption = None,
) -> None:
    """Copy Labelme files and their images with labels renamed, merged or dropped; nothing else is changed."""
    from flawshot.base.errors import FlawshotError
    from flawshot.cli.console import progress_bar, say_problems
    from flawshot.formats.relabeling import relabel_folder

    if not (rename or merge or drop):
        raise FlawshotError("nothing to change: name labels with --rename, --merge or --drop")
    renamed, merged = _pairs("rename", rename or []), _pairs("merge", merge or [])
    with progress_bar("files") as progress:
        made = relabel_folder(
            data, out, rename=renamed, merge=merged, drop=drop or [], images=images, progress=progress
        )
    say_problems(made.problems, data)
    _print(made, out)


def _pairs(name: str, given: Sequence[str]) -> dict[str, str]:
    """New labels by old ones."""
    from flawshot.base.errors import FlawshotError

    made: dict[str, str] = {}
    for text in given:
        left, equals, new = text.rpartition("=")
        olds = left.split(",") if name == "merge" else [left]
        if not equals or not all(olds) or not new:
            shape = "A,B=C, the labels that become C" if name == "merge" else "OLD=NEW"
            raise FlawshotError(f"{argument(name, text[:80])}: must be {shape}")
        for old in olds:
            if old in made:
                raise FlawshotError(f"{argument(name, text[:80])}: {old!r} is given twice; remove one of them")
            made[old] = new
    return made


def _print(made: Relabeled, out: Path) -> None:
    from flawshot.cli.console import new_table, plain, print_table

    table = new_table("Changes", "label", "becomes", "shapes", left=2)
    for (old, new), count in made.changed.items():
        table.add_row(plain(old), "(dropped)" if new is None else plain(new), str(count))
    print_table(table)
    emptied = f", {made.emptied} of them without a shape now" if made.emptied else ""
    typer.echo(
        f"{out}: {counted(made.files, 'Labelme file')} with {counted(made.shapes, 'shape')}, "
        f"{made.changed_files} of them changed{emptied}; {counted(made.images, 'image')}"
    )
