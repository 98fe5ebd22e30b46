"""The files under a folder, without following links out of it."""

from __future__ import annotations

import os
from pathlib import Path

from flawshot.base.errors import Problem

__all__ = ["LINK_OUT", "files_under", "lies_within"]

# Kind and message of the problem for such a link.
LINK_OUT = ("link", "is a link to outside the folder and is not read; copy it here")


def lies_within(path: Path, folder: Path) -> bool:
    """Whether a path, after following links, is in a folder."""
    return path.resolve().is_relative_to(folder.resolve())


def files_under(root: Path, suffixes: tuple[str, ...], problems: list[Problem], *, beyond: Path | None) -> list[str]:
    """Files with some suffixes, as sorted paths relative to a folder (POSIX); dotfiles are skipped.

    Args:
        root: The folder.
        suffixes: The suffixes, in lower case.
        problems: Omissions are added here: linked folders, files linked from outside the folder, names that are not
            valid text, and unreadable files.
        beyond: A folder that is not searched.
    """
    root, out = root.resolve(), None if beyond is None else beyond.resolve()
    found: list[str] = []

    def unreadable(error: OSError) -> None:
        name = Path(error.filename or root).relative_to(root).as_posix()
        problems.append(Problem(name, "unreadable", f"the folder cannot be read ({error.strerror or error})"))

    for place, folders, names in os.walk(root, onerror=unreadable):
        folder = Path(place)
        shown = [name for name in folders if not name.startswith(".") and folder / name != out]
        problems.extend(
            Problem((folder / name).relative_to(root).as_posix(), "link", "is a link and is not followed; copy it here")
            for name in shown
            if (folder / name).is_symlink()
        )
        folders[:] = shown
        for name in names:
            if name.startswith(".") or not name.lower().endswith(suffixes):
                continue
            path = folder / name
            relative = path.relative_to(root).as_posix()
            wrong = _wrong(path, relative, root)
            if wrong is None:
                found.append(relative)
            else:
                problems.append(wrong)
    problems.sort(key=lambda problem: problem.file)
    return sorted(found)


def _wrong(path: Path, name: str, root: Path) -> Problem | None:
    """The reason why a file is not read, or None."""
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = name.encode(errors="backslashreplace").decode()
        return Problem(shown, "file-name", "the file name is not valid text; rename it")
    if path.is_symlink() and not lies_within(path, root):
        return Problem(name, *LINK_OUT)
    if not path.is_file():
        return Problem(name, "unreadable", "is not an ordinary file")
    return None
