"""Long work that an interruption does not undo: a hidden, locked folder whose one growing file is kept."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from flawshot.base.store.locks import lock
from flawshot.base.store.places import discard

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["UnfinishedFolder", "unfinished_place"]

# At most so many seconds of work are lost to a power failure.
CHECKPOINT_SECONDS = 5.0


def unfinished_place(out: Path) -> Path:
    """Where work on a folder or file is kept until it is finished: hidden, beside its place."""
    return out.with_name(f".{out.name}.unfinished")


class UnfinishedFolder:
    """The folder of unfinished work, open for one process at a time.

    Args:
        out: What the work is to become, resolved.
        name: The growing file in the folder; opened for reading and writing, and kept from an earlier call.

    Raises:
        OSError: If it cannot be written.
        FlawshotError: If another process is at it.

    Attributes:
        out: What the work is to become.
        path: The folder.
        file: The growing file.
    """

    def __init__(self, out: Path, name: str) -> None:
        self.out = out
        self.path = unfinished_place(out)
        self.path.mkdir(parents=True, exist_ok=True)
        place = self.path / name
        self.file = place.open("r+b" if place.is_file() else "w+b")
        lock(self.file, self.path)
        self._saved = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to bring the file to the disk."""
        return time.monotonic() - self._saved > CHECKPOINT_SECONDS

    def to_disk(self) -> None:
        """Bring all that was written to the file to the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self._saved = time.monotonic()

    def discard(self) -> None:
        """Remove the folder, once the work is in its place or of no use."""
        discard(self.path, self.out)
