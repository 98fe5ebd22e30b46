"""Files and JSON that anyone may have written: read within limits on size and depth, and checked field by field."""

from __future__ import annotations

import inspect
import json
import stat
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args, get_origin

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import core_schema

from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pydantic import GetCoreSchemaHandler

__all__ = [
    "ANNOTATION_BYTES",
    "DEEPEST",
    "DOCUMENT_BYTES",
    "LINE_BYTES",
    "Document",
    "check_depth",
    "check_ordinary",
    "file_bytes",
    "file_lines",
    "load_json",
    "parse_document",
    "read_document",
]

# Annotations may embed their images; what flawshot writes itself is far smaller.
ANNOTATION_BYTES: Final = 2**30
DOCUMENT_BYTES: Final = 2**28
LINE_BYTES: Final = 2**26
# No format nests a tenth as deep.
DEEPEST: Final = 100

# What a byte does to the depth; quotes are kept, all else is dropped.
STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
DROPPED = bytes(set(range(256)) - set(b'[{]}"'))
STEPS_AT_ONCE = 2**20
# Documents with fewer keys than this are checked by pydantic alone.
MANY_KEYS = 10_000

_FAST_FAILING = frozenset(
    kind
    for kind in ("list", "tuple", "set", "frozenset", "dict")
    if "fail_fast" in inspect.signature(getattr(core_schema, f"{kind}_schema")).parameters
)


def _fail_fast(schema: Any) -> None:
    if isinstance(schema, dict):
        if schema.get("type") in _FAST_FAILING:
            schema["fail_fast"] = True
        for value in schema.values():
            _fail_fast(value)
    elif isinstance(schema, list | tuple):
        for value in schema:
            _fail_fast(value)


