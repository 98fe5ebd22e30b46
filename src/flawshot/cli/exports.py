"""``flawshot export``: converts a catalog to other formats."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import typer

from flawshot.base.errors import FlawshotError
from flawshot.cli.formats import FormatGroup, Given, Shown
from flawshot.cli.options import DataArgument, LayoutOption, OverwriteOption, ProductOption, StrictOption, open_data

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flawshot.formats import Exporter

__all__ = ["exports"]


class _Exports(FormatGroup):
    """A command for each exporter."""

    def table(self) -> Mapping[str, Exporter]:
        from flawshot.formats import exporters

        return exporters()

    def made(self, entry: Exporter, function: Callable[..., int]) -> Callable[..., None]:
        shown = Shown(function, frozenset({"overwrite"}), source=DataArgument)
        more = {
            "product": (None, ProductOption),
            "layout": (None, LayoutOption),
            "strict": (False, StrictOption),
            "overwrite": (False, OverwriteOption),
        }
        return shown.command(partial(_export, entry, function), more)


exports = typer.Typer(cls=_Exports, no_args_is_help=True, help="Turn Labelme files into other formats.")


@exports.callback()
def _callback() -> None:
    pass


def _export(
    entry: Exporter,
    function: Callable[..., int],
    given: Given,
    *,
    product: list[str] | None,
    layout: str | None,
    strict: bool,
    overwrite: bool,
) -> None:
    data, out = given.places
    catalog = open_data(data, layout, product, strict=strict)
    try:
        written = function(catalog, out, **given.arguments, overwrite=overwrite)
    except FlawshotError as error:
        raise given.error(error) from error
    typer.echo(f"{out}: {written} {entry.counted} of {len(catalog)} instances")
