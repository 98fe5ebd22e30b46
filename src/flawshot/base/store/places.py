"""Places of files and folders: what is there is the old or the new, whole, whatever ends the process that writes.

What is made lies hidden beside its place until it is whole: ``.NAME.<16 hex digits>.tmp``. The process that makes it
holds a lock on it, so that what a killed one left can be told from what a running one needs. ``docs/adr/0023`` has
the reasons.
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
# The places that are held in the context of a call, which need not be held again.
HELD: ContextVar[frozenset[Path]] = ContextVar("HELD", default=frozenset())
LEFT_FILE = re.compile(r"\.(.+)\.[0-9a-f]{16}\.tmp", re.DOTALL)
LONGEST = 200  # bytes of a name, which is to be part of a hidden one
AT_FDCWD, SWAP = -100, 2  # of renameat2; renamex_np's RENAME_SWAP is 2 as well


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Keep other processes from writing to a place; calls within one process may be nested.

    Raises:
        FlawshotError: If another process is at work there.
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
    """What holds a place; None where there are no locks."""
    place = hidden(path, "lock")
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(place, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:  # whoever writes there will say why not
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
        # Else it was removed by the one that had it before, after it was opened here.


@contextmanager
def claimed_file(path: Path) -> Iterator[Path]:
    """An empty file beside a place, to write to and to be renamed; what is left of it at the end is removed.

    Raises:
        OSError: If it cannot be made.
        FlawshotError: If another process is writing the same file, and goes on for seconds.
    """
    temporary, file = _claim(path, _make_file)
    try:
        yield temporary
    finally:
        _give_up(temporary, file, path)


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """A new folder beside a place; what is in it at the end is removed.

    Raises:
        OSError: If it cannot be made.
        FlawshotError: If another process is at work on the same place.
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
    """A folder to fill, which takes the place of what is at ``path`` at the end, unless an error comes.

    Args:
        path: The place; whoever calls has made sure that what is there may be replaced.
        spent: Folders beside it that nobody needs once the new folder is whole; they are removed before it is put in
            its place, so that nothing is left to do after.

    Raises:
        OSError: If it cannot be written.
        FlawshotError: If another process is at work on the same place.
    """
    path = _real(path)
    with scratch(path) as folder:
        yield folder
        for each in spent:
            discard(each, path)
        if path.exists():
            _flush(folder)  # after a power cut too, the old or the new is whole
        put(folder, path)


def put(made: Path, path: Path) -> None:
    """Give what was made the place of what is at ``path``, if anything is; that is then where the new one was.

    The names are exchanged at once where system and file system can do that. Else the old one is renamed to
    ``.NAME.<16 hex digits>.old`` first, from where :func:`settle` puts it back if the process is killed before the new
    one is in place.

    Raises:
        OSError: If it cannot be done; the old one is then where it was.
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
    """Remove a folder that serves a place: it vanishes at once, and what a kill leaves of it :func:`settle` removes."""
    doomed = _doomed(_real(path), "tmp")
    try:
        folder.rename(doomed)
    except FileNotFoundError:
        return
    except OSError:
        doomed = folder
    shutil.rmtree(doomed, ignore_errors=True)


def settle(path: Path) -> None:
    """Finish or remove what killed processes left beside a place; nothing that a running one holds is touched.

    Only what is called as files of ours are is looked at. What cannot be removed, as on a read-only disk, stays.
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
    # What was set aside comes first, and of that the latest.
    for match in sorted(found, key=lambda each: (each[2] != "old", -_changed(path.with_name(each[0])))):
        place = path.with_name(match[0])
        # Of a long name, which is cut, another place's leftovers may look alike; they are not put back here.
        own = name == path.name or place == hidden(path, "old")
        if match[2] == "old" and own and not os.path.lexists(path):
            _put_back(place, path)
        else:
            with suppress(OSError):
                remove_left(place, path)


def remove_dead(folder: Path, names: Iterable[str]) -> None:
    """Remove what killed processes left in a folder of files that they were writing; all else stays.

    Args:
        folder: The folder.
        names: What is in it.
    """
    for name in names:
        match = LEFT_FILE.fullmatch(name)
        if match and name == hidden(folder / match[1], "tmp").name:
            with suppress(OSError):
                remove_left(folder / name, folder / match[1])


def stamp(path: Path) -> tuple[int, ...] | None:
    """What tells a file from the one that took its place; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def steadily(path: Path, record: str, read: Callable[[], Read]) -> Read:
    """Read a folder, and again if it was replaced meanwhile, so that what is read is all of the old or of the new.

    Args:
        path: The folder; what a killed process left beside it is settled first.
        record: A file of it that every new one has anew.
        read: Reads it.
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
    """The place itself, where a link stands for it."""
    return Path(os.path.realpath(path))


def _changed(path: Path) -> int:
    try:
        return os.lstat(path).st_ctime_ns
    except OSError:
        return 0


def _short(name: str) -> str:
    return os.fsencode(name)[:LONGEST].decode(errors="ignore") if len(os.fsencode(name)) > LONGEST else name


def hidden(path: Path, kind: str) -> Path:
    """The one name beside a place of what is made for it, held, or set aside."""
    digest = hashlib.sha256(b"flawshot " + os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".{_short(path.name)}.{digest}.{kind}")


def _doomed(path: Path, kind: str) -> Path:
    return path.with_name(f".{_short(path.name)}.{secrets.token_hex(8)}.{kind}")


def _make_file(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


def _claim(path: Path, make: Callable[[Path], None]) -> tuple[Path, int | None]:
    """Make a hidden file or folder beside a place, locked; its path, and what holds the lock."""
    temporary = hidden(path, "tmp")
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            make(temporary)
        except FileExistsError:
            gone = remove_left(temporary, path)
            if gone is None:  # nobody can tell whether it is needed
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
        close(file)  # it was taken for a leftover in the instant before it was locked


def _give_up(temporary: Path, file: int | None, path: Path) -> None:
    """Remove what is left of a claim, unless another process has claimed that name since it was put in its place."""
    close(file)
    with suppress(OSError):
        if remove_left(temporary, path) is None:
            if temporary.is_dir():
                shutil.rmtree(temporary, ignore_errors=True)
            else:
                temporary.unlink()


def remove_left(entry: Path, path: Path) -> bool | None:
    """Remove a leftover; False if a running process holds it, None where that cannot be told."""
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
    """Finish a replacement that was killed half way; of one that is under way, await the end."""
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
    """Bring a folder's files to the disk."""
    for at, _, names in os.walk(folder):
        for name in (*names, "."):
            file = open_to_lock(Path(at, name))
            if file is not None:
                with suppress(OSError):
                    os.fsync(file)
                os.close(file)


def _exchange(one: Path, other: Path) -> bool:
    """Let two names be exchanged at once; False where that cannot be done."""
    names = os.fsencode(one), os.fsencode(other)
    if os.name != "posix":
        return False
    library = ctypes.CDLL(None)
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        return bool(library.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], ctypes.c_uint(SWAP)) == 0)
    if sys.platform == "darwin" and hasattr(library, "renamex_np"):
        return bool(library.renamex_np(*names, ctypes.c_uint(SWAP)) == 0)
    return False
