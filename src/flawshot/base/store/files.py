"""Atomic writing of files without overwriting: a temporary file is written and then renamed."""

from __future__ import annotations

import filecmp
import json
from typing import TYPE_CHECKING, Any, TypeVar

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.store.json_documents import Document, file_lines, parse_document, read_document
from flawshot.base.store.places import claimed_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = [
    "Document",
    "document_lines",
    "json_bytes",
    "one_line",
    "parse_document",
    "read_document",
    "write_bytes",
    "write_json",
    "write_with",
]


HeaderT = TypeVar("HeaderT", bound=Document)
RecordT = TypeVar("RecordT", bound=Document)


def document_lines(
    path: Path, header: type[HeaderT], record: type[RecordT], remedy: str
) -> tuple[HeaderT, Iterator[RecordT]]:
    """Read a file of JSON Lines: a header, and records that are read as they are asked for.

    Args:
        path: The file.
        header: What its first line is.
        record: What each other line is.
        remedy: What a user does if it is damaged.

    Raises:
        FlawshotError: With the file and the line, if it is missing, damaged or foreign.
    """
    lines = file_lines(path)
    first = parse_document(next(lines, b""), header, f"{path}: line 1", remedy)
    return first, (
        parse_document(line, record, f"{path}: line {number}", remedy) for number, line in enumerate(lines, start=2)
    )


def one_line(error: object) -> str:
    r"""An error's text on one line.

    >>> one_line("first\n  second")
    'first second'
    """
    return " ".join(str(error).split())


def write_with(path: Path, write: Callable[[Path], object], *, overwrite: bool = False) -> None:
    """Let ``write`` create a temporary file beside ``path``, then rename it to ``path``.

    A file that already has the same bytes is kept.

    Args:
        path: The file to create; its folder is created too.
        write: Called once with the temporary file's path.
        overwrite: Whether a file with different content may be replaced.

    Raises:
        FlawshotError: If ``path`` exists with different content and ``overwrite`` is false, or cannot be written.
    """
    if not path.name:
        raise FlawshotError(f"{str(path)!r}: is not a file name")
    if path.is_dir():
        raise FlawshotError(f"{path}: is a folder; name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with claimed_file(path) as temporary:
            write(temporary)
            if path.exists() and not overwrite:
                if path.is_file() and filecmp.cmp(path, temporary, shallow=False):
                    return
                raise FlawshotError(
                    f"{path}: exists with different content; name another path, move the file away, or add "
                    f"{argument('overwrite', True)}"
                )
            temporary.replace(path)
    except OSError as error:
        raise FlawshotError(f"{path}: cannot be written ({error.strerror or error})") from error


def write_bytes(path: Path, data: bytes, *, overwrite: bool = False) -> None:
    """Write ``data`` to ``path`` like :func:`write_with`."""
    write_with(path, lambda temporary: temporary.write_bytes(data), overwrite=overwrite)


def write_json(path: Path, value: Any, *, overwrite: bool = False, indent: int | None = 1) -> None:
    """Write ``value`` as UTF-8 JSON with a final newline, the same bytes on every machine."""
    write_bytes(path, json_bytes(value, path, indent=indent), overwrite=overwrite)


def json_bytes(value: Any, path: Path, *, indent: int | None = 1) -> bytes:
    """A value as UTF-8 JSON with a final newline.

    Raises:
        FlawshotError: With the file's name, if the value contains something that JSON cannot represent, such as NaN.
    """
    try:
        return (json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent) + "\n").encode()
    except ValueError as error:  # NaN, or half a surrogate pair
        raise FlawshotError(f"{path}: cannot be written as JSON ({one_line(error)})") from error
