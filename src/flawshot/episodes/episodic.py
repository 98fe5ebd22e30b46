"""Random N-way K-shot tasks, the usual measure of few-shot learning: the protocol ``episodic``."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from flawshot.base.arguments import argument
from flawshot.base.errors import EpisodeError
from flawshot.base.wording import counted
from flawshot.episodes.episode_set import Episode, EpisodeSet
from flawshot.episodes.pools import Item, make_pools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flawshot.catalog import Catalog
    from flawshot.episodes.pools import Pools

__all__ = ["DrawnTasks", "TaskRule", "draw_tasks", "task_check"]

# How often a draw that leaves a category short of queries is repeated. From the second half on, the support takes as
# few images as it can, because instances on the support's images cannot be queried.
ATTEMPTS = 100

Thing = TypeVar("Thing")


class TaskRule:
    """N random categories with K support and Q query instances each; no unit is on both sides.

    Attributes:
        product: The product.
        categories: Its categories in label order, each with enough instances.
    """

    def __init__(self, product: str, pools: Pools, *, ways: int, shots: int, queries: int, seed: int) -> None:
        """Index the instances that tasks are drawn from.

        Args:
            product: The product; seeds the draws together with ``seed``.
            pools: Its pools under the protocol ``episodic``.
            ways: N, at least 2.
            shots: K, at least 1.
            queries: Q per category, at least 1.
            seed: A different seed gives different tasks.

        Raises:
            EpisodeError: If there are fewer than N categories, or some (named) have fewer than K + Q instances.
        """
        for name, value, least in (("ways", ways, 2), ("shots", shots, 1), ("queries", queries, 1)):
            if value < least:
                raise EpisodeError(f"{argument(name, value)}: must be at least {least}")
        self.product, self.categories = product, pools.categories
        self._ways, self._shots, self._queries, self._seed = ways, shots, queries, seed
        if ways > len(pools.categories):
            there = counted(len(pools.categories), "category", "categories")
            raise EpisodeError(f"{product}: has {there}, fewer than {argument('ways', ways)}")
        self._units: dict[str, dict[str, list[Item]]] = {category: {} for category in pools.categories}
        self._items: dict[str, list[Item]] = {category: [] for category in pools.categories}
        self._place = {item.id: place for place, item in enumerate(pools.query)}
        for item in pools.support:
            self._units[item.category].setdefault(item.unit, []).append(item)
            self._items[item.category].append(item)
        needed = shots + queries
        short = [f"{name!r} {len(own)}" for name, own in self._items.items() if len(own) < needed]
        if short:
            raise EpisodeError(
                f"{product}: categories with fewer than the {needed} instances that a task needs ({shots} as "
                f"support, {queries} as queries): {', '.join(short)}; annotate more, or "
                f"lower {argument('shots')} or {argument('queries')}"
            )

    def draw(self, number: int) -> Episode:
        """Draw one task; it is the same whenever and wherever it is drawn.

        Raises:
            EpisodeError: If a category's instances come from too few images or groups.
        """
        # A text seeds Random by its SHA-512, the same on every machine and in every Python since 3.2.
        rng = random.Random(json.dumps([self.product, "episodic", self._seed, number]))
        chosen = sorted(rng.sample(self.categories, self._ways))
        short = chosen[0]
        for attempt in range(ATTEMPTS):
            support = [item for name in chosen for item in self._support(name, rng, few=attempt >= ATTEMPTS // 2)]
            taken = {item.unit for item in support}
            query: list[Item] = []
            for name in chosen:
                own = self._query(name, taken, rng)
                if len(own) < self._queries:
                    short = name
                    break
                query += own
            else:
                ids = sorted((item.id for item in query), key=self._place.__getitem__)
                return Episode(number, tuple(item.id for item in support), tuple(ids))
        units = counted(len(self._units[short]), "image or group", "images or groups")
        queries = counted(self._queries, "query", "queries")
        raise EpisodeError(
            f"{self.product}: the instances of category {short!r} come from {units}, and no draw of {self._shots} "
            f"leaves {queries} in others; annotate more, or lower {argument('shots')} or {argument('queries')}"
        )

    def _support(self, category: str, rng: random.Random, *, few: bool) -> list[Item]:
        """K instances of a category, from as many units as possible, or with ``few`` from as few as possible."""
        drawn: list[Item] = []
        left: list[Item] = []
        for unit in _in_random_order(list(self._units[category]), rng):
            own = self._units[category][unit]
            own = rng.sample(own, len(own))
            drawn += own if few else own[:1]
            left += own[1:]
            if len(drawn) >= self._shots:
                return drawn[: self._shots]
        return (drawn + list(_in_random_order(left, rng)))[: self._shots]

    def _query(self, category: str, taken: set[str], rng: random.Random) -> list[Item]:
        """Up to Q instances of a category that share no unit with the support."""
        query: list[Item] = []
        for item in _in_random_order(self._items[category], rng):
            if item.unit not in taken:
                query.append(item)
                if len(query) == self._queries:
                    break
        return query


class DrawnTasks(Sequence[Episode]):
    """The first tasks of a rule, each drawn on access; none is kept in memory."""

    def __init__(self, rule: TaskRule, count: int) -> None:
        """Set up the tasks without drawing any."""
        self._rule, self._numbers = rule, range(count)

    def __len__(self) -> int:
        """Number of tasks."""
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> Episode: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Episode]: ...

    def __getitem__(self, place: int | slice) -> Episode | Sequence[Episode]:
        """One task, or several."""
        if isinstance(place, slice):
            return tuple(map(self._rule.draw, self._numbers[place]))
        return self._rule.draw(self._numbers[place])


def _in_random_order(items: Sequence[Thing], rng: random.Random) -> Iterator[Thing]:
    """Yield the items in random order, lazily: taking a few of many costs only those few."""
    moved: dict[int, int] = {}
    for place in range(len(items)):
        other = rng.randrange(place, len(items))
        yield items[moved.get(other, other)]
        moved[other] = moved.pop(place, place)


def draw_tasks(
    catalog: Catalog,
    product: str,
    shots: int,
    *,
    ways: int,
    queries: int,
    episodes: int,
    seed: int,
    groups: Mapping[str, str] | None,
) -> EpisodeSet:
    """All tasks of a product at one K, drawn on access and not verified yet."""
    if episodes < 1:
        raise EpisodeError(f"{argument('episodes', episodes)}: must be at least 1")
    own = catalog.select([product])
    pools = make_pools(own, "episodic", groups)
    rule = TaskRule(product, pools, ways=ways, shots=shots, queries=queries, seed=seed)
    told = {"ways": ways, "queries": queries, "episodes": episodes, "seed": seed}
    return EpisodeSet(
        protocol="episodic",
        parameters=pools.parameters | told,
        product=product,
        shots=shots,
        fingerprint=catalog.fingerprint(product),
        categories=pools.categories,
        episodes=DrawnTasks(rule, episodes),
        groups=None if groups is None else {image: groups[image] for image in sorted(set(own.column("image")))},
    )


def task_check(episodes: EpisodeSet, pools: Pools) -> Callable[[int, Episode], None]:
    """Return a check that no unit is on both sides of a task, and that the task is the one that its rule draws.

    Returns:
        A function of a task's number and the task, to be called in order; it also raises EpisodeError.

    Raises:
        EpisodeError: With the first claim that is wrong.
    """
    numbers: dict[str, int] = {}
    for name in ("ways", "queries", "episodes", "seed"):
        value: Any = episodes.parameters.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise EpisodeError(f"parameters.{name}: must be a whole number, not {value!r}")
        numbers[name] = value
    count = numbers.pop("episodes")
    if count != len(episodes.episodes):
        raise EpisodeError(f"episodes: there are {len(episodes.episodes)}, but parameters.episodes is {count}")
    rule = TaskRule(episodes.product, pools, shots=episodes.shots, **numbers)
    unit = {item.id: item.unit for item in pools.query}

    def check(number: int, episode: Episode) -> None:
        if 0 <= episode.seed < number:  # all tasks before it are right, so their seeds are their numbers
            raise EpisodeError(f"episodes: seed {episode.seed} occurs twice; sample again")
        sides = ({unit.get(identifier, identifier) for identifier in ids} for ids in (episode.support, episode.query))
        both = set.intersection(*sides)
        if both:
            kind = "image" if episodes.groups is None else "group"
            raise EpisodeError(f"episodes.{number}: {kind} {min(both)} is in support and query ({len(both)} such)")
        if episode != rule.draw(number):
            raise EpisodeError(f"episodes.{number}: is not the task that its number and seed give")

    return check
