"""Counts of images and instances per product, category and split."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from flawshot.catalog import Catalog

__all__ = ["StatsRow", "count"]


class StatsRow(TypedDict):
    """One row of the table; ``category`` is None in a product's total for a split."""

    product: str
    split: str | None
    category: str | None
    images: int
    instances: int


def count(catalog: Catalog) -> list[StatsRow]:
    """Count the distinct images and the instances of every product, split and category.

    Returns:
        Sorted by product and split (train, test, val, none); each product's total for a split comes first. An image
        with instances of several categories counts once in each of them and once in the total.
    """
    images: dict[tuple[str, str | None, str | None], set[str]] = {}
    instances: dict[tuple[str, str | None, str | None], int] = {}
    columns = (catalog.column(name) for name in ("product", "split", "category", "image"))
    for product, split, category, image in zip(*columns, strict=True):
        for key in ((product, split, None), (product, split, category)):
            images.setdefault(key, set()).add(image)
            instances[key] = instances.get(key, 0) + 1
    order = {"train": 0, "test": 1, "val": 2, None: 3}
    keys = sorted(instances, key=lambda key: (key[0], order[key[1]], key[2] is not None, key[2] or ""))
    return [
        StatsRow(product=key[0], split=key[1], category=key[2], images=len(images[key]), instances=instances[key])
        for key in keys
    ]
