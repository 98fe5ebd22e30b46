"""Resumable long work: a hidden, locked folder with one growing file, kept after an interruption."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from flawshot.base.store.locks import lock
from flawshot.base.store.places import discard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["UnfinishedFolder", "unfinished_place"]

# A power failure loses at most this many seconds of work.
CHECKPOINT_SECONDS = 5.0


def unfinished_place(out: Path) -> Path:
    """The hidden path beside a folder or file where work on it is kept until it is finished."""
    return out.with_name(f".{out.name}.unfinished")


class UnfinishedFolder:
    """A folder of unfinished work, for one process at a time.

    Args:
        out: The path of the finished work, resolved.
        name: The growing file in the folder; opened for reading and writing, and kept from an earlier call.

    Raises:
        OSError: If it cannot be written.
        FlawshotError: If another process is using it.

    Attributes:
        out: The path of the finished work.
        path: The folder.
        file: The growing file.
    """

    def __init__(self, out: Path, name: str) -> None:
        self.out = out
        self.path = unfinished_place(out)
        self.path.mkdir(parents=True, exist_ok=True)
        place = self.path / name
        self.file = place.open("r+b" if place.is_file() else "w+b")
        with self.closing_on_failure():
            lock(self.file, self.path)
        self._saved = time.monotonic()

    @contextmanager
    def closing_on_failure(self) -> Iterator[None]:
        """Close the file, and so let go of the folder, if what is done within fails."""
        try:
            yield
        except BaseException:
            with suppress(OSError):  # what could not be written cannot be written now either
                self.file.close()
            raise

    @property
    def due(self) -> bool:
        """Whether it is time to flush the file to disk."""
        return time.monotonic() - self._saved > CHECKPOINT_SECONDS

    def to_disk(self) -> None:
        """Flush everything written to the file to disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self._saved = time.monotonic()

    def discard(self) -> None:
        """Remove the folder, once the work is in place or no longer needed."""
        discard(self.path, self.out)
