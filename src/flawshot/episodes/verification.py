"""The proof that an episode holds what it claims: nothing leaks, nothing is missing, nothing is somebody else's."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from flawshot.errors import EpisodeError

if TYPE_CHECKING:
    from flawshot.catalog import Catalog
    from flawshot.episodes.episode_set import Episode, EpisodeSet

__all__ = ["verify"]


class _Item(NamedTuple):
    category: str
    split: str | None
    image: str


def verify(episodes: EpisodeSet, catalog: Catalog) -> None:
    """Prove a set of episodes against the catalog.

    Every id exists and is of the product; the product's ids and labels are those they were drawn from; no instance
    stands twice, or in support and query; every category has K support instances (at most K, where short ones were
    allowed). ``mvrec``: support comes from train, query from test. ``disjoint``: no image, and no group, stands on
    both sides, and nothing of ``val`` is used.

    Args:
        episodes: What is claimed.
        catalog: The data set, or a feature bank's catalog.

    Raises:
        EpisodeError: With the first claim that does not hold.
    """
    if episodes.product not in catalog.products:
        raise EpisodeError(f"product: {episodes.product} is not in the data, which has {', '.join(catalog.products)}")
    own = catalog.select([episodes.product])
    columns = (own.column(name) for name in ("id", "category", "split", "image"))
    items = {identifier: _Item(*values) for identifier, *values in zip(*columns, strict=True)}
    for number, episode in enumerate(episodes.episodes):
        place = f"episodes.{number}"
        _check_ids(place, episode, items)
        _check_shots(place, episode, items, episodes)
        _check_split(place, episode, items, episodes)
        if episodes.protocol == "disjoint":
            _check_disjoint(place, episode, items, episodes)
    categories = tuple(sorted({item.category for item in items.values() if item.category}))
    if episodes.categories != categories:
        raise EpisodeError(f"categories: are {', '.join(categories)} in the data, not {', '.join(episodes.categories)}")
    if catalog.fingerprint(episodes.product) != episodes.fingerprint:
        raise EpisodeError(
            f"fingerprint: {episodes.product}'s instances or labels have changed since; sample the episodes again"
        )
    if not episodes.episodes:
        raise EpisodeError("episodes: there is none; sample again")
    if episodes.shared_query is None and len({episode.seed for episode in episodes.episodes}) < len(episodes.episodes):
        raise EpisodeError("episodes: a seed stands twice with different query sets; sample again")


def _check_ids(place: str, episode: Episode, items: dict[str, _Item]) -> None:
    for side, ids in (("support", episode.support), ("query", episode.query)):
        if not ids:
            raise EpisodeError(f"{place}.{side}: is empty")
        unknown = [identifier for identifier in ids if identifier not in items]
        if unknown:
            raise EpisodeError(f"{place}.{side}: {unknown[0]} is not an instance of the product ({len(unknown)} such)")
        twice = [identifier for identifier, times in Counter(ids).items() if times > 1]
        if twice:
            raise EpisodeError(f"{place}.{side}: {twice[0]} stands there twice")
    both = set(episode.support) & set(episode.query)
    if both:
        raise EpisodeError(f"{place}: {min(both)} stands in support and query ({len(both)} such)")


def _check_shots(place: str, episode: Episode, items: dict[str, _Item], episodes: EpisodeSet) -> None:
    counts = Counter(items[identifier].category for identifier in episode.support)
    short = bool(episodes.parameters.get("allow_short"))
    for category in episodes.categories:
        drawn = counts.pop(category, 0)
        if drawn > episodes.shots or drawn < (1 if short else episodes.shots):
            raise EpisodeError(f"{place}.support: category {category!r} has {drawn} instances, not {episodes.shots}")
    if counts:
        raise EpisodeError(f"{place}.support: category {min(counts)!r} is not among the file's categories")


def _check_split(place: str, episode: Episode, items: dict[str, _Item], episodes: EpisodeSet) -> None:
    kept = episodes.protocol == "mvrec" or episodes.parameters.get("split") == "kept"
    for side, ids, own in (("support", episode.support, "train"), ("query", episode.query, "test")):
        for identifier in ids:
            split = items[identifier].split
            if split != own if kept else split == "val":
                raise EpisodeError(f"{place}.{side}: {identifier} is of split {split}, which is no {side} here")


def _check_disjoint(place: str, episode: Episode, items: dict[str, _Item], episodes: EpisodeSet) -> None:
    groups = episodes.groups or {}

    def units(ids: tuple[str, ...]) -> set[tuple[str, str]]:
        images = {items[identifier].image for identifier in ids}
        return {("image", image) for image in images} | {
            ("group", groups[image]) for image in images if image in groups
        }

    both = units(episode.support) & units(episode.query)
    if both:
        kind, name = min(both)
        raise EpisodeError(f"{place}: {kind} {name} stands in support and query ({len(both)} such)")
