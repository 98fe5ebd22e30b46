"""Names in questions: the products and categories of a catalog, however they are spelled."""

from __future__ import annotations

import difflib
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import pyarrow.compute as pc

from flawshot.inspect.asking.words import singulars, split_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.catalog import Catalog
    from flawshot.inspect.asking.words import Word

__all__ = ["Name", "NameMatch", "Vocabulary"]

# How alike a word and a name must be for the name to be suggested, from 0 to 1, and how many are.
ALIKE = 0.7
MOST_SUGGESTIONS = 3


class Name(NamedTuple):
    """A name in a catalog, with the words that it consists of."""

    kind: Literal["category", "product"]
    value: str
    words: tuple[str, ...]


class NameMatch(NamedTuple):
    """The names that stand at a place of a question.

    Attributes:
        length: How many words they take.
        names: The names: all that fit equally well.
    """

    length: int
    names: tuple[Name, ...]


@dataclass(frozen=True)
class Vocabulary:
    """What a catalog's products, categories and images are called.

    Attributes:
        names: The products and the categories.
        images: The images' paths.
    """

    names: tuple[Name, ...]
    images: frozenset[str]

    @classmethod
    def of(cls, catalog: Catalog) -> Vocabulary:
        """The names in a catalog."""
        return cls.from_names(
            catalog.products,
            sorted(pc.unique(catalog.table.column("category")).to_pylist()),
            pc.unique(catalog.table.column("image")).to_pylist(),
        )

    @classmethod
    def from_names(cls, products: Sequence[str], categories: Sequence[str], images: Sequence[str] = ()) -> Vocabulary:
        """A vocabulary of these names; empty ones, of categories without a label, cannot be named."""
        made = [_name("category", value) for value in categories if value]
        made += [_name("product", value) for value in products if value]
        return cls(tuple(made), frozenset(images))

    def at(self, words: Sequence[Word], place: int) -> NameMatch | None:
        """The longest names that stand at a place; those in exactly these words rather than in the other number."""
        if words[place].quoted:
            return self._in_quotes(words[place])
        found: dict[tuple[int, bool], list[Name]] = {}
        for name in self.names:
            length = len(name.words)
            there = words[place : place + length]
            if not length or len(there) < length or any(word.quoted for word in there):
                continue
            keys = tuple(word.key for word in there)
            exact = keys == name.words
            if exact or (keys[:-1] == name.words[:-1] and _same_noun(keys[-1], name.words[-1])):
                found.setdefault((length, exact), []).append(name)
        if not found:
            return None
        best = max(found)
        return NameMatch(best[0], tuple(found[best]))

    def _in_quotes(self, word: Word) -> NameMatch | None:
        same = [name for name in self.names if _composed(name.value) == word.text]
        alike = same or [name for name in self.names if _composed(name.value).casefold() == word.key]
        return NameMatch(1, tuple(alike)) if alike else None

    def image(self, text: str) -> str | None:
        """The image with this path, or the only one whose path ends in it."""
        text = _composed(text)
        found = [path for path in self.images if _composed(path) == text]
        found = found or [path for path in self.images if _composed(path).endswith(f"/{text}")]
        return found[0] if len(found) == 1 else None

    def near(self, word: Word, others: Sequence[str]) -> list[str]:
        """Names, and other words, that a word may be a misspelling of, the likeliest first."""
        spelled = {name.value.casefold(): name.value for name in self.names}
        spelled |= {" ".join(name.words): name.value for name in self.names}
        spelled = {other: other for other in others} | spelled
        spelled.pop(word.key, None)
        close = [
            spelled[each]
            for key in sorted(singulars(word.key[:80]), key=lambda key: (-len(key), key))
            for each in difflib.get_close_matches(key, list(spelled), MOST_SUGGESTIONS, ALIKE)
        ]
        return list(dict.fromkeys(close))[:MOST_SUGGESTIONS]


def _name(kind: Literal["category", "product"], value: str) -> Name:
    return Name(kind, value, tuple(word.key for word in split_words(value, quotes=False)))


def _composed(text: str) -> str:
    """A text as questions are compared: "é" may be one character or two."""
    return unicodedata.normalize("NFC", text)


def _same_noun(said: str, own: str) -> bool:
    """Whether a word is another in the singular or plural."""
    return own in singulars(said) or said in singulars(own)
