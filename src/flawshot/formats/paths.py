"""Paths in third-party annotations, the folders of products and splits, and boxes of whole pixels."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from flawshot.base.errors import FlawshotError, Problem
from flawshot.base.names import LONGEST_NAME, shows
from flawshot.formats.texts import UNSEEN, without_blanks
from flawshot.formats.tree_files import LINK_OUT, lies_within
from flawshot.labelme.layout import SPLIT_FOLDERS, is_split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["box_corners", "file_path", "first_file", "is_file_name", "product_folder", "split_and_rest"]

# A rectangle's second corner is this far inside the end of its box. Drawing truncates coordinates to whole pixels, so
# the rectangle covers exactly the box's pixels, and a box of one pixel is still visible and can be dragged.
INSET = 0.25


def file_path(text: str, field: str) -> PurePosixPath:
    r"""A path from third-party annotations, checked to be relative and inside its folder.

    Args:
        text: The path, with slashes or backslashes; surrounding blanks and invisible characters are removed.
        field: Its name for the error.

    Raises:
        FlawshotError: If it leads out of its folder, or is not a valid file path.

    >>> file_path("a\\b.png", "image")
    PurePosixPath('a/b.png')
    """
    given = PureWindowsPath(without_blanks(text))
    parts = [part.strip(UNSEEN) for part in given.as_posix().split("/") if part != "."]
    if given.drive or given.root or ".." in parts:
        raise FlawshotError(f"{field}: {text!r} points outside the folder; name a path inside it")
    if not all(map(is_file_name, parts)) or not parts:
        raise FlawshotError(f"{field}: {text!r} is not a valid file name; rename it")
    return PurePosixPath(*parts)


def product_folder(text: str, field: str = "product") -> str:
    """A product's name, which is also its folder's name.

    Raises:
        FlawshotError: If it is not a valid folder name, or would be read as a split.
    """
    path = file_path(text, field)
    if len(path.parts) > 1:
        raise FlawshotError(f"{field}: {text!r} must be the name of one folder, without slashes; rename it")
    if is_split(path.name):
        raise FlawshotError(f"{field}: {text!r} is a split's name; name the folder above it, or rename it")
    return unicodedata.normalize("NFC", path.name)


def is_file_name(name: str) -> bool:
    """Whether a name is valid for a file that flawshot reads."""
    # Folders and files whose name begins with a dot are skipped when a data folder is read.
    if not name or name.startswith(".") or "/" in name or not all(map(shows, name)):
        return False
    return len(name.encode(errors="replace")) <= LONGEST_NAME


def box_corners(x0: float, y0: float, x1: float, y1: float) -> list[list[float]]:
    """The points of a Labelme rectangle that covers exactly the pixels of a half-open box.

    >>> box_corners(2, 3, 5, 4)
    [[2.0, 3.0], [4.75, 3.75]]
    """
    return [[float(x0), float(y0)], [max(float(x0), x1 - INSET), max(float(y0), y1 - INSET)]]


def split_and_rest(folders: Iterable[str]) -> tuple[str | None, list[str]]:
    """The first folder that is a split, or None, and the other folders.

    >>> split_and_rest(["bolt", "Test", "a"])
    ('Test', ['bolt', 'a'])
    """
    split, rest = None, []
    for folder in folders:
        if split is None and folder.lower() in SPLIT_FOLDERS:
            split = folder
        else:
            rest.append(folder)
    return split, rest


def first_file(candidates: Iterable[Path], roots: Sequence[Path], problems: list[Problem]) -> Path | None:
    """The first candidate that is a file and, after following links, is in one of the folders that the user named.

    Args:
        candidates: Possible paths.
        roots: The folders.
        problems: Links to files outside the folders are added here.
    """
    for candidate in candidates:
        try:
            if not candidate.is_file():
                continue
            if any(lies_within(candidate, root) for root in roots):
                return candidate
            problems.append(Problem(str(candidate), *LINK_OUT))
        except OSError:  # a name that is invalid in this file system
            continue
    return None
