"""Atomic replacement of files and folders: a path has the complete old or new content, even if the writer is killed.

New content is hidden beside its final path until it is complete: ``.NAME.<16 hex digits>.tmp``. The writing process
holds a lock on it, which distinguishes the leftovers of a killed process from the files of a running one. The reasons
are in ``docs/adr/0023``.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import secrets
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from flawshot.base.errors import FlawshotError
from flawshot.base.store.locks import busy, close, is_at, locked, open_to_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "claimed_file",
    "discard",
    "hidden",
    "hold",
    "new_folder",
    "put",
    "remove_dead",
    "remove_left",
    "scratch",
    "settle",
    "stamp",
    "steadily",
]

Read = TypeVar("Read")

PATIENCE_SECONDS = 2.0
# The paths locked in the current context, which are not locked again.
HELD: ContextVar[frozenset[Path]] = ContextVar("HELD", default=frozenset())
LEFT_FILE = re.compile(r"\.(.+)\.[0-9a-f]{16}\.tmp", re.DOTALL)
LONGEST = 200  # bytes of a name that becomes part of a hidden one
AT_FDCWD, SWAP = -100, 2  # of renameat2; renamex_np's RENAME_SWAP is 2 as well


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Prevent other processes from writing to a path; calls within one process may be nested.

    Raises:
        FlawshotError: If another process is working there.
    """
    path = _real(path)
    held = HELD.get()
    if path in held or not path.name:
        yield
        return
    settle(path)
    place, file = hidden(path, "lock"), _held(path)
    token = HELD.set(held | {path})
    try:
        yield
    finally:
        HELD.reset(token)
        if file is not None:
            with suppress(OSError):
                place.unlink()
            close(file)


