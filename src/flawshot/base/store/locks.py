"""Locks on files and folders, which the system releases when a process ends in any way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["busy", "close", "is_at", "lock", "locked", "open_to_lock"]


def lock(file: BinaryIO, folder: Path) -> None:
    """Lock unfinished work against other processes; the system releases the lock when the process ends.

    Raises:
        FlawshotError: If another process has the lock.
    """
    if locked(file.fileno()) is False:
        raise busy(folder)


def locked(file: int) -> bool | None:
    """Lock an open file or folder; False if another process has the lock, None if locks are not supported."""
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
    """Open a file or folder for locking; None if that is impossible."""
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None


def close(file: int | None) -> None:
    """Close a file, if there is one, and release its lock."""
    if file is not None:
        os.close(file)


def is_at(file: int, path: Path) -> bool:
    """Whether an open file or folder is the one that is at a path now."""
    try:
        return os.path.samestat(os.fstat(file), os.lstat(path))
    except OSError:
        return False


def busy(path: Path) -> FlawshotError:
    """The error if another process is working on a path."""
    return FlawshotError(f"{path}: another flawshot process is working there; wait for it to finish")
