"""Locks on files and folders, which the system lets go of when a process ends, however it ends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["busy", "close", "is_at", "lock", "locked", "open_to_lock"]


def lock(file: BinaryIO, folder: Path) -> None:
    """Keep a second call away from the same unfinished work; the system lets go when the process ends.

    Raises:
        FlawshotError: If another process has the lock.
    """
    if locked(file.fileno()) is False:
        raise busy(folder)


def locked(file: int) -> bool | None:
    """Lock an open file or folder: False if another process has the lock, None where there are no such locks."""
    try:
        import fcntl  # noqa: PLC0415 - not on every system
    except ImportError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems
        return None
    return True


def open_to_lock(path: Path) -> int | None:
    """A file or folder, opened to be locked; None where that cannot be done."""
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None


def close(file: int | None) -> None:
    """Close what was opened, if anything was, and let go of its lock."""
    if file is not None:
        os.close(file)


def is_at(file: int, path: Path) -> bool:
    """Whether an open file or folder is the one that is at a path now."""
    try:
        return os.path.samestat(os.fstat(file), os.lstat(path))
    except OSError:
        return False


def busy(path: Path) -> FlawshotError:
    """What to say where another process is at work."""
    return FlawshotError(f"{path}: another flawshot is at work there; wait for it")
