"""Drawing episodes: which support and query sets a protocol makes of a product."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from flawshot.episodes.episode_set import Episode, EpisodeSet, Protocol
from flawshot.episodes.verification import verify
from flawshot.errors import EpisodeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.catalog import Catalog

__all__ = ["PROTOCOLS", "sample_episodes"]

PROTOCOLS: tuple[str, ...] = get_args(Protocol)

# A draw that leaves some category without support or query is made again, this often.
ATTEMPTS = 200


class _Item(NamedTuple):
    """One instance, as far as drawing goes; ``unit`` is what may not stand on both sides: its group or its image."""

    id: str
    category: str
    split: str | None
    unit: str


class _Pools(NamedTuple):
    support: list[_Item]
    query: list[_Item]
    parameters: dict[str, Any]


def sample_episodes(
    catalog: Catalog,
    product: str,
    shots: int,
    *,
    seeds: Sequence[int] = range(5),
    protocol: Protocol = "disjoint",
    groups: Mapping[str, str] | None = None,
    allow_short: bool = False,
) -> EpisodeSet:
    """Draw one episode a seed: K support instances of every category of a product, and the query set.

    ``mvrec`` is MVREC's own rule: for every category the train instances in catalog order are shuffled by Python's
    ``random`` with the seed, and the first K taken; the query set is all of test.

    ``disjoint`` is for one's own data: no image, and where groups are given no group, stands on both sides. A
    category's support takes one instance of an image (or group) only, as long as there are enough images. The data
    set's own split is kept where each category occurs in its train part and there is a test part, and otherwise
    ignored; every category keeps at least one query instance; ``val`` is left out of both sides. At the same seed
    the support set of a smaller K is part of that of a larger one, unless a draw had to be made again.

    Args:
        catalog: The data set.
        product: The product to draw from; instances without a label are passed over.
        shots: K, at least 1.
        seeds: One episode each.
        protocol: ``mvrec`` or ``disjoint``.
        groups: The physical sample that each image shows, by image path (``disjoint`` only).
        allow_short: Whether a category with fewer than K instances may bring what it has.

    Returns:
        The episodes, verified.

    Raises:
        EpisodeError: If the product has fewer than two categories, or a category too few instances: it names the
            category and its count.

    References:
        MVREC (AAAI 2025, arXiv 2412.16897) for ``mvrec``.
    """
    if shots < 1:
        raise EpisodeError(f"--shots {shots}: must be at least 1")
    if not seeds:
        raise EpisodeError("--seeds: there must be at least 1")
    if protocol not in PROTOCOLS:
        raise EpisodeError(f"--protocol {protocol}: must be one of {', '.join(PROTOCOLS)}")
    if groups is not None and protocol != "disjoint":
        raise EpisodeError(f"--group: protocol {protocol} knows no groups; use --protocol disjoint")
    items = _items(catalog.select([product]), groups)
    categories = tuple(sorted({item.category for item in items}))
    if len(categories) < 2:
        named = f"one category ({categories[0]})" if categories else "no labelled instance"
        raise EpisodeError(f"{product}: has {named}; there is nothing to tell apart")
    pools = _mvrec_pools(product, items) if protocol == "mvrec" else _disjoint_pools(items, categories)
    if not allow_short:
        _refuse_short(product, categories, pools, shots)
    draw = _draw_mvrec if protocol == "mvrec" else _draw_disjoint
    images = set(catalog.select([product]).column("image"))
    episodes = EpisodeSet(
        protocol=protocol,
        parameters=pools.parameters | {"allow_short": allow_short},
        product=product,
        shots=shots,
        fingerprint=catalog.fingerprint(product),
        categories=categories,
        episodes=tuple(draw(product, categories, pools, shots, seed, allow_short=allow_short) for seed in seeds),
        groups=None if groups is None else {image: groups[image] for image in sorted(images)},
    )
    verify(episodes, catalog)
    return episodes


def _items(own: Catalog, groups: Mapping[str, str] | None) -> list[_Item]:
    items = []
    columns = (own.column(name) for name in ("id", "category", "split", "image"))
    for identifier, category, split, image in zip(*columns, strict=True):
        if groups is not None and image not in groups:
            raise EpisodeError(f"--group: the image {image} has no group")
        if category:
            items.append(_Item(identifier, category, split, image if groups is None else groups[image]))
    return items


def _mvrec_pools(product: str, items: list[_Item]) -> _Pools:
    pools = _Pools(
        [item for item in items if item.split == "train"],
        [item for item in items if item.split == "test"],
        {},
    )
    if not pools.support or not pools.query:
        raise EpisodeError(f"{product}: protocol mvrec needs a train and a test split; use --protocol disjoint")
    return pools


def _disjoint_pools(items: list[_Item], categories: tuple[str, ...]) -> _Pools:
    usable = [item for item in items if item.split != "val"]
    train = [item for item in usable if item.split == "train"]
    test = [item for item in usable if item.split == "test"]
    parameters: dict[str, Any] = {}
    if len(usable) < len(items):
        parameters["val_left_out"] = len(items) - len(usable)
    absent = sorted(set(categories) - {item.category for item in train})
    loose = len(usable) - len(train) - len(test)
    if not train and not test:
        return _Pools(usable, usable, parameters | {"split": "none"})
    if not test:
        reason = "there is no test part"
    elif absent:
        reason = f"its train part has no {', '.join(absent)}"
    elif loose:
        reason = f"{loose} instances lie in no split"
    else:
        return _Pools(train, test, parameters | {"split": "kept"})
    return _Pools(usable, usable, parameters | {"split": "ignored", "split_ignored_because": reason})


def _refuse_short(product: str, categories: tuple[str, ...], pools: _Pools, shots: int) -> None:
    counts = Counter(item.category for item in pools.support)
    for category in categories:
        if counts[category] < shots:
            raise EpisodeError(
                f"{product}: category {category!r} has {counts[category]} instances to draw support from, {shots} "
                "shots need as many; annotate more, lower --shots, or add --allow-short"
            )


def _draw_mvrec(
    product: str, categories: tuple[str, ...], pools: _Pools, shots: int, seed: int, *, allow_short: bool
) -> Episode:
    support: list[str] = []
    for category in categories:
        rows = [item.id for item in pools.support if item.category == category]
        if len(rows) < (1 if allow_short else shots):
            raise EpisodeError(f"{product}: category {category!r} has {len(rows)} train instances; annotate some more")
        random.Random(seed).shuffle(rows)
        support += rows[:shots]
    return Episode(seed, tuple(support), tuple(item.id for item in pools.query))


def _draw_disjoint(
    product: str, categories: tuple[str, ...], pools: _Pools, shots: int, seed: int, *, allow_short: bool
) -> Episode:
    best: dict[str, list[_Item]] = {}
    for attempt in range(ATTEMPTS):
        # A text seeds Random by its SHA-512, the same on every machine and in every Python since 3.2.
        rng = random.Random(json.dumps([product, seed, attempt]))
        reserved = _reserve(product, categories, pools, rng, allow_short=allow_short)
        drawn = {category: _spread(pools.support, category, reserved, rng)[:shots] for category in categories}
        if sum(map(len, drawn.values())) > sum(map(len, best.values())):
            best = drawn
        if all(len(items) == shots for items in drawn.values()):
            break
    for category in categories:
        got = len(best.get(category, []))
        if got < (1 if allow_short else shots):
            units = {item.unit for item in pools.support if item.category == category}
            raise EpisodeError(
                f"{product}: category {category!r} has its instances in {len(units)} images or groups, and no draw of "
                f"{shots} leaves every category a query instance elsewhere; annotate more, lower --shots, or add "
                "--allow-short"
            )
    taken = {item.unit for items in best.values() for item in items}
    query = [item.id for item in pools.query if item.unit not in taken]
    if not query:
        raise EpisodeError(f"{product}: support takes every image or group, none is left to query; annotate more")
    return Episode(seed, tuple(item.id for category in categories for item in best[category]), tuple(query))


def _reserve(
    product: str, categories: tuple[str, ...], pools: _Pools, rng: random.Random, *, allow_short: bool
) -> set[str]:
    """Units that stay out of the support, so that every category keeps a query instance; rarest category first."""
    drawable = {item.unit for item in pools.support}
    units = {
        category: list(dict.fromkeys(item.unit for item in pools.query if item.category == category))
        for category in categories
    }
    reserved: set[str] = set()
    for category in sorted(categories, key=lambda name: (len(units[name]), name)):
        own = units[category]
        if any(unit in reserved or unit not in drawable for unit in own):
            continue
        elsewhere = {item.unit for item in pools.support if item.category == category} - set(own)
        if len(own) + len(elsewhere) > 1 and own:
            reserved.add(rng.choice(own))
        elif not allow_short:
            where = "no instance to query" if not own else f"all its instances in one image or group ({own[0]})"
            raise EpisodeError(
                f"{product}: category {category!r} has {where}; annotate more, or add --allow-short to leave it out "
                "of the query set"
            )
    return reserved


def _spread(pool: list[_Item], category: str, reserved: set[str], rng: random.Random) -> list[_Item]:
    """A category's instances in random order, one of each unit first, then the second of each, and so on."""
    by_unit: dict[str, list[_Item]] = {}
    for item in pool:
        if item.category == category:
            by_unit.setdefault(item.unit, []).append(item)
    units = list(by_unit)
    rng.shuffle(units)
    for unit in units:
        rng.shuffle(by_unit[unit])
    rounds = max(map(len, by_unit.values()), default=0)
    return [
        by_unit[unit][turn]
        for turn in range(rounds)
        for unit in units
        if turn < len(by_unit[unit]) and unit not in reserved
    ]
