"""Paths that other people's annotations name, the folders of products and splits, and boxes of whole pixels."""

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

# A rectangle's second corner lies this far inside the end of its box. Drawing cuts coordinates to whole pixels, so the
# rectangle covers the box's pixels and no more; and a box of one pixel has an extent that can be seen and grasped.
INSET = 0.25


def file_path(text: str, field: str) -> PurePosixPath:
    r"""A file's path from someone else's annotations, which may lead anywhere: relative, and inside its folder.

    Args:
        text: The path, with slashes or backslashes; blanks and what cannot be seen around it are not part of it.
        field: What to call it in the error.

    Raises:
        FlawshotError: If it leaves its folder, or no file can be called that.

    >>> file_path("a\\b.png", "image")
    PurePosixPath('a/b.png')
    """
    given = PureWindowsPath(without_blanks(text))
    parts = [part.strip(UNSEEN) for part in given.as_posix().split("/") if part != "."]
    if given.drive or given.root or ".." in parts:
        raise FlawshotError(f"{field}: {text!r} leaves the folder; it must be a path inside it")
    if not all(map(is_file_name, parts)) or not parts:
        raise FlawshotError(f"{field}: {text!r} is no name that a file can have; rename it")
    return PurePosixPath(*parts)


def product_folder(text: str, field: str = "product") -> str:
    """A product's name, which is that of its folder.

    Raises:
        FlawshotError: If no folder can be called that, or it would be read as a split's.
    """
    path = file_path(text, field)
    if len(path.parts) > 1:
        raise FlawshotError(f"{field}: {text!r} must be the name of one folder, without slashes; rename it")
    if is_split(path.name):
        raise FlawshotError(f"{field}: {text!r} is a split's name; give the folder above it, or rename it")
    return unicodedata.normalize("NFC", path.name)


def is_file_name(name: str) -> bool:
    """Whether a file that is read can have a name."""
    # Folders and files whose name begins with a dot are passed over when a data folder is read.
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
    """The first folder that is a split's, None where there is none, and the others.

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
    """The first that is a file and, its links followed, lies in one of the folders that the user named.

    Args:
        candidates: Where it may lie.
        roots: The folders.
        problems: Files behind links out of the folders are added here.
    """
    for candidate in candidates:
        try:
            if not candidate.is_file():
                continue
            if any(lies_within(candidate, root) for root in roots):
                return candidate
            problems.append(Problem(str(candidate), *LINK_OUT))
        except OSError:  # a name that the file system cannot have
            continue
    return None