class Document(BaseModel):
    """Base of every JSON format of ours: fields are checked when it is read, and it cannot be changed after."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """The schema as pydantic makes it, but that the first wrong item of a list or an object ends the check.

        Only one error is ever shown, and a million of them take a gigabyte.
        """
        schema = handler(source)
        _fail_fast(schema)
        return schema


AnyDocument = TypeVar("AnyDocument", bound=Document)


def file_bytes(path: Path, most: int = DOCUMENT_BYTES) -> bytes:
    """The content of an ordinary file.

    Args:
        path: The file.
        most: How many bytes it may have.

    Raises:
        FlawshotError: With one line that names the file, if it is missing, not an ordinary file (a folder, a pipe or a
            device has no end), too large, or cannot be read.
    """
    try:
        size = _ordinary_size(path)
        if size <= most:
            with path.open("rb") as opened:
                # Python sets aside as much as is asked for, so no more than that; the file may have grown since.
                data = opened.read(size + 1)
                if len(data) > size:
                    data += opened.read(most + 1 - len(data))
            if len(data) <= most:
                return data
    except FlawshotError:
        raise
    except (OSError, ValueError) as error:  # ValueError: of a name with a NUL
        raise FlawshotError(f"{path}: cannot be read ({_reason(error)})") from error
    raise FlawshotError(f"{path}: is larger than {_size(most)}, the limit for such a file")


def file_lines(path: Path, most: int = LINE_BYTES) -> Iterator[bytes]:
    """The lines of an ordinary file, each with its line break.

    Args:
        path: The file.
        most: How many bytes a line may have.

    Raises:
        FlawshotError: As for :func:`file_bytes`, while the lines are read.
    """
    check_ordinary(path)
    number = 0
    try:
        with path.open("rb") as opened:
            while (line := opened.readline(most + 1)) and len(line) <= most:
                number += 1
                yield line
    except OSError as error:
        raise FlawshotError(f"{path}: cannot be read ({_reason(error)})") from error
    if line:
        raise FlawshotError(f"{path}: line {number + 1}: is longer than {_size(most)}, the limit for a line")


def check_ordinary(path: Path) -> None:
    """Refuse what other libraries would read for ever, or not at all.

    Raises:
        FlawshotError: With one line that names the file, if it is missing or not an ordinary file.
    """
    try:
        _ordinary_size(path)
    except FlawshotError:
        raise
    except (OSError, ValueError) as error:
        raise FlawshotError(f"{path}: cannot be read ({_reason(error)})") from error


def _ordinary_size(path: Path) -> int:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise FlawshotError(f"{path}: is a folder; name a file")
    if not stat.S_ISREG(status.st_mode):
        raise FlawshotError(f"{path}: is not an ordinary file; copy its content into one")
    return status.st_size


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _size(count: int) -> str:
    return f"{count // 2**20} MiB"


def check_depth(data: bytes) -> None:
    """Refuse JSON that is nested deeper than any format of ours or others, before a parser sees it.

    Takes time in proportion to the length, whatever the content. Up to the place where a parser would stop, what is
    a string here is a string to it.

    Args:
        data: The JSON, in UTF-8 or another encoding that holds ASCII as it is.

    Raises:
        FlawshotError: If it is; the text names no file.
    """
    if data.count(b"[") + data.count(b"{") <= DEEPEST:
        return
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = data.translate(STEPS, DROPPED)
    depth = inside = 0
    for start in range(0, len(marks), STEPS_AT_ONCE):
        parts = marks[start : start + STEPS_AT_ONCE].split(b'"')
        steps = np.frombuffer(b"".join(parts[inside::2]), np.int8)
        inside = (inside + len(parts) - 1) % 2
        if steps.size:
            depths = depth + steps.cumsum(dtype=np.int64)
            if depths.max() > DEEPEST:
                raise FlawshotError(f"is not JSON that can be read (nested deeper than {DEEPEST} levels)")
            depth = int(depths[-1])


def load_json(data: bytes) -> Any:
    """A JSON value, of UTF-8 with or without a byte order mark, UTF-16 or UTF-32.

    Whoever reads it checks what it is made of: numbers may be infinite, text may hold half a surrogate pair.

    Raises:
        FlawshotError: If it is none, or nested too deep; the text names no file.

    >>> load_json(b'{"a": [1]}')
    {'a': [1]}
    """
    data = _utf8(data)
    check_depth(data)
    try:
        return json.loads(data.decode())
    except json.JSONDecodeError as error:
        raise FlawshotError(f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except UnicodeDecodeError as error:
        raise FlawshotError(f"is not UTF-8 text (byte {error.start})") from error
    except RecursionError as error:
        raise FlawshotError("is not JSON that can be read (nested too deep)") from error
    except ValueError as error:  # of Python's limit on the digits of a whole number
        raise FlawshotError("is not JSON that can be read (a number has too many digits)") from error


def _utf8(data: bytes) -> bytes:
    """The same text without its byte order mark; bytes that are not text stay as they are."""
    encoding = json.detect_encoding(data)
    if encoding == "utf-8":
        return data
    try:
        return data.decode(encoding).encode()
    except UnicodeError:
        return data


def read_document(path: Path, kind: type[AnyDocument], remedy: str) -> AnyDocument:
    """Read and check one of our own JSON files.

    Args:
        path: The file.
        kind: What it must hold.
        remedy: What a user does about a damaged or foreign file, such as ``make it again with flawshot sample``.

    Raises:
        FlawshotError: With one line that names the file and the field, if it is missing, damaged or foreign.
    """
    return parse_document(file_bytes(path), kind, str(path), remedy)


def parse_document(data: bytes, kind: type[AnyDocument], place: str, remedy: str) -> AnyDocument:
    """Check one JSON object of ours.

    Args:
        data: The JSON.
        kind: What it must hold.
        place: What errors name: the file, and a line in it.
        remedy: As for :func:`read_document`.

    Raises:
        FlawshotError: With one line that names the place and the field, if it is damaged or foreign.
    """
    data = _utf8(data)
    try:
        check_depth(data)
        unknown = _unknown_key(load_json(data), kind) if data.count(b":") > MANY_KEYS else None
    except FlawshotError as error:
        raise FlawshotError(f"{place}: {error}; {remedy}") from error
    if unknown is not None:
        raise FlawshotError(f"{place}: {unknown}: Extra inputs are not permitted; {remedy}")
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise FlawshotError(f"{place}: {field}: {' '.join(first['msg'].split())}; {remedy}") from error


def _unknown_key(value: Any, annotation: Any) -> str | None:
    """The first key that a document has no field for; pydantic would make an error of each."""
    if isinstance(annotation, type) and issubclass(annotation, Document):
        for key, each in value.items() if isinstance(value, dict) else ():
            if key not in annotation.model_fields:
                return str(key)
            if (found := _unknown_key(each, annotation.model_fields[key].annotation)) is not None:
                return f"{key}.{found}"
        return None
    parts: Iterable[Any] = [value]
    if get_origin(annotation) in {tuple, list, dict}:
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    kinds = [kind for kind in get_args(annotation) if _has_documents(kind)]
    unknown = (_unknown_key(part, kind) for kind in kinds for part in parts)
    return next((key for key in unknown if key is not None), None)


def _has_documents(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, Document):
        return True
    return any(map(_has_documents, get_args(annotation)))
