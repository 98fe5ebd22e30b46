"""Words of questions: how a text is divided into them, and the fixed words of the language."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "ALSO",
    "ANYTHING",
    "COMMA",
    "COUNTING",
    "EITHER",
    "EVERY",
    "FILLERS",
    "IMAGES",
    "KIND_NOUNS",
    "NEGATIONS",
    "ONLY",
    "PER_IMAGE",
    "WITH",
    "WITHOUT",
    "Word",
    "is_function_word",
    "longest_entry",
    "longest_phrase",
    "number_of",
    "said",
    "singulars",
    "split_words",
    "stands_at",
]


class Word(NamedTuple):
    """A word, number or sign of a question.

    Attributes:
        text: As it was typed; what stood in quotes is one word.
        key: What is compared: case-folded.
        quoted: Whether it stood in quotes.
        before: What stood between it and the word before.
    """

    text: str
    key: str
    quoted: bool = False
    before: str = " "


# Words without a meaning of their own here.
FILLERS = frozenset(
    """
    a an the of on in at to from for by is are was were be been being there that which who what where whose me i we you
    show list find give get display both please do does can could want need see this these those it its their they them
    as labeled labelled called named inside either
    """.split()  # noqa: SIM905 - a list with one line each would be unreadable
)
# Without a meaning of their own, too, but "but" after them means except.
EVERY = (("all",), ("any",), ("every",))
# Only before a name of this kind; elsewhere, they ask for something else, such as the number of categories.
KIND_NOUNS = {
    **dict.fromkeys(("type", "types", "kind", "kinds", "category", "categories", "class", "classes"), "category"),
    **dict.fromkeys(("label", "labels"), "category"),
    **dict.fromkeys(("product", "products"), "product"),
}
NEGATIONS = (
    ("not",),
    ("no",),
    ("non",),
    ("except",),
    ("except", "for"),
    ("excluding",),
    ("outside",),
    ("outside", "of"),
    ("neither",),
    ("other", "than"),
    ("apart", "from"),
    ("isn", "t"),
    ("aren", "t"),
    ("wasn", "t"),
    ("weren", "t"),
    ("don", "t"),
    ("doesn", "t"),
)
WITHOUT = (("without",), ("with", "no"), ("lacking",), ("free", "of"))
WITH = (("with",), ("having",), ("has",), ("have",), ("had",), ("containing",), ("contain",), ("contains",))
COMMA = (",",)
ALSO = (("and",), ("&",), ("but",), ("also",), ("as", "well", "as"))
EITHER = (("or",),)
# Harmless between conditions on instances, but not between those on images.
ONLY = (("only",), ("just",))
ANYTHING = tuple(
    (word,)
    for word in """
    defect defects flaw flaws anomaly anomalies fault faults instance instances region regions annotation annotations
    ones anything everything
    """.split()  # noqa: SIM905
)
IMAGES = tuple((word,) for word in "image images picture pictures photo photos photograph photographs".split())  # noqa: SIM905
PER_IMAGE = (
    ("per", "image"),
    ("an", "image"),
    ("each", "image"),
    ("every", "image"),
    ("in", "one", "image"),
    ("on", "one", "image"),
    ("in", "an", "image"),
    ("on", "an", "image"),
    ("in", "each", "image"),
    ("on", "each", "image"),
    ("in", "every", "image"),
    ("on", "every", "image"),
    ("in", "the", "same", "image"),
    ("on", "the", "same", "image"),
)
COUNTING = (("how", "many"), ("number", "of"), ("count",))
FUNCTION_WORDS = FILLERS.union(KIND_NOUNS) | {
    phrase[0]
    for phrases in (EVERY, NEGATIONS, WITHOUT, WITH, ALSO, EITHER, ONLY, ANYTHING, IMAGES, COUNTING)
    for phrase in phrases
    if len(phrase) == 1
}
NUMBERS = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
    )
}
# Longer numbers are no measurement, and not every database type holds them.
LONGEST_NUMBER = 15

QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»", "„": "“"}
PIECE = re.compile(
    r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?![0-9])|[0-9]+(?:\.[0-9]+)?|(?<!\w)\.[0-9]+|[^\W0-9_]+|<=|>=|!="
)
NUMBER = re.compile(r"[0-9][0-9,.]*|\.[0-9]+")
# Between words, these mean nothing; any other sign is a word, so that it is a sign of the language or not understood.
SILENT = frozenset(".;:?-_'’")
MINUS = re.compile(r"(?<![\w\"'’”])-\s*[0-9.]")
# Between the words of BentLead and PCBTrack, but not before the plural's s of PCBs.
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z](?!s(?![a-z]))[a-z])")


def split_words(text: str, *, quotes: bool = True) -> list[Word]:
    """Divide a text into words, numbers and signs.

    Names are divided the same way, so that ``bent_lead``, ``bent-lead`` and ``BentLead`` are the words ``bent lead``.

    Args:
        text: A question, or a name.
        quotes: Whether what stands in quotes is one word, as in questions.

    >>> [word.key for word in split_words('BentLead > 5,000px, "in"')]
    ['bent', 'lead', '>', '5,000', 'px', ',', 'in']
    """
    text = unicodedata.normalize("NFC", text)
    if quotes and text.rstrip("! \n")[-1:].isalnum():
        text = text.rstrip("! \n")
    words: list[Word] = []
    place = after = 0
    while place < len(text):
        quotation = _quotation(text, place) if quotes else None
        if quotation is not None:
            inside, end = quotation
            words.append(Word(inside, inside.casefold(), quoted=True, before=text[after:place]))
            place = after = end
            continue
        found = PIECE.match(text, place)
        piece = text[place] if found is None else found[0]
        if found is None and (piece.isspace() or piece in SILENT) and not MINUS.match(text, place):
            place += 1
            continue
        parts = [part for part in CAMEL.split(piece) if part]
        words.append(Word(parts[0], parts[0].casefold(), before=text[after:place]))
        words += [Word(part, part.casefold(), before="") for part in parts[1:]]
        place += len(piece)
        after = place
    return words


def _quotation(text: str, place: int) -> tuple[str, int] | None:
    """What stands in the quotation that starts at a place, and the place after it; None if none starts there.

    A quotation mark inside is doubled, unless a letter or digit follows it.
    """
    opening = text[place]
    closing = QUOTES.get(opening)
    if closing is None or (place and not (text[place - 1].isspace() or text[place - 1] in "(,;:")):
        return None
    end = text.find(closing, place + 1)
    while end != -1:
        if opening == closing and text.startswith(closing * 2, end):
            end += 1
        elif end > place + 1 and not text[end + 1 : end + 2].isalnum():
            inside = text[place + 1 : end]
            return inside.replace(closing * 2, closing) if opening == closing else inside, end + 1
        end = text.find(closing, end + 1)
    return None


def longest_phrase(words: Sequence[Word], place: int, phrases: Sequence[tuple[str, ...]]) -> int:
    """The number of words of the longest of some phrases that stands at a place; 0 if none does."""
    return max((len(phrase) for phrase in phrases if stands_at(words, place, phrase)), default=0)


def stands_at(words: Sequence[Word], place: int, phrase: Sequence[str]) -> bool:
    """Whether a phrase stands at a place; words in quotes are names, and no part of a phrase."""
    there = words[place : place + len(phrase)]
    return [word.key for word in there] == list(phrase) and not any(word.quoted for word in there)


def longest_entry(words: Sequence[Word], place: int, table: Mapping[tuple[str, ...], object]) -> tuple[str, ...] | None:
    """The longest key of a table that stands at a place."""
    found = [phrase for phrase in table if stands_at(words, place, phrase)]
    return max(found, key=len, default=None)


def number_of(word: Word) -> float | None:
    """The number that a word stands for; None if it is none.

    >>> number_of(Word("5,000", "5,000")), number_of(Word("two", "two")), number_of(Word("few", "few"))
    (5000.0, 2.0, None)
    """
    if word.quoted:
        return None
    if word.key in NUMBERS:
        return float(NUMBERS[word.key])
    digits = word.key.replace(",", "")
    return float(digits) if NUMBER.fullmatch(word.key) and len(digits) <= LONGEST_NUMBER else None


def is_function_word(word: Word) -> bool:
    """Whether a word belongs to the language itself, so that a name of the same spelling needs quotes."""
    return not word.quoted and word.key in FUNCTION_WORDS


def singulars(key: str) -> frozenset[str]:
    """A word and what it may be the plural of.

    >>> sorted(singulars("scratches")), sorted(singulars("glass"))
    (['scratch', 'scratche', 'scratches'], ['glass'])
    """
    made = {key}
    if len(key) > 3 and key.endswith("ies"):
        made.add(f"{key[:-3]}y")
    if len(key) > 3 and key.endswith("ves"):
        made |= {f"{key[:-3]}f", f"{key[:-3]}fe"}
    if len(key) > 3 and key.endswith("es"):
        made.add(key[:-2])
    if len(key) > 2 and key.endswith("s") and not key.endswith("ss"):
        made.add(key[:-1])
    return frozenset(made)


def said(words: Sequence[Word], start: int, end: int) -> str:
    """Some words of a question as they were typed, with what stood between them."""
    return "".join(f"{word.before if number else ''}{word.text}" for number, word in enumerate(words[start:end]))
