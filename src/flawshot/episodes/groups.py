"""Groups: which images show the same physical sample."""

from __future__ import annotations

import re
import unicodedata
from itertools import takewhile
from typing import TYPE_CHECKING

from flawshot.base.arguments import argument
from flawshot.base.delimited import delimited_texts, read_rows
from flawshot.base.errors import EpisodeError, FlawshotError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from flawshot.base.delimited import DelimitedText

__all__ = ["groups_from_csv", "groups_from_regex", "values_from_csv"]


def groups_from_regex(pattern: str, images: Iterable[str]) -> dict[str, str]:
    r"""Derive each image's group from its path.

    Args:
        pattern: A regular expression that is searched for in the path. The group is the text captured by its
            parentheses, joined by ``/``, or the whole match if it has none.
        images: Image paths relative to the data root (POSIX).

    Raises:
        EpisodeError: If the pattern is not a regular expression, or does not match an image.

    >>> groups_from_regex(r"tile(\d+)_", ["a/tile7_exp1.png", "b/tile7_exp2.png", "a/tile8_exp1.png"])
    {'a/tile7_exp1.png': '7', 'b/tile7_exp2.png': '7', 'a/tile8_exp1.png': '8'}
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise EpisodeError(f"{argument('pattern', pattern)}: is not a regular expression ({error})") from error
    groups = {}
    for image in dict.fromkeys(images):
        match = compiled.search(image)
        caught = None if match is None else match.groups() or (match.group(),)
        if caught is None or not all(caught):
            raise EpisodeError(f"{argument('pattern', pattern)}: does not match {image}; every image needs a group")
        groups[image] = "/".join(caught)
    return groups


def groups_from_csv(path: Path, images: Iterable[str]) -> dict[str, str]:
    """Look up each image's group in a table.

    Args:
        path: A table of text with the columns ``image`` and ``group``, as spreadsheets save it: separated by commas,
            semicolons or tabs, in UTF-8, UTF-16 or a local encoding. An image is named by its path relative to the data
            root or, if the data was in other folders when the table was made, by a path with the same ending that
            matches no other image.
        images: Image paths relative to the data root (POSIX).

    Raises:
        EpisodeError: If the table cannot be read, lacks a column, gives an image two groups, or lacks an image.
    """
    return values_from_csv(path, images, "group")


def values_from_csv(path: Path, images: Iterable[str], column: str) -> dict[str, str]:
    """Look up what a table says of each image in one of its columns; see :func:`groups_from_csv`.

    Args:
        path: The table, with the column ``image``.
        images: Image paths relative to the data root (POSIX).
        column: The other column, in lower case.

    Raises:
        EpisodeError: If the table cannot be read, lacks a column, gives an image two values, or lacks an image.
    """
    wanted = list(dict.fromkeys(images))
    try:
        tables = [_table(path, text, column) for text in delimited_texts(path, ("image", column))]
    except FlawshotError as error:
        raise EpisodeError(error) from error
    # If the encoding is not declared, take the one in which most of the images have a row.
    names = {_key(image)[-1] for image in wanted}
    table = max(tables, key=lambda table: len(names & {row[-1] for row in table}))
    by_name: dict[str, list[tuple[str, ...]]] = {}
    for path_of_row in table:
        by_name.setdefault(path_of_row[-1], []).append(path_of_row)
    values: dict[str, str] = {}
    # A row with an image's whole path is no other image's.
    claimed = {key: image for image in wanted if (key := _key(image)) in table}
    for image in wanted:
        key = _key(image)
        row: tuple[str, ...] | None = key if key in table else _likest(key, by_name.get(key[-1], []))
        if row is None or (row != key and claimed.setdefault(row, image) != image):
            why = f"cannot be distinguished from others named {key[-1]}" if by_name.get(key[-1]) else "has no row"
            raise EpisodeError(f"{path}: image: {image} {why}; add a row with its path and its {column}")
        values[image] = table[row]
    return values


def _key(image: str) -> tuple[str, ...]:
    """An image's path for comparison: its folders and its name, in one Unicode form."""
    path = unicodedata.normalize("NFC", image).replace("\\", "/")
    return tuple(part for part in path.split("/") if part not in {"", "."}) or ("",)


def _likest(key: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
    """The row that shares the most trailing folders with an image; None if there is no single such row."""

    def agreement(row: tuple[str, ...]) -> int:
        pairs = zip(key[::-1], row[::-1], strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    most = max(map(agreement, rows), default=0)
    best = [row for row in rows if agreement(row) == most]
    return best[0] if len(best) == 1 else None


def _table(path: Path, text: DelimitedText, column: str) -> dict[tuple[str, ...], str]:
    table: dict[tuple[str, ...], str] = {}
    for number, row in read_rows(text, path):
        image, value = row["image"], row[column]
        if not image or not value:
            absent = column if image else "image"
            raise EpisodeError(f"{path}: row {number}: {absent} is empty; every row needs an image and its {column}")
        if table.setdefault(_key(image), value) != value:
            raise EpisodeError(f"{path}: row {number}: {image} has a different {column} in an earlier row")
    return table
