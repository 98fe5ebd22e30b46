"""Text features of the categories' names, stored with a feature bank's image features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from flawshot.bank.tensors import REMEDY, check_tensor, opened_tensors, save_tensors
from flawshot.base.arguments import argument
from flawshot.base.errors import FeatureBankError, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from flawshot.bank.records import TextRecord
    from flawshot.base.records import EncoderRecord
    from flawshot.catalog import Catalog

__all__ = ["TEXT_FILE", "TextFeatures", "labeled_pairs", "read_text", "save_text", "why_none"]

TEXT_FILE: Final = "text.safetensors"
KEY = "text"


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """Text features and their record.

    Attributes:
        record: How they were computed, and the category of each row.
        matrix: float32 ``[rows, dim]`` of length one.
    """

    record: TextRecord
    matrix: NDArray[np.float32]

    def of(self, product: str, categories: Sequence[str], bank: Path) -> NDArray[np.float32]:
        """The text features of some categories of a product, float32 ``[categories, dim]``.

        Raises:
            FeatureBankError: With the bank's name, if a category has none.
        """
        place = {row: number for number, row in enumerate(self.record.rows)}
        absent = [category for category in categories if (product, category) not in place]
        if absent:
            raise FeatureBankError(f"{bank}: contains no text features of {printable(f'{product}/{absent[0]}')}")
        return self.matrix[[place[product, category] for category in categories]]


def save_text(folder: Path, text: TextFeatures) -> None:
    """Write text features into a bank's folder."""
    save_tensors(folder / text.record.file, {KEY: text.matrix})


def read_text(folder: Path, record: TextRecord, dim: int, catalog: Catalog) -> TextFeatures:
    """Read and check a bank's text features.

    Raises:
        FeatureBankError: With one line that names the file and the field, if they are damaged or do not fit the rest.
    """
    path, manifest = folder / record.file, folder / "manifest.json"
    if len(set(record.rows)) != len(record.rows):
        raise FeatureBankError(f"{manifest}: text.rows: names a category twice; {REMEDY}")
    absent = set(labeled_pairs(catalog)).difference(record.rows)
    if absent:
        named = printable("/".join(min(absent)))
        raise FeatureBankError(f"{manifest}: text.rows: lacks {named} of catalog.parquet; {REMEDY}")
    check_tensor(path, KEY, "float32", (len(record.rows), dim))
    with opened_tensors(path) as opened:
        matrix: NDArray[np.float32] = opened.get_tensor(KEY)
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if bad.size:
        named = printable("/".join(record.rows[bad[0]]))
        raise FeatureBankError(f"{path}: {KEY}: features of {named} are not finite; {REMEDY}")
    return TextFeatures(record, matrix)


def why_none(encoder: EncoderRecord) -> str:
    """Why a bank of this encoder has no text features, and the remedy."""
    trunk = encoder.options.get("layer") == "trunk"
    return (
        f"has no text features of the categories ({encoder.name}: "
        f"{'features of the trunk' if trunk else 'no text tower was available'}); "
        f"encode with a CLIP that has a text tower, and {argument('layer', 'projection')}"
    )


def labeled_pairs(catalog: Catalog) -> tuple[tuple[str, str], ...]:
    """(product, category) of all instances that have a label, sorted."""
    pairs = set(zip(catalog.column("product"), catalog.column("category"), strict=True))
    return tuple(sorted(pair for pair in pairs if pair[1]))
