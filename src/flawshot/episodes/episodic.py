"""Random N-way K-shot tasks, as few-shot learning is measured by: the protocol ``episodic``."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from flawshot.base.arguments import argument
from flawshot.base.errors import EpisodeError
from flawshot.episodes.episode_set import Episode, EpisodeSet
from flawshot.episodes.pools import Item, make_pools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flawshot.catalog import Catalog
    from flawshot.episodes.pools import Pools

__all__ = ["DrawnTasks", "TaskRule", "draw_tasks", "task_check"]

# A draw that leaves a category short of queries is made again, this often. From half of them on a support takes as few
# images as it can, for what stands in the support's images cannot be queried.
ATTEMPTS = 100

Thing = TypeVar("Thing")


class TaskRule:
    """N categories at random, of each K support and Q query instances; no unit stands on both sides.

    Attributes:
        product: The product.
        categories: Its categories in label order, each with enough instances.
    """

    def __init__(self, product: str, pools: Pools, *, ways: int, shots: int, queries: int, seed: int) -> None:
        """Index what tasks are drawn from.

        Args:
            product: The product; what seeds the draws, with ``seed``.
            pools: Its pools by the protocol ``episodic``.
            ways: N, at least 2.
            shots: K, at least 1.
            queries: Q a category, at least 1.
            seed: Another one gives other tasks.

        Raises:
            EpisodeError: If there are fewer than N categories, or some have fewer than K + Q instances: it names them.
        """
        for name, value, least in (("ways", ways, 2), ("shots", shots, 1), ("queries", queries, 1)):
            if value < least:
                raise EpisodeError(f"{argument(name, value)}: must be at least {least}")
        self.product, self.categories = product, pools.categories
        self._ways, self._shots, self._queries, self._seed = ways, shots, queries, seed
        if ways > len(pools.categories):
            raise EpisodeError(
                f"{product}: has {len(pools.categories)} categories, fewer than {argument('ways', ways)}"
            )
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
                f"{product}: categories with fewer than the {needed} instances that a task needs ({shots} to learn "
                f"from, {queries} to ask): {', '.join(short)}; annotate more, or "
                f"lower {argument('shots')} or {argument('queries')}"
            )

    def draw(self, number: int) -> Episode:
        """One task: the same one whenever and wherever it is drawn.

        Raises:
            EpisodeError: If a category's instances lie in too few images or groups.
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
        raise EpisodeError(
            f"{self.product}: category {short!r} has its instances in {len(self._units[short])} images or groups, and "
            f"no draw of {self._shots} leaves {self._queries} to ask in others; annotate more, or "
            f"lower {argument('shots')} or {argument('queries')}"
        )

    def _support(self, category: str, rng: random.Random, *, few: bool) -> list[Item]:
        """K instances of a category: of as many units as there are, or of as few as will do."""
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
    """The first tasks of a rule, each drawn whenever it is asked for: however many there are, none is kept."""

    def __init__(self, rule: TaskRule, count: int) -> None:
        """Draw nothing yet."""
        self._rule, self._numbers = rule, range(count)

    def __len__(self) -> int:
        """How many there are."""
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
    """The items in random order; the first few of many cost no more than they are."""
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
    """All tasks of a product at one K, drawn as they are asked for; nothing is verified yet."""
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
    """What proves one task after the other: no unit stands on both sides, and each is the one that its rule draws.

    Returns:
        A function of a task's number and the task, to be called in order; it raises as this does.

    Raises:
        EpisodeError: With the first claim that does not hold.
    """
    numbers: dict[str, int] = {}
    for name in ("ways", "queries", "episodes", "seed"):
        value: Any = episodes.parameters.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise EpisodeError(f"parameters.{name}: must be a whole number, not {value!r}")
        numbers[name] = value
    if numbers.pop("episodes") != len(episodes.episodes):
        raise EpisodeError(f"episodes: there are {len(episodes.episodes)}, not as many as parameters.episodes says")
    rule = TaskRule(episodes.product, pools, shots=episodes.shots, **numbers)
    unit = {item.id: item.unit for item in pools.query}

    def check(number: int, episode: Episode) -> None:
        if 0 <= episode.seed < number:  # all before it hold, and so have their numbers as seeds
            raise EpisodeError(f"episodes: seed {episode.seed} stands there twice; sample again")
        sides = ({unit.get(identifier, identifier) for identifier in ids} for ids in (episode.support, episode.query))
        both = set.intersection(*sides)
        if both:
            kind = "image" if episodes.groups is None else "group"
            raise EpisodeError(f"episodes.{number}: {kind} {min(both)} stands in support and query ({len(both)} such)")
        if episode != rule.draw(number):
            raise EpisodeError(f"episodes.{number}: is not the task that its number and the seed draw")

    return check
