"""Groups: which images show the same physical sample."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from flawshot.errors import EpisodeError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["groups_from_csv", "groups_from_regex"]


def groups_from_regex(pattern: str, images: Iterable[str]) -> dict[str, str]:
    r"""Read each image's group off its path.

    Args:
        pattern: A regular expression, searched for in the path; what its parentheses catch, joined by ``/``, is the
            group, or the whole match where there are none.
        images: Image paths relative to the data root (POSIX).

    Raises:
        EpisodeError: If the pattern is none, or an image does not match it.

    >>> groups_from_regex(r"tile(\d+)_", ["a/tile7_exp1.png", "b/tile7_exp2.png", "a/tile8_exp1.png"])
    {'a/tile7_exp1.png': '7', 'b/tile7_exp2.png': '7', 'a/tile8_exp1.png': '8'}
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise EpisodeError(f"--group {pattern!r}: is not a regular expression ({error})") from error
    groups = {}
    for image in dict.fromkeys(images):
        match = compiled.search(image)
        caught = None if match is None else match.groups() or (match.group(),)
        if caught is None or not all(caught):
            raise EpisodeError(f"--group {pattern!r}: does not match the image {image}; every image needs a group")
        groups[image] = "/".join(caught)
    return groups


def groups_from_csv(path: Path, images: Iterable[str]) -> dict[str, str]:
    """Look up each image's group in a table.

    Args:
        path: A CSV file with the columns ``image`` and ``group``. An image is named by its path relative to the data
            root, or, where the data lay in other folders when the table was made, by any path whose file name no
            other row and no other image has.
        images: Image paths relative to the data root (POSIX).

    Raises:
        EpisodeError: If the table cannot be read, gives an image two groups, or has none for an image.
    """
    table = _read(path)
    by_name: dict[str, set[str]] = {}
    for image in table:
        by_name.setdefault(_name(image), set()).add(image)
    wanted = list(dict.fromkeys(images))
    names: dict[str, int] = {}
    for image in wanted:
        names[_name(image)] = names.get(_name(image), 0) + 1
    groups = {}
    for image in wanted:
        rows = {image} if image in table else by_name.get(_name(image), set())
        if len(rows) != 1 or (image not in table and names[_name(image)] > 1):
            why = "has no row" if not rows else f"cannot be told from others named {_name(image)}"
            raise EpisodeError(f"{path}: image: {image} {why}; add a row with its path and its group")
        groups[image] = table[rows.pop()]
    return groups


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _read(path: Path) -> dict[str, str]:
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EpisodeError(f"{path}: cannot be read as a CSV file ({error})") from error
    table: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        image, group = ((row.get(column) or "").strip() for column in ("image", "group"))
        if not image or not group:
            raise EpisodeError(f"{path}: row {number}: needs both columns, image and group")
        image = image.replace("\\", "/")
        if table.setdefault(image, group) != group:
            raise EpisodeError(f"{path}: row {number}: {image} has another group than in an earlier row")
    return table
