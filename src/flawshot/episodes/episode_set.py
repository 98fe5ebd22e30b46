"""Episodes of one product and one K."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from flawshot.base.errors import EpisodeError, printable
from flawshot.base.html_tables import LONGEST_CELL, facts_html

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Episode", "EpisodeSet", "Protocol"]

Protocol = Literal["mvrec", "disjoint", "episodic"]


@dataclass(frozen=True, slots=True)
class Episode:
    """One support set and one query set.

    Attributes:
        seed: The seed it was drawn with.
        support: Instance ids, category by category in label order.
        query: Instance ids in catalog order.
    """

    seed: int
    support: tuple[str, ...]
    query: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class EpisodeSet:
    """The episodes of one product at one K.

    Attributes:
        protocol: The rule by which they were drawn.
        parameters: The rule's settings, and how the data set's own split was treated.
        product: The product; its categories are the N of N-way, unless ``episodic`` draws N of them each time.
        shots: K, the support instances per category.
        fingerprint: :meth:`flawshot.Catalog.fingerprint` of the product they were drawn from.
        categories: The product's categories in label order.
        episodes: One episode per seed. For ``episodic`` the seeds are the episodes' numbers, and tasks that are only
            written to a file are drawn on access.
        groups: The physical sample that each image shows, by image path, or None if images are not grouped.
    """

    protocol: Protocol
    parameters: Mapping[str, Any]
    product: str
    shots: int
    fingerprint: str
    categories: tuple[str, ...]
    episodes: Sequence[Episode]
    groups: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        """Product, K, protocol and the numbers of episodes and categories, in one line."""
        return (
            f"EpisodeSet(product={printable(self.product, LONGEST_CELL)!r}, shots={self.shots}, "
            f"protocol={self.protocol!r}, episodes={len(self.episodes)}, categories={len(self.categories)})"
        )

    def _repr_html_(self) -> str:
        """The same as a table, with the categories, for a notebook."""
        facts = [
            ("product", self.product),
            ("shots (K)", self.shots),
            ("protocol", self.protocol),
            ("episodes", len(self.episodes)),
            ("categories", f"{len(self.categories)}: {', '.join(self.categories)}"),
            ("samples", None if self.groups is None else f"{len(set(self.groups.values()))} groups of images"),
        ]
        return facts_html("EpisodeSet", facts)

    @property
    def shared_query(self) -> tuple[str, ...] | None:
        """The query set if all episodes have the same one, else None."""
        queries = {episode.query for episode in self.episodes}
        return queries.pop() if len(queries) == 1 else None

    def support_sizes(self, category_of: Mapping[str, str]) -> dict[str, tuple[int, int]]:
        """The fewest and the most support instances that each category has in the episodes it is part of.

        Args:
            category_of: The category of each instance, by id.
        """
        sizes: dict[str, tuple[int, int]] = {}
        for episode in self.episodes:
            for category, count in Counter(category_of[identifier] for identifier in episode.support).items():
                least, most = sizes.get(category, (count, count))
                sizes[category] = (min(least, count), max(most, count))
        return sizes

    @property
    def file_name(self) -> str:
        """``<product>-<K>shot.json``, or ``.jsonl`` for ``episodic``."""
        if self.product in {"", ".", ".."} or set(self.product) & set('/\\\0:*?"<>|'):
            raise EpisodeError(f"product {self.product!r}: cannot be part of a file name; rename its folder")
        return f"{self.product}-{self.shots}shot.{'jsonl' if self.protocol == 'episodic' else 'json'}"
