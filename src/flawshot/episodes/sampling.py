"""Drawing episodes: the support and query sets of a product under a protocol."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from flawshot.base.arguments import argument
from flawshot.base.errors import EpisodeError
from flawshot.base.wording import counted
from flawshot.episodes.episode_set import Episode, EpisodeSet, Protocol
from flawshot.episodes.episodic import draw_tasks
from flawshot.episodes.pools import Item, Pools, draw_mvrec, make_pools
from flawshot.episodes.verification import verify_episodes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.catalog import Catalog

__all__ = ["PROTOCOLS", "sample_episodes", "sample_tasks"]

PROTOCOLS: tuple[str, ...] = get_args(Protocol)

# How often a draw is repeated that leaves a category short, or needlessly takes two instances of an image.
ATTEMPTS = 100


def sample_episodes(
    catalog: Catalog,
    product: str,
    shots: int,
    *,
    seeds: Sequence[int] = range(5),
    protocol: Protocol = "disjoint",
    groups: Mapping[str, str] | None = None,
    allow_short: bool = False,
    least: int = 2,
) -> EpisodeSet:
    """Draw one episode per seed: K support instances of every category of a product, and the query set.

    ``mvrec`` is MVREC's own rule: for every category, Python's ``random`` with the seed shuffles the train instances
    in catalog order, and the first K are taken; the query set is all of test.

    ``disjoint`` is for your own data: no image, and no group if groups are given, is on both sides. A category's
    support takes only one instance per image (or group) as long as there are enough images. The data set's own split
    is kept if there is a test split and every category occurs in the train split; otherwise it is ignored, and every
    category keeps at least one query instance. ``val`` is used on neither side, nor are instances outside a split
    that is kept. With the same seed, the support set of a smaller K is part of that of a larger K, unless a draw had
    to be repeated.

    Args:
        catalog: The data set.
        product: The product to draw from; instances without a label are skipped.
        shots: K, at least 1.
        seeds: One episode for each.
        protocol: ``mvrec`` or ``disjoint``.
        groups: The physical sample that each image shows, by image path (``disjoint`` only).
        allow_short: Whether to accept categories with fewer than K instances, and use those there are.
        least: The number of categories that the product must have; 1 if they are not to be told apart, but found.

    Returns:
        The episodes, verified.

    Raises:
        EpisodeError: If the product has fewer than ``least`` categories, or a category (named with its count) has too
            few instances.

    References:
        MVREC (AAAI 2025, arXiv 2412.16897) for ``mvrec``.
    """
    if shots < 1:
        raise EpisodeError(f"{argument('shots', shots)}: must be at least 1")
    if not seeds:
        raise EpisodeError(f"{argument('seeds')}: at least one is needed")
    if protocol not in PROTOCOLS:
        raise EpisodeError(f"{argument('protocol', protocol)}: must be one of {', '.join(PROTOCOLS)}")
    if protocol == "episodic":
        raise EpisodeError(f"{argument('protocol', protocol)}: draws random tasks; use flawshot.sample_tasks")
    if groups is not None and protocol != "disjoint":
        raise EpisodeError(
            f"{argument('groups')}: protocol {protocol} does not support groups; use {argument('protocol', 'disjoint')}"
        )
    own = catalog.select([product])
    pools = make_pools(own, protocol, groups)
    if len(pools.categories) < max(1, least):
        named = f"one category ({pools.categories[0]})" if pools.categories else "no labeled instance outside val"
        raise EpisodeError(f"{product}: has {named}; there is nothing to tell apart")
    if not allow_short:
        _refuse_short(product, pools, shots)
    draw = draw_mvrec if protocol == "mvrec" else _draw_disjoint
    episodes = EpisodeSet(
        protocol=protocol,
        parameters=pools.parameters | {"allow_short": allow_short},
        product=product,
        shots=shots,
        fingerprint=catalog.fingerprint(product),
        categories=pools.categories,
        episodes=tuple(draw(product, pools, shots, seed, allow_short=allow_short) for seed in seeds),
        groups=None if groups is None else {image: groups[image] for image in sorted(set(own.column("image")))},
    )
    verify_episodes(episodes, catalog)
    return episodes


def sample_tasks(
    catalog: Catalog,
    product: str,
    shots: int,
    *,
    ways: int = 5,
    queries: int = 15,
    episodes: int = 600,
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
    keep: bool = True,
) -> EpisodeSet:
    """Draw random N-way K-shot tasks, the usual measure of few-shot learning: the protocol ``episodic``.

    Each episode has N of the product's categories with K support and Q query instances each, all drawn at random from
    the whole data set except ``val``. No image, and no group if groups are given, is on both sides; a support takes
    only one instance per image (or group) as long as there are enough images. Every episode depends only on ``seed``,
    the product and its own number, so a longer run starts with the same episodes.

    Args:
        catalog: The data set.
        product: The product to draw from; instances without a label are skipped.
        shots: K, at least 1.
        ways: N, at least 2.
        queries: Q, the query instances per category, at least 1.
        episodes: Number of episodes.
        seed: A different seed gives different episodes.
        groups: The physical sample that each image shows, by image path.
        keep: Whether the tasks stay in memory. Otherwise they are drawn on each access, so writing many of them takes
            no more memory than writing a few.

    Returns:
        The episodes, verified.

    Raises:
        EpisodeError: If the product has fewer than N categories, or some (named) have too few instances.

    References:
        Vinyals et al.: "Matching Networks for One Shot Learning", NeurIPS 2016.
    """
    tasks = draw_tasks(catalog, product, shots, ways=ways, queries=queries, episodes=episodes, seed=seed, groups=groups)
    if keep:
        tasks = replace(tasks, episodes=tuple(tasks.episodes))
    verify_episodes(tasks, catalog)
    return tasks


def _refuse_short(product: str, pools: Pools, shots: int) -> None:
    counts = Counter(item.category for item in pools.support)
    for category in pools.categories:
        if counts[category] < shots:
            there = counted(counts[category], "instance")
            raise EpisodeError(
                f"{product}: category {category!r} has {there} to draw support from, fewer than "
                f"{shots}; annotate more, lower {argument('shots')}, or add {argument('allow_short', True)}"
            )


def _draw_disjoint(product: str, pools: Pools, shots: int, seed: int, *, allow_short: bool) -> Episode:
    best: dict[str, list[Item]] = {}
    best_rank: tuple[int, int, int] | None = None
    units = {
        category: len({item.unit for item in pools.support if item.category == category})
        for category in pools.categories
    }
    forced = sum(max(0, shots - count) for count in units.values())
    for attempt in range(ATTEMPTS):
        # A text seeds Random by its SHA-512, the same on every machine and in every Python since 3.2.
        rng = random.Random(json.dumps([product, seed, attempt]))
        # If nothing else helps, short categories may go without a query instance.
        reserve = not (allow_short and attempt >= ATTEMPTS // 2)
        if not reserve and best_rank is not None and best_rank[0] == len(pools.categories):
            break
        reserved = _reserve(product, pools, rng, allow_short=allow_short) if reserve else set()
        drawn = {category: _spread(pools.support, category, reserved, rng)[:shots] for category in pools.categories}
        doubled = sum(len(items) - len({item.unit for item in items}) for items in drawn.values())
        rank = (sum(1 for items in drawn.values() if items), sum(map(len, drawn.values())), -doubled)
        if not pools.query_left(drawn):
            continue
        if best_rank is None or rank > best_rank:
            best, best_rank = drawn, rank
        if best_rank[1] == shots * len(drawn) and -best_rank[2] <= forced:
            break
    for category in pools.categories:
        if len(best.get(category, [])) < (1 if allow_short else shots):
            advice = "annotate more"
            if not allow_short:
                advice += f", lower {argument('shots')}, or add {argument('allow_short', True)}"
            places = counted(units[category], "image or group", "images or groups")
            raise EpisodeError(
                f"{product}: the instances of category {category!r} come from {places}, "
                f"and no draw of {shots} leaves every category a query instance in others; {advice}"
            )
    support = tuple(item.id for category in pools.categories for item in best[category])
    return Episode(seed, support, tuple(item.id for item in pools.query_left(best)))


def _reserve(product: str, pools: Pools, rng: random.Random, *, allow_short: bool) -> set[str]:
    """Pick units to keep out of the support so that every category has a query instance; rarest category first."""
    drawable = {item.unit for item in pools.support}
    units = {
        category: list(dict.fromkeys(item.unit for item in pools.query if item.category == category))
        for category in pools.categories
    }
    reserved: set[str] = set()
    for category in sorted(pools.categories, key=lambda name: (len(units[name]), name)):
        own = units[category]
        if not own or any(unit in reserved or unit not in drawable for unit in own):
            continue  # a kept split may lack query instances of a category
        elsewhere = {item.unit for item in pools.support if item.category == category} - set(own)
        if len(own) + len(elsewhere) > 1:
            reserved.add(rng.choice(own))
        elif not allow_short:
            raise EpisodeError(
                f"{product}: category {category!r} has all its instances in one image or group ({own[0]}); annotate "
                f"more, or add {argument('allow_short', True)} to leave it out of the query set"
            )
    return reserved


def _spread(pool: Sequence[Item], category: str, reserved: set[str], rng: random.Random) -> list[Item]:
    """A category's instances in random order: first one of each unit, then a second of each, and so on."""
    by_unit: dict[str, list[Item]] = {}
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
