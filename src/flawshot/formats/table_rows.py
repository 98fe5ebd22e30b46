"""Rows of tables of annotations, in the encoding in which most of their images are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flawshot.base.delimited import DelimitedText, Row, read_rows, readings_of
from flawshot.formats.texts import NamedText, guess_told, likeliest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from flawshot.base.errors import Problem

__all__ = ["TABLES", "read_table"]

TABLES = (".csv", ".tsv", ".txt")


def read_table(
    path: Path,
    name: str,
    fits: Callable[[list[str]], bool],
    needs: str,
    *,
    names: set[str],
    problems: list[Problem],
    header: Sequence[str] = (),
) -> list[Row]:
    """A table's rows, in the encoding in which most of its images are there.

    Args:
        path: The file.
        name: Its name for problems.
        fits: Whether it is a table with these columns, in lower case.
        needs: What it needs, for the error.
        names: The names of images, as from :func:`~flawshot.formats.texts.name_key`.
        problems: A warning is added here where the encoding is a guess.
        header: The columns' names, if its first row has none.

    Raises:
        FlawshotError: If it is no such table, or damaged.
    """
    readings = [_headed(each, header) for each in readings_of(path, (lambda _: True) if header else fits, needs)]
    best = readings[0]
    if len(readings) > 1:
        texts = [NamedText(each.text, each.encoding) for each in readings]
        best = readings[likeliest(texts, names)]
    problems.extend(guess_told(best.encoding, name))
    return list(read_rows(best, path))


def _headed(table: DelimitedText, header: Sequence[str]) -> DelimitedText:
    if not header:
        return table
    first = table.text.split("\n", 1)[0]
    separator = max(",;\t| ", key=first.count)
    return table._replace(text=f"{separator.join(header)}\n{table.text}", first=table.first - 1, separator=separator)
