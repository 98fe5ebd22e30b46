"""Reading of untrusted files and JSON: within limits on size and depth, and checked field by field."""

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

# Annotations may embed their images; flawshot's own files are far smaller.
ANNOTATION_BYTES: Final = 2**30
DOCUMENT_BYTES: Final = 2**28
LINE_BYTES: Final = 2**26
# No format is nested even a tenth as deep.
DEEPEST: Final = 100

# The change of depth by each byte; quotes are kept, everything else is dropped.
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
    """Base class of all flawshot's JSON formats: fields are checked when read, and are immutable afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Pydantic's schema, except that the first wrong item of a list or an object ends the check.

        Only one error is ever shown, and a million errors take a gigabyte.
        """
        schema = handler(source)
        _fail_fast(schema)
        return schema


AnyDocument = TypeVar("AnyDocument", bound=Document)


def file_bytes(path: Path, most: int = DOCUMENT_BYTES) -> bytes:
    """The content of an ordinary file.

    Args:
        path: The file.
        most: The maximum size in bytes.

    Raises:
        FlawshotError: With one line that names the file, if it is missing, not an ordinary file (pipes and devices may
            be endless), too large, or cannot be read.
    """
    try:
        size = _ordinary_size(path)
        if size <= most:
            with path.open("rb") as opened:
                # Python allocates the requested size, so the limit is kept; the file may have grown meanwhile.
                data = opened.read(size + 1)
                if len(data) > size:
                    data += opened.read(most + 1 - len(data))
            if len(data) <= most:
                return data
    except FlawshotError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        raise FlawshotError(f"{path}: cannot be read ({_reason(error)})") from error
    raise FlawshotError(f"{path}: is larger than {_size(most)}, the limit for such a file")


def file_lines(path: Path, most: int = LINE_BYTES) -> Iterator[bytes]:
    """The lines of an ordinary file, each with its line break.

    Args:
        path: The file.
        most: The maximum length of a line in bytes.

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
    """Refuse paths that other libraries would read forever, or not at all.

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
    """Refuse JSON that is nested deeper than any known format, before it is parsed.

    The time is proportional to the length, regardless of the content. Up to the place where a parser would stop, this
    function and the parser agree about which parts are strings.

    Args:
        data: The JSON, in UTF-8 or another encoding that extends ASCII.

    Raises:
        FlawshotError: If it is nested too deeply; the message names no file.
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
                raise FlawshotError(f"cannot be read as JSON (nested deeper than {DEEPEST} levels)")
            depth = int(depths[-1])


def load_json(data: bytes) -> Any:
    """Parse JSON in UTF-8 with or without a byte order mark, UTF-16 or UTF-32.

    The caller must check the content: numbers may be infinite, and text may contain half a surrogate pair.

    Raises:
        FlawshotError: If it is not JSON, or is nested too deeply; the message names no file.

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
        raise FlawshotError("cannot be read as JSON (nested too deeply)") from error
    except ValueError as error:  # Python limits the digits of integers
        raise FlawshotError("cannot be read as JSON (a number has too many digits)") from error


def _utf8(data: bytes) -> bytes:
    """The text in UTF-8, without its byte order mark; bytes that are not text are unchanged."""
    encoding = json.detect_encoding(data)
    if encoding == "utf-8":
        return data
    try:
        return data.decode(encoding).encode()
    except UnicodeError:
        return data


def read_document(path: Path, kind: type[AnyDocument], remedy: str) -> AnyDocument:
    """Read and check one of flawshot's own JSON files.

    Args:
        path: The file.
        kind: The expected document type.
        remedy: What a user can do about a damaged or foreign file, such as ``make it again with flawshot sample``.

    Raises:
        FlawshotError: With one line that names the file and the field, if it is missing, damaged or foreign.
    """
    return parse_document(file_bytes(path), kind, str(path), remedy)


def parse_document(data: bytes, kind: type[AnyDocument], place: str, remedy: str) -> AnyDocument:
    """Parse and check one of flawshot's own JSON objects.

    Args:
        data: The JSON.
        kind: The expected document type.
        place: The place for errors: the file, and possibly a line in it.
        remedy: As for :func:`read_document`.

    Raises:
        FlawshotError: With one line that names the place and the field, if it is damaged or foreign.
    """
    data = _utf8(data)
    try:
        check_depth(data)
        unknown = _unknown_key(load_json(data), kind) if data.count(b":") > MANY_KEYS else None
    except FlawshotError as error:
        raise FlawshotError(f"{place}: {error.marked}; {remedy}") from error
    if unknown is not None:
        raise FlawshotError(f"{place}: {unknown}: Extra inputs are not permitted; {remedy}")
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise FlawshotError(f"{place}: {field}: {' '.join(first['msg'].split())}; {remedy}") from error


def _unknown_key(value: Any, annotation: Any) -> str | None:
    """The first key without a field in the document type; pydantic would create an error for each."""
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
