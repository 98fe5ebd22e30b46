"""Writing of several files that belong together, so that the files of a killed run can be removed."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.store.locks import close, is_at, locked, open_to_lock
from flawshot.base.store.places import claimed_file, hidden, remove_left

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["undo_half", "write_together"]


def write_together(contents: Mapping[Path, bytes], *, overwrite: bool = False) -> None:
    """Write the files of one run, none of which is useful without the others.

    All are complete before the first one is moved into place. If the process is killed between the first and the last,
    :func:`undo_half` removes them, and the run can be repeated.

    Raises:
        FlawshotError: If one of them exists and ``overwrite`` is false, or cannot be written; new files are then
            removed.
    """
    with ExitStack() as stack:
        written: list[tuple[Path, Path]] = []
        for path, data in contents.items():
            if path.is_dir():
                raise FlawshotError(f"{path}: is a folder; name a file")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary = stack.enter_context(claimed_file(path))
                temporary.write_bytes(data)
            except OSError as error:
                raise FlawshotError(f"{path}: cannot be written ({error.strerror or error})") from error
            written.append((temporary, path))
        _put(written, overwrite=overwrite)


def undo_half(paths: Sequence[Path]) -> None:
    """Remove the files that a killed process moved into place, unless all of them are there."""
    whole = all(os.path.lexists(path) for path in paths)
    for path in paths:
        temporary = hidden(path, "tmp")
        file = open_to_lock(temporary)
        if file is None:
            continue
        try:
            with suppress(OSError):
                if locked(file) and not whole and is_at(file, path):
                    path.unlink()
        finally:
            close(file)
        with suppress(OSError):
            remove_left(temporary, path)


def _put(made: Sequence[tuple[Path, Path]], *, overwrite: bool) -> None:
    """Move several new files into place.

    If nothing may be replaced, each file gets its final name as a second hard link, so that :func:`undo_half` can
    recognize the files of this call.

    Raises:
        FlawshotError: If a path is taken and ``overwrite`` is false, or a file cannot be renamed.
    """
    placed: list[Path] = []
    for temporary, path in made:
        try:
            if overwrite:
                temporary.replace(path)
                continue
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links
                if os.path.lexists(path):
                    raise FileExistsError from None
                temporary.replace(path)
            placed.append(path)
        except OSError as error:
            for each in placed:
                each.unlink(missing_ok=True)
            if isinstance(error, FileExistsError):
                raise FlawshotError(
                    f"{path}: exists; name another file, move it away, or add {argument('overwrite', True)}"
                ) from error
            raise FlawshotError(f"{path}: cannot be written ({error.strerror or error})") from error
