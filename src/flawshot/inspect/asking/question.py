"""Questions in words to a catalog: what they mean, and the instances that answer them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.inspect.asking.filters import Filter
from flawshot.inspect.asking.grammar import read_grammar
from flawshot.inspect.asking.items import OTHER_WORDS, read_items
from flawshot.inspect.asking.names import Vocabulary
from flawshot.inspect.asking.places import PLACE_WORDS
from flawshot.inspect.asking.sizes import SIZE_WORDS
from flawshot.inspect.asking.words import Word, split_words
from flawshot.inspect.query import Condition, query_rows

if TYPE_CHECKING:
    from flawshot.catalog import Catalog
    from flawshot.inspect.asking.filters import ImageFilter
    from flawshot.inspect.asking.sizes import Superlative

__all__ = ["Question", "Unknown", "ask_catalog", "ask_rows", "read_question"]

LONGEST_QUESTION = 1000
SHOWN_UNKNOWN = 5


@dataclass(frozen=True, slots=True)
class Unknown:
    """Words of a question that were not understood.

    Attributes:
        said: The words.
        near: Names and words that they may be a misspelling of.
    """

    said: str
    near: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question in words, and what it means.

    Attributes:
        text: The question.
        instances: The condition on the instances that are listed.
        images: The conditions on their images; all must hold.
        listed: Whether ``instances`` names the instances that are listed; otherwise they are those that the images
            have by ``images``.
        superlative: What comes first, if the question says so.
        counting: Whether it asks for their number only.
        notes: What could have been meant differently, and how it was read.
        unknown: What was not understood.
        empty: Whether nothing at all was understood.
    """

    text: str
    instances: Filter
    images: tuple[ImageFilter, ...]
    listed: bool
    superlative: Superlative | None
    counting: bool
    notes: tuple[str, ...]
    unknown: tuple[Unknown, ...]
    empty: bool

    @property
    def condition(self) -> str:
        """The condition on the listed instances, as for ``flawshot query``."""
        return self._found.sql

    @property
    def _found(self) -> Filter:
        counted = [each.counted for each in self.images if each.positive]
        if self.listed or not counted:
            return self.instances
        own, others = self.instances.alternatives, [one for each in counted for one in each.alternatives]
        return Filter(tuple((*first, *second) for first in own for second in others))

    def explained(self) -> list[str]:
        """What was understood, in lines: words, conditions for ``flawshot query``, and notes."""
        lines = self.instances.meaning()
        for each in self.images:
            lines += each.meaning()
        if self.superlative is not None:
            lines.append(f'{self.superlative.meaning} ("{self.superlative.said}")')
        lines = [f"understood: {line}" for line in lines or ["all instances"]]
        lines.append(f"condition: {self.condition}")
        for each in self.images:
            negation = "not " if each.negated else ""
            lines.append(f"on images with {negation}{each.numbers.meaning()} of: {each.counted.sql}")
        return [*lines, *(f"note: {note}" for note in self.notes)]

    def refuse_unknown(self, *, anyway: bool = False) -> None:
        """Refuse a question that was not understood, or not completely.

        Args:
            anyway: Whether words that were not understood are ignored.

        Raises:
            FlawshotError: With the words, and with names that they may be a misspelling of.
        """
        if self.unknown and not (anyway and not self.empty):
            said = [
                f'"{each.said}"' + (f" (did you mean {' or '.join(each.near)}?)" if each.near else "")
                for each in self.unknown[:SHOWN_UNKNOWN]
            ]
            more = len(self.unknown) - SHOWN_UNKNOWN
            words = ", ".join(said) + (f" and {more} more" if more > 0 else "")
            remedy = "rephrase it"
            if not self.empty:
                remedy += f", or ignore these words with {argument('anyway', True)}"
            raise FlawshotError(f"{_shown(self.text)}: not understood: {words}; {remedy}")
        if self.empty:
            raise FlawshotError(f"{_shown(self.text)}: says nothing to look for; try: defects larger than 500 pixels")


