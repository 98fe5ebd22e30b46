"""What a question consists of, word by word: clauses about instances, and the words that join them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flawshot.inspect.asking.clauses import Clause, clause_of_values
from flawshot.inspect.asking.distances import PLACE_STARTS, read_distance, read_places
from flawshot.inspect.asking.joints import Item, Role, resolve_joints
from flawshot.inspect.asking.places import skip_articles
from flawshot.inspect.asking.sizes import NumberRange, Superlative, read_size, read_superlative
from flawshot.inspect.asking.words import (
    ALSO,
    ANYTHING,
    COMMA,
    COUNTING,
    EITHER,
    EVERY,
    FILLERS,
    IMAGES,
    KIND_NOUNS,
    NEGATIONS,
    ONLY,
    PER_IMAGE,
    WITH,
    WITHOUT,
    is_function_word,
    longest_entry,
    longest_phrase,
    number_of,
    said,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.inspect.asking.names import NameMatch, Vocabulary
    from flawshot.inspect.asking.words import Word

__all__ = ["OTHER_WORDS", "read_items"]

PHRASES: dict[Role, tuple[tuple[str, ...], ...]] = {
    "per image": PER_IMAGE,
    "without": WITHOUT,
    "with": WITH,
    "not": NEGATIONS,
    "comma": (COMMA,),
    "but": (("but",),),
    "also": tuple(phrase for phrase in ALSO if phrase != ("but",)),
    "either": EITHER,
    "nor": (("nor",),),
    "only": ONLY,
    "every": EVERY,
    "anything": ANYTHING,
    "images": IMAGES,
    "counting": COUNTING,
}
SPLITS = {
    "test": "test",
    "testing": "test",
    "train": "train",
    "training": "train",
    "val": "val",
    "validation": "val",
}
SPLIT_NOUNS = (("set",), ("split",), ("data",))
SHAPES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("polygon",): ("polygon",),
    ("rectangle",): ("rectangle",),
    ("oriented", "rectangle"): ("oriented_rectangle",),
    ("circle",): ("circle",),
    ("line",): ("line",),
    ("linestrip",): ("linestrip",),
    ("line", "strip"): ("linestrip",),
    ("point",): ("point", "points"),
    ("mask",): ("mask",),
}
SHAPES |= {(*words[:-1], f"{words[-1]}s"): types for words, types in SHAPES.items()}
ELONGATED = Clause(
    "form",
    "",
    "elongated: its box is at least three times as long as wide",
    "greatest(width, height) >= 3 * least(width, height)",
)
SEVERAL = frozenset({"several", "multiple"})
# Before a name that is a product and a category.
OF_PRODUCTS = frozenset({"in", "on", "of", "from", "for"})
ARTICLES = frozenset({"the", "a", "an", "any", "all"})
OTHER_WORDS = (*SPLITS, *(words[0] for words in SHAPES if len(words) == 1), "elongated", "several", "without", "images")


def read_items(words: Sequence[Word], vocabulary: Vocabulary, notes: list[str]) -> list[Item]:
    """The parts of a question, in order; fillers are omitted.

    The longest reading of the words at a place counts. If a name is as long as something of the language, the name
    counts; but a function word, such as "in", is a name only in quotes.

    Args:
        words: The question's words.
        vocabulary: The names in the data.
        notes: What could have been meant differently is added here.
    """
    items: list[Item] = []
    place = 0
    while place < len(words):
        length, made = _item(words, place, vocabulary, notes)
        if made is not None:
            items.append(made)
        place += length
    return resolve_joints(items)


def _item(words: Sequence[Word], place: int, vocabulary: Vocabulary, notes: list[str]) -> tuple[int, Item | None]:
    names = vocabulary.at(words, place)
    own = _of_language(words, place, vocabulary)
    role, length = _function(words, place)
    if names is not None and names.length >= max(length, 0 if own is None else own[0]):
        if names.length > 1 or not is_function_word(words[place]):
            if own is not None and own[0] == names.length:
                notes.append(f'"{said(words, place, place + names.length)}" is the name in the data here')
            return names.length, _named(words, place, names, notes)
        notes.append(
            f'"{words[place].text}" is a word of the language here; for the {names.names[0].kind} of this name, put it '
            "in quotes"
        )
    word = words[place]
    if own is not None and own[0] >= length:
        if not _ends_in_name(words, place, own, vocabulary):
            return own
        # The name wins, which is read next; "in" before it is an ordinary word then, and "near" is none.
        return 1, None if word.key in FILLERS else Item("unknown", word.text)
    if role is not None:
        return length, Item(role, said(words, place, place + length))
    if not word.quoted and (word.key in KIND_NOUNS or word.key in FILLERS):
        return 1, None if _means_nothing(words, place, vocabulary) else Item("unknown", word.text)
    number = NumberRange((">=", 2.0)) if word.key in SEVERAL and not word.quoted else None
    if (value := number_of(word)) is not None:
        number = NumberRange(("=", value))
    return 1, Item("unknown" if number is None else "range", word.text, numbers=number)


def _means_nothing(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> bool:
    """Whether a filler is one here: "category" only before a category, and "from" not before a place."""
    key, following = words[place].key, None
    if place + 1 < len(words):
        following = vocabulary.at(words, place + 1)
    if key in KIND_NOUNS:
        return following is not None and KIND_NOUNS[key] in {name.kind for name in following.names}
    start = skip_articles(words, place + 1)
    return key != "from" or following is not None or start == len(words) or read_places(words, start) is None


def _ends_in_name(words: Sequence[Word], place: int, own: tuple[int, Item], vocabulary: Vocabulary) -> bool:
    """Whether the end of a place, after words such as in or near, is a name in the data."""
    if own[1].clause is None or own[1].clause.kind != "place":
        return False
    for start in range(place + 1, place + own[0]):
        names = vocabulary.at(words, start)
        if names is not None and start + names.length >= place + own[0] and not is_function_word(words[start]):
            return all(word.key in PLACE_STARTS for word in words[place:start])
    return False


def _of_language(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> tuple[int, Item] | None:
    """The longest clause, range or superlative at a place."""
    reads = (
        _image(words, place, vocabulary),
        _split(words, place),
        _shape(words, place),
        _form(words, place),
        read_distance(words, place),
        read_places(words, place),
        read_size(words, place),
        read_superlative(words, place),
    )
    found: list[tuple[int, Item]] = []
    for length, made in (read for read in reads if read is not None):
        text = said(words, place, place + length)
        if made is None:
            found.append((length, Item("unknown", text)))
        elif isinstance(made, Clause):
            found.append((length, Item("clause", text, clause=made)))
        elif isinstance(made, NumberRange):
            found.append((length, Item("range", text, numbers=made)))
        elif isinstance(made, Superlative):
            found.append((length, Item("superlative", text, superlative=made)))
    return max(found, key=lambda each: each[0], default=None)


def _function(words: Sequence[Word], place: int) -> tuple[Role | None, int]:
    """The longest phrase of the language that joins clauses, and its length."""
    lengths = {role: longest_phrase(words, place, phrases) for role, phrases in PHRASES.items()}
    best = max(lengths, key=lambda role: lengths[role])
    return (best, lengths[best]) if lengths[best] else (None, 0)


def _named(words: Sequence[Word], place: int, match: NameMatch, notes: list[str]) -> Item:
    text = said(words, place, place + match.length)
    kinds = {name.kind for name in match.names}
    kind = match.names[0].kind
    if len(kinds) > 1:
        before = place - 1
        while before >= 0 and words[before].key in ARTICLES:
            before -= 1
        kind = "product" if before >= 0 and words[before].key in OF_PRODUCTS else "category"
        notes.append(f'"{text}" is a product and a category; here it is the {kind}')
    values = [name.value for name in match.names if name.kind == kind]
    if len(values) > 1:
        notes.append(f'"{text}" fits several names, and all are meant: {", ".join(values)}')
    return Item("clause", text, clause=clause_of_values(kind, values, text))


def _image(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> tuple[int, Clause] | None:
    """An image by its path, or the end of it, in quotes."""
    if not longest_phrase(words, place, (*IMAGES, ("file",))) or place + 1 >= len(words) or not words[place + 1].quoted:
        return None
    path = vocabulary.image(words[place + 1].text)
    return None if path is None else (2, clause_of_values("image", [path], said(words, place, place + 2)))


def _split(words: Sequence[Word], place: int) -> tuple[int, Clause] | None:
    word = words[place]
    if word.quoted or word.key not in SPLITS:
        return None
    length = 1 + longest_phrase(words, place + 1, SPLIT_NOUNS)
    return length, clause_of_values("split", [SPLITS[word.key]], said(words, place, place + length))


def _shape(words: Sequence[Word], place: int) -> tuple[int, Clause] | None:
    found = longest_entry(words, place, SHAPES)
    if found is None:
        return None
    return len(found), clause_of_values("shape", SHAPES[found], said(words, place, place + len(found)))


def _form(words: Sequence[Word], place: int) -> tuple[int, Clause] | None:
    if not longest_phrase(words, place, (("elongated",),)):
        return None
    return 1, replace(ELONGATED, said=words[place].text)
