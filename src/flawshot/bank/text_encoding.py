"""Text features of the categories' names, from an encoder that has a text tower."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from flawshot.bank.prompts import Prompts, prompts_of
from flawshot.bank.records import TextRecord
from flawshot.bank.tensors import REMEDY
from flawshot.bank.text_bank import TEXT_FILE, TextFeatures, labeled_pairs
from flawshot.base.arguments import argument
from flawshot.base.errors import FeatureBankError, FlawshotError, printable
from flawshot.base.records import LONGEST_VALUE
from flawshot.encoders.base import TextEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from flawshot.bank.features import FeatureBank
    from flawshot.catalog import Catalog
    from flawshot.encoders.base import Encoder

    class _ImageAndText(Encoder, TextEncoder, Protocol):
        """Both towers."""


__all__ = ["encode_categories", "why_no_text"]

# Prompts per call of the text tower.
BATCH = 64
# Text features of length one that are closer than this differ only by the tower's rounding errors.
ALIKE = 1e-3


def encode_categories(
    encoder: Encoder, prompts: Prompts | None, catalog: Catalog, old: FeatureBank | None, *, overwrite: bool = False
) -> tuple[TextFeatures | None, tuple[str, ...]]:
    """Text features of every category of every product in a catalog, and one-line remarks on them.

    Each is the mean of the features of the category's prompts, scaled to length one before and after averaging.

    Args:
        encoder: Texts are encoded if it is a :class:`flawshot.encoders.base.TextEncoder` that can do so now.
        prompts: The prompts; if None, those of the old bank, or the built-in ones if it has none.
        catalog: The instances.
        old: The existing bank. Its text features are returned if they are still valid, or if the encoder cannot encode
            texts now.
        overwrite: Whether the old bank's prompts, and text features that cannot be recomputed, may be dropped.

    Returns:
        The text features, or None if there are none and the encoder cannot encode texts; and the remarks.

    Raises:
        FlawshotError: If the encoder cannot encode texts but prompts are given or the old text features lack a
            category, or if its text features are invalid.
    """
    rows, before = labeled_pairs(catalog), None if old is None else old.text
    if (reason := why_no_text(encoder)) or not isinstance(encoder, TextEncoder):
        if prompts is not None:
            raise FlawshotError(f"{argument('prompts')}: cannot be used; {reason}")
        if old is None or before is None or overwrite:
            return None, ()
        absent = set(rows).difference(before.record.rows)
        if absent:
            named = printable("/".join(min(absent)), 2 * LONGEST_VALUE)
            raise FeatureBankError(
                f"{old.path}: its text features lack {named}, and none can be computed now ({reason}); "
                f"fix that, or add {argument('overwrite', value=True)}, which drops them"
            )
        kept = f"{old.path}: its text features stay as they are, because none can be computed now ({reason})"
        return before, (printable(kept), *_alike(before, rows))
    remarks = []
    if prompts is None and old is not None and before is not None and not overwrite:
        prompts = _prompts_of_bank(old.path, before.record)
        if prompts != Prompts():
            remarks.append(
                f"{old.path}: kept its own prompts; a prompts file without prompts, or overwriting, brings the "
                "built-in ones back"
            )
    text = _encoded(encoder, prompts or Prompts(), rows, before)
    return text, (*remarks, *_alike(text, rows))


def why_no_text(encoder: Encoder) -> str:
    """Why an encoder's images cannot be compared with texts, in one line; empty if they can."""
    return encoder.no_text() if isinstance(encoder, TextEncoder) else f"{encoder.record.name} has no text tower"


def _encoded(
    encoder: _ImageAndText, prompts: Prompts, rows: tuple[tuple[str, str], ...], old: TextFeatures | None
) -> TextFeatures:
    """Text features of some (product, category); the old ones themselves if they are equal."""
    record = TextRecord(
        file=TEXT_FILE,
        templates=prompts.templates,
        categories=dict(prompts.categories),
        rows=rows,
        weights_hash=encoder.text_weights_hash(),
    )
    same = old is not None and old.record == record
    if old is not None and same and record.weights_hash is not None:
        return old
    texts = [prompts_of(prompts, *row) for row in rows]
    distinct = list(dict.fromkeys(text for own in texts for text in own))
    place = {text: number for number, text in enumerate(distinct)}
    parts = [
        encoder.encode_text(distinct[start : start + BATCH]).cpu().numpy() for start in range(0, len(distinct), BATCH)
    ]
    features = _scaled(np.concatenate(parts).astype(np.float32)) if parts else np.empty((0, encoder.dim), np.float32)
    matrix = np.empty((len(rows), encoder.dim), dtype=np.float32)
    if features.shape[1:] != matrix.shape[1:]:
        raise FlawshotError(
            f"{encoder.record.name}: its text features have shape {list(features.shape)}, its images' dim is "
            f"{encoder.dim}, so they are not comparable"
        )
    for number, own in enumerate(texts):
        matrix[number] = _scaled(features[[place[text] for text in own]].mean(axis=0))
        if not np.isfinite(matrix[number]).all():
            named = printable("/".join(rows[number]))
            raise FlawshotError(f"{encoder.record.name}: text features of {named} are not finite; use other prompts")
    # Without a hash, a different text tower shows only in its features.
    return old if old is not None and same and np.array_equal(matrix, old.matrix) else TextFeatures(record, matrix)


def _prompts_of_bank(bank: Path, record: TextRecord) -> Prompts:
    try:
        return Prompts(record.templates, record.categories)
    except FlawshotError as error:
        raise FeatureBankError(f"{bank / 'manifest.json'}: text.{error.marked}; {REMEDY}") from error


def _alike(text: TextFeatures, rows: Sequence[tuple[str, str]]) -> list[str]:
    """A remark on each set of categories of one product that the text tower cannot tell apart."""
    categories: dict[str, list[str]] = {}
    for product, category in rows:
        categories.setdefault(product, []).append(category)
    place = {row: number for number, row in enumerate(text.record.rows)}
    remarks = []
    for product, names in categories.items():
        matrix = text.matrix[[place[product, name] for name in names]]
        left = np.arange(len(names))
        while left.size:
            near = np.linalg.norm(matrix[left] - matrix[left[0]], axis=1) < ALIKE
            quoted = [f"'{printable(names[number])}'" for number in left[near]]
            if len(quoted) > 1:
                said = f"{', '.join(quoted[:-1])} and {quoted[-1]}"
                remarks.append(
                    f"{printable(product)}: {said} look the same to the text tower; give them their own prompts"
                )
            left = left[~near]
    return remarks


def _scaled(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors scaled to length one; not finite if the length is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled
