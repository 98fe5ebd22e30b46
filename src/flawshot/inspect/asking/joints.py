"""The parts of questions, and what words that join them mean beside each other, such as "everything but"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.inspect.asking.clauses import Clause
    from flawshot.inspect.asking.sizes import NumberRange, Superlative

__all__ = ["NEGATING", "OF_IMAGES", "Item", "Role", "resolve_joints"]

Role = Literal[
    "clause",
    "range",
    "superlative",
    "not",
    "also",
    "but",
    "comma",
    "either",
    "nor",
    "with",
    "without",
    "only",
    "every",
    "anything",
    "images",
    "per image",
    "counting",
    "unknown",
]


class Item(NamedTuple):
    """A part of a question.

    Attributes:
        role: What it is.
        said: Its words.
        clause: The condition, if it is one.
        numbers: The range, if it is a count.
        superlative: What comes first, if it says so.
    """

    role: Role
    said: str
    clause: Clause | None = None
    numbers: NumberRange | None = None
    superlative: Superlative | None = None


NEGATING = frozenset({"not", "without", "nor"})
# Kinds that all instances of an image share.
OF_IMAGES = frozenset({"product", "split", "image"})


def resolve_joints(items: Sequence[Item]) -> list[Item]:
    """The parts with a role that depends on those beside it.

    "But" after all, any, every and everything means except; where that is not certain, it is not understood. Nor are
    "not all", "not only", "except the largest", and the size of images.
    """
    made: list[Item] = []
    every = False
    for number, item in enumerate(items):
        following = items[number + 1] if number + 1 < len(items) else None
        before = made[-1] if made else None
        every |= item.role == "every" or item.said.casefold() in {"everything", "anything"}
        if item.role == "but" and every and not (following is not None and following.role in NEGATING | {"only"}):
            direct = items[number - 1].role in {"every", "anything"}
            made.append(item._replace(role="not" if direct else "unknown"))
        elif before is not None and before.role in NEGATING and _not_negated(item):
            made[-1] = Item("unknown", f"{before.said} {item.said}")
        elif _of_images(item, made) or (
            item.role == "images" and before is not None and before.superlative is not None
        ):
            made.append(Item("unknown", item.said))
        elif item.role != "every":
            made.append(item)
    return made


def _not_negated(item: Item) -> bool:
    """Whether "not" before a part means something else than its opposite: "not all", "not only", "not the largest"."""
    return _all(item) or item.role == "only" or item.superlative is not None


def _all(item: Item) -> bool:
    return item.role == "every" and item.said.casefold() != "any"


def _of_images(item: Item, before: Sequence[Item]) -> bool:
    """Whether a part is about images: "images wider than 1000 pixels", "the largest images", "images where all …"."""
    if _all(item):
        return any(each.role == "images" for each in before)
    if item.role == "images":
        return bool(before) and before[-1].superlative is not None
    if item.clause is None or item.clause.kind != "size":
        return False
    for each in reversed(before):
        if each.role in {"images", "per image"}:
            return True
        if each.role not in NEGATING | {"with"} and not (each.clause is not None and each.clause.kind in OF_IMAGES):
            return False
    return False
