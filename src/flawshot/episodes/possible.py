"""What data allows: the categories that can be both learned and queried, and the K that they are enough for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from flawshot.base.errors import EpisodeError
from flawshot.base.wording import counted
from flawshot.episodes.pools import make_pools
from flawshot.episodes.sampling import sample_episodes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.catalog import Catalog
    from flawshot.episodes.episode_set import EpisodeSet

__all__ = ["Possible", "sample_possible"]


class Possible(NamedTuple):
    """The episodes that a data set allows.

    Attributes:
        catalog: The instances of products and categories that can be used.
        episodes: One set per product and K; empty if no product has two usable categories.
        remarks: What was left out or has too few instances, one line each.
    """

    catalog: Catalog
    episodes: tuple[EpisodeSet, ...]
    remarks: tuple[str, ...]


def sample_possible(
    catalog: Catalog,
    *,
    shots: Sequence[int] = (1, 3, 5),
    seeds: Sequence[int] = range(5),
    groups: Mapping[str, str] | None = None,
) -> Possible:
    """Draw ``disjoint`` episodes of everything with enough instances, and report what lacks them.

    A category is left out if one support instance would leave it no query; a product, if fewer than two categories
    remain; a K, if fewer than two categories have that many instances. A category with fewer than K instances
    contributes those it has.

    Args:
        catalog: The data set.
        shots: The values of K.
        seeds: One episode for each.
        groups: The physical sample that each image shows, by image path.

    Raises:
        EpisodeError: If an image has no group.
    """
    remarks: list[str] = []
    sets: list[EpisodeSet] = []
    kept: list[Catalog] = []
    for product in catalog.products:
        own = _usable(catalog.select([product]), product, groups, remarks)
        made = [] if own is None else _sample(own, shots, seeds, groups, remarks)
        if own is not None and made:
            kept.append(own)
            sets += made
    table = pa.concat_tables([each.table for each in kept]) if kept else catalog.table.slice(0, 0)
    return Possible(catalog.with_rows(table), tuple(sets), tuple(remarks))


def _usable(own: Catalog, product: str, groups: Mapping[str, str] | None, remarks: list[str]) -> Catalog | None:
    """A product's instances without unusable categories; None if fewer than two categories are left."""
    while True:
        room = _room(own, groups)
        short = [category for category, most in room.items() if most < 1]
        if not short:
            break
        counts = Counter(own.column("category"))
        named = ", ".join(f"{category} ({counts[category]})" for category in short)
        where = "one image" if groups is None else "one group"
        remarks.append(f"{product}: left out because all instances are in {where}: {named}; annotate more of them")
        keep = [category not in short for category in own.column("category")]
        own = own.with_rows(own.table.filter(pa.array(keep)))
    if len(room) < 2:
        only = f"a single usable category ({', '.join(room)})" if room else "no usable category"
        remarks.append(f"{product}: left out because it has {only}; there is nothing to tell apart")
        return None
    return own


def _room(own: Catalog, groups: Mapping[str, str] | None) -> dict[str, int]:
    """The most instances of each category that a support set can take."""
    pools = make_pools(own, "disjoint", groups)
    room = {}
    for category in pools.categories:
        units = Counter(item.unit for item in pools.support if item.category == category)
        if pools.parameters.get("split") == "kept":
            room[category] = units.total()
        else:  # one image or group stays for the queries
            room[category] = units.total() - min(units.values())
    return room


def _sample(
    own: Catalog, shots: Sequence[int], seeds: Sequence[int], groups: Mapping[str, str] | None, remarks: list[str]
) -> list[EpisodeSet]:
    room, (product,) = _room(own, groups), own.products
    made: list[EpisodeSet] = []
    for k in shots:
        if sum(most >= k for most in room.values()) < min(2, len(room)):
            remarks.append(
                f"{product}: {counted(k, 'shot')} left out because fewer than two categories have that many support "
                "instances"
            )
            continue
        short = [f"{category} ({most})" for category, most in room.items() if most < k]
        if short:
            remarks.append(
                f"{product}: fewer than {counted(k, 'support instance')}, so all are used: {', '.join(short)}"
            )
        try:
            made.append(sample_episodes(own, product, k, seeds=seeds, groups=groups, allow_short=bool(short)))
        except EpisodeError as error:
            reason = str(error).partition("; ")[0]  # the advice after it is for who chose the shots
            remarks.append(f"{counted(k, 'shot')} left out: {reason}")
    return made
