"""Pools: the instances of a product that a protocol draws support and query sets from."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

from flawshot.base.arguments import argument
from flawshot.base.errors import EpisodeError
from flawshot.base.wording import counted
from flawshot.episodes.episode_set import Episode, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flawshot.catalog import Catalog

__all__ = ["Item", "Pools", "draw_mvrec", "make_pools"]


class Item(NamedTuple):
    """One instance, reduced to what drawing needs.

    Attributes:
        id: Its id.
        category: Its category.
        split: Its split, or None.
        unit: What may not be on both sides: its group, or its image.
    """

    id: str
    category: str
    split: str | None
    unit: str


class Pools(NamedTuple):
    """The instances that support and query sets are drawn from.

    Attributes:
        categories: The categories in label order.
        support: What support may be drawn from, in catalog order.
        query: What may be queried, in catalog order.
        parameters: How the data set's own split was treated.
    """

    categories: tuple[str, ...]
    support: list[Item]
    query: list[Item]
    parameters: dict[str, Any]

    def query_left(self, support: Mapping[str, Iterable[Item]]) -> list[Item]:
        """The query set for a support set: all instances that share no unit with it."""
        taken = {item.unit for items in support.values() for item in items}
        return [item for item in self.query if item.unit not in taken]


def make_pools(own: Catalog, protocol: Protocol, groups: Mapping[str, str] | None) -> Pools:
    """The pools of one product.

    Args:
        own: The product's instances; those without a label are skipped.
        protocol: ``mvrec``, ``disjoint`` or ``episodic``.
        groups: The group of each image, by its path, or None.

    Raises:
        EpisodeError: If an image has no group, or the train or test split that ``mvrec`` needs is missing.
    """
    items = _items(own, groups)
    categories = tuple(sorted({item.category for item in items}))
    train = [item for item in items if item.split == "train"]
    test = [item for item in items if item.split == "test"]
    if protocol == "mvrec":
        if not train or not test:
            raise EpisodeError(f"protocol mvrec needs a train and a test split; use {argument('protocol', 'disjoint')}")
        return Pools(tuple(sorted({item.category for item in train + test})), train, test, {})
    parameters: dict[str, Any] = {}
    val = sum(1 for split in own.column("split") if split == "val")
    if val:
        parameters["val_left_out"] = val
    if not train and not test:
        return Pools(categories, items, items, parameters | {"split": "none"})
    if protocol == "episodic":
        because = "random tasks are drawn from all of it"
        return Pools(categories, items, items, parameters | {"split": "ignored", "split_ignored_because": because})
    reason = _why_ignored(categories, train, test)
    if reason is not None:
        return Pools(categories, items, items, parameters | {"split": "ignored", "split_ignored_because": reason})
    unasked = sorted(set(categories) - {item.category for item in test})
    if len(items) > len(train) + len(test):
        parameters["no_split_left_out"] = len(items) - len(train) - len(test)
    if unasked:
        parameters["never_queried"] = unasked
    return Pools(categories, train, test, parameters | {"split": "kept"})


def _items(own: Catalog, groups: Mapping[str, str] | None) -> list[Item]:
    items = []
    columns = (own.column(name) for name in ("id", "category", "split", "image"))
    for identifier, category, split, image in zip(*columns, strict=True):
        if groups is not None and image not in groups:
            raise EpisodeError(f"{argument('groups')}: the image {image} has no group")
        if category and split != "val":
            items.append(Item(identifier, category, split, image if groups is None else groups[image]))
    return items


def _why_ignored(categories: tuple[str, ...], train: list[Item], test: list[Item]) -> str | None:
    """Why the data set's own split is not kept; None if it is kept."""
    if not test:
        return "there is no test part"
    absent = sorted(set(categories) - {item.category for item in train})
    return f"its train part has no {', '.join(absent)}" if absent else None


def draw_mvrec(product: str, pools: Pools, shots: int, seed: int, *, allow_short: bool) -> Episode:
    """Draw by MVREC's rule: shuffle each category's rows by the seed and take the first K; all of test is queried.

    The rows are in catalog order, which for MVTec-FS is the order of its published tables.

    Raises:
        EpisodeError: If a category has too few train instances.

    References:
        MVREC (AAAI 2025, arXiv 2412.16897).
    """
    support: list[str] = []
    for category in pools.categories:
        rows = [item.id for item in pools.support if item.category == category]
        if len(rows) < (1 if allow_short else shots):
            raise EpisodeError(
                f"{product}: category {category!r} has {counted(len(rows), 'train instance')}; annotate more"
            )
        random.Random(seed).shuffle(rows)
        support += rows[:shots]
    return Episode(seed, tuple(support), tuple(item.id for item in pools.query))
