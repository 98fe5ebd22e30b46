"""Verification of episodes: nothing leaks, nothing is missing, and nothing belongs to other data."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from flawshot.base.errors import EpisodeError
from flawshot.base.wording import counted
from flawshot.episodes.episodic import task_check
from flawshot.episodes.pools import draw_mvrec, make_pools

if TYPE_CHECKING:
    from flawshot.catalog import Catalog
    from flawshot.episodes.episode_set import Episode, EpisodeSet
    from flawshot.episodes.pools import Pools

__all__ = ["verify_episodes"]


def verify_episodes(episodes: EpisodeSet, catalog: Catalog) -> None:
    """Verify a set of episodes against the catalog.

    Every id exists, belongs to the product and has a label; the product's ids and labels are those the episodes were
    drawn from; no instance occurs twice, or in both support and query; every category has K support instances (at
    most K if short supports were allowed). ``mvrec``: each draw is the one that its seed gives. ``disjoint``: the
    groups cover exactly the product's images, the split is used as the protocol says, no image and no group is on
    both sides, and the query set is all that the support set leaves. ``episodic``: no image and no group is on both
    sides, and each draw is the one that its number and the seed give.

    Args:
        episodes: The episodes to verify.
        catalog: The data set, or a feature bank's catalog.

    Raises:
        EpisodeError: With the first claim that is wrong.
    """
    if episodes.product not in catalog.products:
        raise EpisodeError(f"product: {episodes.product} is not in the data, which has {', '.join(catalog.products)}")
    own = catalog.select([episodes.product])
    _check_seeds(episodes)
    if episodes.groups is not None and set(episodes.groups) != set(own.column("image")):
        odd = min(set(episodes.groups) ^ set(own.column("image")))
        raise EpisodeError(f"groups: {odd} is missing, or is not an image of the product; sample again")
    pools = make_pools(own, episodes.protocol, episodes.groups)
    _check_claims(episodes, pools)
    category = dict(zip(own.column("id"), own.column("category"), strict=True))
    if episodes.protocol == "episodic":
        prove = task_check(episodes, pools)
        for number, episode in enumerate(episodes.episodes):  # once: tasks may be drawn on access
            _check_ids(f"episodes.{number}", episode, category)
            prove(number, episode)
    else:
        for number, episode in enumerate(episodes.episodes):
            _check_ids(f"episodes.{number}", episode, category)
            _check_shots(f"episodes.{number}", episode, category, episodes)
        check = _check_mvrec if episodes.protocol == "mvrec" else _check_disjoint
        for number, episode in enumerate(episodes.episodes):
            check(f"episodes.{number}", episode, pools, episodes)
    if catalog.fingerprint(episodes.product) != episodes.fingerprint:
        raise EpisodeError(
            f"fingerprint: {episodes.product}'s instances or labels have changed since; sample the episodes again "
            "(from the bank's catalog.parquet, if images were left out when it was encoded)"
        )


def _check_seeds(episodes: EpisodeSet) -> None:
    if not episodes.episodes:
        raise EpisodeError("episodes: there are none; sample again")
    if episodes.protocol == "episodic":
        return  # the seeds are the tasks' numbers, which are verified task by task
    seed, times = Counter(episode.seed for episode in episodes.episodes).most_common(1)[0]
    if times > 1:
        raise EpisodeError(f"episodes: seed {seed} occurs twice; sample again")


def _check_claims(episodes: EpisodeSet, pools: Pools) -> None:
    if episodes.categories != pools.categories:
        named = ", ".join(pools.categories)
        raise EpisodeError(f"categories: are {named} in the data, not {', '.join(episodes.categories)}")
    for key, value in pools.parameters.items():
        if episodes.parameters.get(key) != value:
            raise EpisodeError(f"parameters.{key}: is {value!r} by the protocol, not {episodes.parameters.get(key)!r}")


def _check_ids(place: str, episode: Episode, category: dict[str, str]) -> None:
    for side, ids in (("support", episode.support), ("query", episode.query)):
        if not ids:
            raise EpisodeError(f"{place}.{side}: is empty")
        unknown = [identifier for identifier in ids if not category.get(identifier)]
        if unknown:
            raise EpisodeError(
                f"{place}.{side}: {unknown[0]} is not a labeled instance of the product ({len(unknown)} such)"
            )
        twice = [identifier for identifier, times in Counter(ids).items() if times > 1]
        if twice:
            raise EpisodeError(f"{place}.{side}: {twice[0]} occurs twice")
    both = set(episode.support) & set(episode.query)
    if both:
        raise EpisodeError(f"{place}: {min(both)} is in support and query ({len(both)} such)")


def _check_shots(place: str, episode: Episode, category: dict[str, str], episodes: EpisodeSet) -> None:
    counts = Counter(category[identifier] for identifier in episode.support)
    short = episodes.parameters.get("allow_short") is True
    for name in episodes.categories:
        drawn = counts.pop(name, 0)
        if drawn > episodes.shots or drawn < (1 if short else episodes.shots):
            raise EpisodeError(
                f"{place}.support: category {name!r} has {counted(drawn, 'instance')}, not {episodes.shots}"
            )
    if counts:
        raise EpisodeError(f"{place}.support: category {min(counts)!r} is not among the file's categories")


def _check_mvrec(place: str, episode: Episode, pools: Pools, episodes: EpisodeSet) -> None:
    short = episodes.parameters.get("allow_short") is True
    expected = draw_mvrec(episodes.product, pools, episodes.shots, episode.seed, allow_short=short)
    if episode.support != expected.support:
        raise EpisodeError(f"{place}.support: is not what seed {episode.seed} draws by MVREC's rule")
    if episode.query != expected.query:
        raise EpisodeError(f"{place}.query: is not the whole test split, in catalog order")


def _check_disjoint(place: str, episode: Episode, pools: Pools, episodes: EpisodeSet) -> None:
    support = {item.id: item for item in pools.support}
    stray = [identifier for identifier in episode.support if identifier not in support]
    if stray:
        raise EpisodeError(f"{place}.support: {stray[0]} is in no split that support is drawn from")
    taken = {support[identifier].unit for identifier in episode.support}
    unit = {item.id: item.unit for item in pools.query}
    both = sorted(unit[identifier] for identifier in episode.query if unit.get(identifier) in taken)
    if both:
        kind = "image" if episodes.groups is None else "group"
        raise EpisodeError(f"{place}: {kind} {both[0]} is in support and query ({len(both)} such)")
    left = tuple(item.id for item in pools.query if item.unit not in taken)
    if episode.query != left:
        raise EpisodeError(f"{place}.query: is not all that the support set leaves, in catalog order")
