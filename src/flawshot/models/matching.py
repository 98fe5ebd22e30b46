"""Matching: which new regions are already examples of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from flawshot.bank.features import FeatureBank
    from flawshot.catalog import Catalog

__all__ = ["Matched", "match_examples"]

# Features of a region that is encoded twice differ by rounding: at most by this share of their length, measured with
# float16 and different batches. Features of a region of another picture differ far more.
SAME = 0.05


class Matched(NamedTuple):
    """New regions matched with a model's examples.

    Attributes:
        known: Rows of new regions that are already examples, and the rows of these examples.
        fresh: Rows of regions that are new, or differ from their example in label or outline.
        replaced: Rows of the examples that a fresh region replaces.
    """

    known: dict[int, int]
    fresh: list[int]
    replaced: list[int]


def match_examples(support: FeatureBank, new: FeatureBank, prefix: str) -> Matched:
    """Find the examples that recur among new regions.

    Args:
        support: The model's examples.
        new: The new regions.
        prefix: Prefix of the ids of examples that were learned from the same predictions.
    """
    known = _already(support, new, prefix)
    before, after = support.catalog.column("category"), new.catalog.column("category")
    fresh = [
        row
        for row, category in enumerate(after)
        if row not in known or before[known[row]] != category or not _alike(support, known[row], new, row)
    ]
    return Matched(known, fresh, sorted({known[row] for row in fresh if row in known}))


def _already(support: FeatureBank, new: FeatureBank, prefix: str) -> dict[int, int]:
    """Rows of new regions that are already in the support set, and their rows there."""
    by_place: dict[tuple[str | int, ...], list[int]] = {}
    for row, key in enumerate(_places(support.catalog)):
        by_place.setdefault(key, []).append(row)
    found, taken = {}, set[int]()
    for row, (identifier, key) in enumerate(zip(new.catalog.column("id"), _places(new.catalog), strict=True)):
        before = support.catalog.row_of.get(f"{prefix}/{identifier}")
        if before is None:
            # Another picture may have the same file name and box, but not the same features.
            before = next((each for each in by_place.get(key, ()) if _alike(support, each, new, row)), None)
        if before is not None and before not in taken:
            found[row] = before
            taken.add(before)
    return found


def _places(catalog: Catalog) -> list[tuple[str | int, ...]]:
    columns = (catalog.column(name) for name in ("image", "x0", "y0", "x1", "y1"))
    return [(image.rpartition("/")[2], *box) for image, *box in zip(*columns, strict=True)]


def _alike(support: FeatureBank, before: int, new: FeatureBank, row: int) -> bool:
    one, other = (bank.rows([at]).astype(np.float32) for bank, at in ((support, before), (new, row)))
    return float(np.linalg.norm(one - other)) <= SAME * float(np.linalg.norm(one))
