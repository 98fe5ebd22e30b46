"""Seals: hashes that reveal damage to flawshot's own files when they are read."""

from __future__ import annotations

import errno
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from flawshot.base.errors import FlawshotError
from flawshot.base.parallel import cores

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from flawshot.base.store.files import Document

__all__ = ["check_files", "check_seal", "hash_files", "hash_of", "seal_of", "sealed", "sha256_of"]

SEAL = "seal"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read in pieces.

    Raises:
        OSError: If it cannot be read, or is a pipe or a device, which may have no end.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not an ordinary file", str(path))
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def hash_of(*values: object) -> str:
    """SHA-256 over JSON values: texts, numbers, lists, objects; the same on all machines.

    >>> hash_of("a", 1)[:8]
    '2657442b'
    """
    return hashlib.sha256(json.dumps(values, ensure_ascii=False).encode()).hexdigest()


def hash_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of some files of a folder, by name; on all cores, because hashing one file keeps one core busy.

    Raises:
        OSError: If one cannot be read.
    """
    ordered = sorted(names)
    with ThreadPoolExecutor(max(1, min(cores(), len(ordered)))) as pool:
        hashes = list(pool.map(lambda name: sha256_of(folder / name), ordered))
    return dict(zip(ordered, hashes, strict=True))


def check_files(folder: Path, expected: Mapping[str, str], remedy: str) -> None:
    """Refuse a folder with a file that was changed since it was written.

    Args:
        folder: The folder.
        expected: SHA-256 by name; names must not lead out of the folder.
        remedy: What a user can do about it.

    Raises:
        FlawshotError: With one line that names the file.
    """
    for name in expected:
        if "/" in name or "\\" in name or name in {"", ".", ".."}:
            raise FlawshotError(f"{folder}: files: {name[:80]!r} points outside the folder; {remedy}")
    try:
        found = hash_files(folder, expected)
    except OSError as error:
        raise FlawshotError(f"{error.filename or folder}: cannot be read ({error.strerror}); {remedy}") from error
    for name, own in found.items():
        if own != expected[name]:
            raise FlawshotError(f"{folder / name}: is damaged: its content is not what flawshot wrote; {remedy}")


def seal_of(document: Document) -> str:
    """SHA-256 over all values of a document except its seal, independent of the JSON's formatting."""
    value = document.model_dump(mode="json", exclude_unset=True)
    value.pop(SEAL, None)
    text = json.dumps(value, ensure_ascii=True, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(document: Document) -> dict[str, Any]:
    """A document's JSON value, with its seal added."""
    value = document.model_dump(mode="json")
    # The seal is of the document as it will be read, in which an integer may have become a float.
    read = type(document).model_validate_json(json.dumps(value))
    return value | {SEAL: seal_of(read)}


def check_seal(document: Document, seal: str | None, place: object, remedy: str) -> None:
    """Refuse a document that was changed since it was written; one without a seal, of an earlier version, is accepted.

    Raises:
        FlawshotError: With one line that names the file.
    """
    if seal is not None and seal_of(document) != seal:
        raise FlawshotError(f"{place}: {SEAL}: is damaged: the content is not what flawshot wrote; {remedy}")
