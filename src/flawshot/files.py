"""Files that are never half written and never written over: temporary file, then rename."""

from __future__ import annotations

import filecmp
import json
import secrets
import shutil
from typing import TYPE_CHECKING, Any, BinaryIO

from flawshot.errors import FlawshotError
from flawshot.json_documents import Document, parse_document, read_document

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "Document",
    "json_bytes",
    "lock",
    "one_line",
    "parse_document",
    "read_document",
    "replace_folder",
    "write_bytes",
    "write_json",
    "write_with",
]


def one_line(error: object) -> str:
    r"""An error's text on one line.

    >>> one_line("first\n  second")
    'first second'
    """
    return " ".join(str(error).split())


def write_with(path: Path, write: Callable[[Path], object], *, overwrite: bool = False) -> None:
    """Let ``write`` make a temporary file beside ``path``, then rename it to ``path``.

    A file that already holds the same bytes stays as it is.

    Args:
        path: The file to make; its folder is made too.
        write: Called once with the temporary file's path.
        overwrite: Whether a file with other content may be replaced.

    Raises:
        FlawshotError: If ``path`` exists with other content and ``overwrite`` is false, or cannot be written.
    """
    if not path.name:
        raise FlawshotError(f"{str(path)!r}: is no file's name")
    if path.is_dir():
        raise FlawshotError(f"{path}: is a folder; name a file")
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            if path.exists() and not overwrite:
                if path.is_file() and filecmp.cmp(path, temporary, shallow=False):
                    return
                raise FlawshotError(
                    f"{path}: exists with other content; name another place, move it away, or add --overwrite"
                )
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise FlawshotError(f"{path}: cannot be written ({error.strerror or error})") from error


def lock(file: BinaryIO, folder: Path) -> None:
    """Keep a second call away from the same unfinished work; the system lets go when the process ends.

    Raises:
        FlawshotError: If another process has the lock.
    """
    try:
        import fcntl  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FlawshotError(f"{folder}: another flawshot is at work there; wait for it") from error


def replace_folder(temporary: Path, path: Path) -> None:
    """Give a whole new folder the place of what is at ``path``, which is gone only once the new one is there.

    Raises:
        OSError: If it cannot be done; the old one is then where it was.
    """
    if not path.exists():
        temporary.rename(path)
        return
    old = path.with_name(f".{path.name}.{secrets.token_hex(8)}.old")
    path.rename(old)
    try:
        temporary.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old)


def write_bytes(path: Path, data: bytes, *, overwrite: bool = False) -> None:
    """Write ``data`` to ``path`` as :func:`write_with` does."""
    write_with(path, lambda temporary: temporary.write_bytes(data), overwrite=overwrite)


def write_json(path: Path, value: Any, *, overwrite: bool = False, indent: int | None = 1) -> None:
    """Write ``value`` as UTF-8 JSON with a final newline, the same bytes on every machine."""
    write_bytes(path, json_bytes(value, path, indent=indent), overwrite=overwrite)


def json_bytes(value: Any, path: Path, *, indent: int | None = 1) -> bytes:
    """A value as UTF-8 JSON with a final newline.

    Raises:
        FlawshotError: Naming the file it is for, if it holds what JSON has no form for, such as NaN.
    """
    try:
        return (json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent) + "\n").encode()
    except ValueError as error:  # of NaN, and of half a surrogate pair
        raise FlawshotError(f"{path}: cannot be written as JSON ({one_line(error)})") from error