def _held(path: Path) -> int | None:
    """The lock on a path; None if locks are not supported."""
    place = hidden(path, "lock")
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(place, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:  # the write itself will report the reason
            return None
        got = locked(file)
        if got and is_at(file, place):
            return file
        close(file)
        if got is None:
            with suppress(OSError):
                place.unlink()
            return None
        if not got:
            raise busy(path)
        # Otherwise its previous holder removed it after it was opened here.


@contextmanager
def claimed_file(path: Path) -> Iterator[Path]:
    """An empty file beside a path, to be written and renamed; if it still exists at the end, it is removed.

    Raises:
        OSError: If it cannot be created.
        FlawshotError: If another process keeps writing the same file for several seconds.
    """
    temporary, file = _claim(path, _make_file)
    try:
        yield temporary
    finally:
        _give_up(temporary, file, path)


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """A new folder beside a path, removed at the end with its content.

    Raises:
        OSError: If it cannot be created.
        FlawshotError: If another process is working on the same path.
    """
    path = _real(path)
    settle(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, file = _claim(path, Path.mkdir)
    try:
        yield temporary
    finally:
        _give_up(temporary, file, path)


@contextmanager
def new_folder(path: Path, *, spent: Iterable[Path] = ()) -> Iterator[Path]:
    """A folder to fill, which replaces what is at ``path`` at the end, unless an error occurs.

    Args:
        path: The final path; the caller has made sure that what is there may be replaced.
        spent: Folders beside it that are not needed once the new folder is complete; they are removed before it is
            moved into place, so that nothing remains to be done afterwards.

    Raises:
        OSError: If it cannot be written.
        FlawshotError: If another process is working on the same path.
    """
    path = _real(path)
    with scratch(path) as folder:
        yield folder
        for each in spent:
            discard(each, path)
        if path.exists():
            _flush(folder)  # so that the old or the new one is complete even after a power failure
        put(folder, path)


def put(made: Path, path: Path) -> None:
    """Move a new file or folder to ``path``; anything at ``path`` is swapped to where the new one was.

    The names are exchanged atomically if the system and file system support that. Otherwise the old one is first
    renamed to ``.NAME.<16 hex digits>.old``, and :func:`settle` restores it if the process is killed before the new one
    is in place.

    Raises:
        OSError: If that fails; the old one is then unchanged.
    """
    if not os.path.lexists(path):
        made.rename(path)
        return
    if _exchange(made, path):
        return
    old = hidden(path, "old")
    if os.path.lexists(old):
        old = _doomed(path, "old")
    file = open_to_lock(path)
    try:
        if file is not None:
            locked(file)
        path.rename(old)
        try:
            made.rename(path)
        except OSError:
            old.rename(path)
            raise
        old.rename(made)
    finally:
        close(file)


def discard(folder: Path, path: Path) -> None:
    """Remove an auxiliary folder of a path: it is renamed first, and :func:`settle` removes what a kill leaves."""
    doomed = _doomed(_real(path), "tmp")
    try:
        folder.rename(doomed)
    except FileNotFoundError:
        return
    except OSError:
        doomed = folder
    shutil.rmtree(doomed, ignore_errors=True)


def settle(path: Path) -> None:
    """Finish or remove what killed processes left beside a path, without touching files of running processes.

    Only names of flawshot's own hidden files are examined. What cannot be removed, as on a read-only disk, stays.
    """
    path = _real(path)
    if not path.name:
        return
    name = _short(path.name)
    pattern = re.compile(rf"\.{re.escape(name)}\.([0-9a-f]{{16}})\.(tmp|old|lock)")
    try:
        found = [match for each in path.parent.iterdir() if (match := pattern.fullmatch(each.name))]
    except OSError:
        return
    # Contents set aside come first, the latest of them before others.
    for match in sorted(found, key=lambda each: (each[2] != "old", -_changed(path.with_name(each[0])))):
        place = path.with_name(match[0])
        # A long name is cut, so leftovers of other paths may look the same; they are not restored here.
        own = name == path.name or place == hidden(path, "old")
        if match[2] == "old" and own and not os.path.lexists(path):
            _put_back(place, path)
        else:
            with suppress(OSError):
                remove_left(place, path)


def remove_dead(folder: Path, names: Iterable[str]) -> None:
    """Remove unfinished files that killed processes left in a folder; all other files stay.

    Args:
        folder: The folder.
        names: The names in it.
    """
    for name in names:
        match = LEFT_FILE.fullmatch(name)
        if match and name == hidden(folder / match[1], "tmp").name:
            with suppress(OSError):
                remove_left(folder / name, folder / match[1])


def stamp(path: Path) -> tuple[int, ...] | None:
    """An identity that distinguishes a file from its replacement; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def steadily(path: Path, record: str, read: Callable[[], Read]) -> Read:
    """Read a folder, and again if it was replaced meanwhile, so that the result is entirely old or entirely new.

    Args:
        path: The folder; the leftovers of a killed process beside it are settled first.
        record: A file in it that is written anew in every new folder.
        read: The function that reads it.
    """
    settle(path)
    while True:
        before = stamp(path / record)
        try:
            result = read()
        except FlawshotError:
            if stamp(path / record) == before:
                raise
            continue
        if stamp(path / record) == before:
            return result


def _real(path: Path) -> Path:
    """The path with links resolved."""
    return Path(os.path.realpath(path))


def _changed(path: Path) -> int:
    try:
        return os.lstat(path).st_ctime_ns
    except OSError:
        return 0


def _short(name: str) -> str:
    return os.fsencode(name)[:LONGEST].decode(errors="ignore") if len(os.fsencode(name)) > LONGEST else name


def hidden(path: Path, kind: str) -> Path:
    """The unique hidden path beside a path for its new content, its lock, or its old content."""
    digest = hashlib.sha256(b"flawshot " + os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".{_short(path.name)}.{digest}.{kind}")


def _doomed(path: Path, kind: str) -> Path:
    return path.with_name(f".{_short(path.name)}.{secrets.token_hex(8)}.{kind}")


def _make_file(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


def _claim(path: Path, make: Callable[[Path], None]) -> tuple[Path, int | None]:
    """Create a locked, hidden file or folder beside a path; returns its path and its lock."""
    temporary = hidden(path, "tmp")
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            make(temporary)
        except FileExistsError:
            gone = remove_left(temporary, path)
            if gone is None:  # it is unknown whether it is in use
                temporary = _doomed(path, "tmp")
            elif not gone:
                if time.monotonic() > until:
                    raise busy(path) from None
                time.sleep(0.01)
            continue
        file = open_to_lock(temporary)
        got = None if file is None else locked(file)
        if got is None or (got and file is not None and is_at(file, temporary)):
            return temporary, file
        close(file)  # another process took it for a leftover just before it was locked


def _give_up(temporary: Path, file: int | None, path: Path) -> None:
    """Remove the rest of a claim, unless another process has claimed the name since it was moved into place."""
    close(file)
    with suppress(OSError):
        if remove_left(temporary, path) is None:
            if temporary.is_dir():
                shutil.rmtree(temporary, ignore_errors=True)
            else:
                temporary.unlink()


def remove_left(entry: Path, path: Path) -> bool | None:
    """Remove a leftover; returns False if a running process holds it, None if that cannot be determined."""
    if not os.path.lexists(entry):
        return True
    file = open_to_lock(entry)
    if file is None:
        return not os.path.lexists(entry) or None
    try:
        got = locked(file)
        if not got or not is_at(file, entry):
            return None if got is None else bool(got)
        if not entry.is_dir():
            entry.unlink()
            return True
        doomed = _doomed(path, "tmp")
        entry.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
        return True
    finally:
        os.close(file)


def _put_back(old: Path, path: Path) -> None:
    """Finish a replacement that was killed halfway, or wait for the end of one in progress."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not os.path.lexists(path) and time.monotonic() < until:
        file = open_to_lock(old)
        try:
            if file is None or locked(file) is not False:
                with suppress(OSError):
                    if not os.path.lexists(path):
                        old.rename(path)
                return
        finally:
            close(file)
        time.sleep(0.01)


def _flush(folder: Path) -> None:
    """Flush a folder's files to disk."""
    for at, _, names in os.walk(folder):
        for name in (*names, "."):
            file = open_to_lock(Path(at, name))
            if file is not None:
                with suppress(OSError):
                    os.fsync(file)
                os.close(file)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names atomically; False if that is not supported."""
    names = os.fsencode(one), os.fsencode(other)
    if os.name != "posix":
        return False
    library = ctypes.CDLL(None)
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        return bool(library.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], ctypes.c_uint(SWAP)) == 0)
    if sys.platform == "darwin" and hasattr(library, "renamex_np"):
        return bool(library.renamex_np(*names, ctypes.c_uint(SWAP)) == 0)
    return False