def read_question(text: str, catalog: Catalog | Vocabulary) -> Question:
    """Read a question in words, such as ``scratches larger than 5000 pixels in bolts, near the edge``.

    A fixed grammar reads it: nothing is learned or guessed, and the same question about the same data always means the
    same. ``docs/language.md`` describes it.

    Args:
        text: The question, in English, with the products and categories of the data.
        catalog: The data, or the names in it.

    Returns:
        What it means. It may be incomplete: see :attr:`Question.unknown`.

    Raises:
        FlawshotError: If the text is empty, longer than 1000 characters, or not text.
    """
    if not text.strip():
        raise FlawshotError(f"{argument('question', text)}: is empty; try: defects larger than 500 pixels")
    if len(text) > LONGEST_QUESTION:
        raise FlawshotError(f"{_shown(text)}: is longer than {LONGEST_QUESTION} characters; shorten it")
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise FlawshotError(f"{argument('question')}: contains an invalid character; retype it")
    vocabulary = catalog if isinstance(catalog, Vocabulary) else Vocabulary.of(catalog)
    notes: list[str] = []
    reading = read_grammar(read_items(split_words(text), vocabulary, notes), notes)
    others = (*SIZE_WORDS, *PLACE_WORDS, *OTHER_WORDS)
    unknown = [
        Unknown(said, tuple(vocabulary.near(Word(said, said.casefold()), others)))
        for said in dict.fromkeys(reading.unknown)
    ]
    return Question(
        text=text,
        instances=reading.instances,
        images=reading.images,
        listed=reading.listed,
        superlative=reading.superlative,
        counting=reading.counting,
        notes=tuple(dict.fromkeys(reading.notes)),
        unknown=tuple(unknown),
        empty=reading.empty,
    )


def ask_rows(catalog: Catalog, question: Question, *, limit: int | None = None) -> list[int]:
    """The rows of a catalog that answer a question: in catalog order, or as the question orders them.

    Args:
        catalog: The catalog.
        question: What is asked; what was not understood is ignored.
        limit: The maximum number of rows.

    Raises:
        FlawshotError: If the condition is too long, or cannot be evaluated.
    """
    rows = query_rows(catalog, Condition.parse(question.condition))
    images = catalog.column("image") if question.images else []
    for each in question.images:
        found = Counter(images[row] for row in query_rows(catalog, Condition.parse(each.counted.sql)))
        rows = [row for row in rows if each.holds(found[images[row]])]
    if question.superlative is not None:
        sizes = _sizes(catalog, question.superlative)
        sign = -1 if question.superlative.descending else 1
        rows = sorted(rows, key=lambda row: sign * sizes[row])[: question.superlative.number]
    return rows[:limit]


def _sizes(catalog: Catalog, superlative: Superlative) -> list[int]:
    """What a superlative compares, of each instance."""
    if superlative.measure == "area":
        return catalog.column("area")
    x0, y0, x1, y1 = (catalog.column(name) for name in ("x0", "y0", "x1", "y1"))
    widths = [high - low for low, high in zip(x0, x1, strict=True)]
    heights = [high - low for low, high in zip(y0, y1, strict=True)]
    if superlative.measure in {"width", "height"}:
        return widths if superlative.measure == "width" else heights
    longer = superlative.measure == "longer side"
    return [max(both) if longer else min(both) for both in zip(widths, heights, strict=True)]


def ask_catalog(catalog: Catalog, question: str, *, limit: int | None = None, anyway: bool = False) -> Catalog:
    """The instances that answer a question in words.

    Args:
        catalog: The catalog.
        question: The question, as for :func:`read_question`.
        limit: The maximum number of instances.
        anyway: Whether words that are not understood are ignored; by default, they are refused.

    Returns:
        A catalog of the instances, in catalog order or as the question orders them.

    Raises:
        FlawshotError: If some of the question is not understood, with the words.
    """
    asked = read_question(question, catalog)
    asked.refuse_unknown(anyway=anyway)
    rows = ask_rows(catalog, asked, limit=limit)
    return catalog.with_rows(catalog.table.take(pa.array(rows, pa.int64())))


def _shown(text: str) -> str:
    return argument("question", text if len(text) <= 80 else f"{text[:79]}…")
