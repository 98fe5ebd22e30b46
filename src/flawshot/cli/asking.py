"""``flawshot ask``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.wording import counted
from flawshot.cli.options import (
    DataArgument,
    ImagesOption,
    LayoutOption,
    OverwriteOption,
    ProductOption,
    RowsOption,
    StrictOption,
    open_data,
)
from flawshot.cli.querying import CropsOption, LimitOption, print_hits, row_documents, write_crops

if TYPE_CHECKING:
    from flawshot.inspect.asking import Question

__all__ = ["ask"]

# Characters of a line; a condition may have as many.
LONGEST_LINE = 20_000


def ask(
    data: DataArgument,
    question: Annotated[
        str,
        typer.Argument(
            metavar="QUESTION",
            help='What to look for, in words, such as "defects larger than 5000 pixels in bolts, near the edge".',
        ),
    ],
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Ignore words that are not understood; they are printed.")
    ] = False,
    limit: LimitOption = None,
    crops: CropsOption = None,
    json: RowsOption = None,
    product: ProductOption = None,
    layout: LayoutOption = None,
    images: ImagesOption = None,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """List the instances that answer a question in words, and print how it was understood."""
    import pyarrow as pa

    from flawshot.cli.console import print_json, say
    from flawshot.inspect.asking.question import ask_rows, read_question

    catalog = open_data(data, layout, product, strict=strict, images=images, geometry=crops is not None)
    asked = read_question(question, catalog)
    if not asked.empty:
        _explain(asked, apart=json == "-")
    asked.refuse_unknown(anyway=anyway)
    if asked.unknown:
        say(f"not understood, and ignored: {', '.join(each.said for each in asked.unknown)}")
    rows = ask_rows(catalog, asked)
    hits = catalog.with_rows(catalog.table.take(pa.array(rows[:limit], pa.int64())))
    if crops is not None:
        write_crops(hits, crops, overwrite=overwrite)
    if json is not None:
        print_json(row_documents(hits), json, overwrite=overwrite)
    if json != "-":
        if not asked.counting:
            print_hits(hits, every=limit is not None)
        left_out = "" if len(hits) == len(rows) else f", of which the first {len(hits)} are used"
        every = catalog.column("image")
        shown = len({every[row] for row in rows})
        typer.echo(f"{len(rows)} of {counted(len(catalog), 'instance')}, on {counted(shown, 'image')}{left_out}")


def _explain(question: Question, *, apart: bool) -> None:
    """Print what was understood, uncut, so that the condition can be copied; apart from results in JSON."""
    from flawshot.base.errors import printable
    from flawshot.cli.voice import this_voice

    if apart and this_voice().quiet:
        return
    for line in question.explained():
        typer.echo(printable(line, LONGEST_LINE), err=apart)
