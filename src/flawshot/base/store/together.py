"""Several files that belong together: all of one run are there, or what a killed one wrote can be taken back."""

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
    """Write several files of which none is of use without the others, those of one run.

    All are whole before the first one takes its place. If the process is killed between the first and the last,
    :func:`undo_half` can tell, and the run can be repeated.

    Raises:
        FlawshotError: If one of them is there already and ``overwrite`` is false, or cannot be written; what was not
            there before is then not there.
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
    """Take back what a killed process put in place of several files that belong together, unless all are there."""
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
    """Give several new files their places.

    Where nothing may be replaced, each gets its name as a second one, so that until the end it can be told which file
    at a place is of this call: :func:`undo_half` does.

    Raises:
        FlawshotError: If a place is taken and ``overwrite`` is false, or a name cannot be given.
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
            except OSError:  # a file system without links
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
