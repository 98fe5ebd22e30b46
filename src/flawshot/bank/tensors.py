"""Tensors in a feature bank's safetensors files: opened with one-line errors, and checked before they are read."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from flawshot.base.errors import FeatureBankError, FlawshotError
from flawshot.base.store.files import one_line
from flawshot.base.store.json_documents import check_ordinary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["REMEDY", "check_tensor", "opened_tensors", "save_tensors"]

REMEDY = "rebuild the bank"
NAMES = {"float16": "F16", "float32": "F32"}


@contextmanager
def opened_tensors(path: Path) -> Iterator[Any]:
    """Open a safetensors file.

    Raises:
        FeatureBankError: If it, or a part read within the block, cannot be read.
    """
    try:
        check_ordinary(path)
    except FlawshotError as error:
        raise FeatureBankError(f"{error.marked}; {REMEDY}") from error
    try:
        with safe_open(path, framework="numpy") as opened:
            yield opened
    except (OSError, SafetensorError) as error:
        raise FeatureBankError(f"{path}: cannot be read ({one_line(error)}); {REMEDY}") from error


def check_tensor(path: Path, key: str, dtype: Literal["float16", "float32"], shape: tuple[int, ...]) -> None:
    """Check a tensor's type and shape without reading it.

    Raises:
        FeatureBankError: If they differ from the expected ones.
    """
    with opened_tensors(path) as opened:
        piece = opened.get_slice(key)
        found, kind = piece.get_shape(), piece.get_dtype()
    if tuple(found) != shape or kind != NAMES[dtype]:
        raise FeatureBankError(f"{path}: {key}: is {kind} {found}, not {dtype} {list(shape)} as recorded; {REMEDY}")


def save_tensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> str:
    """Write a safetensors file; returns its SHA-256.

    The library's own writer hides a full disk in its own error, and makes the file readable only for its owner.

    Raises:
        OSError: If it cannot be written.
    """
    data = save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
