"""Numbers of things in messages: one in the singular, none and several in the plural."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["counted", "plural", "such_as"]


def plural(number: int, one: str, several: str = "") -> str:
    """The noun, or the words, that fit a number.

    Args:
        number: How many there are.
        one: The words for exactly one.
        several: The words for any other number; by default ``one`` with an ``s``.

    >>> plural(1, "image"), plural(0, "image"), plural(2, "category", "categories")
    ('image', 'images', 'categories')
    """
    return one if number == 1 else several or f"{one}s"


def counted(number: int, one: str, several: str = "") -> str:
    """A number and the words that fit it, as :func:`plural` chooses them.

    >>> counted(1, "image"), counted(0, "image"), counted(2, "region is", "regions are")
    ('1 image', '0 images', '2 regions are')
    """
    return f"{number} {plural(number, one, several)}"


def such_as(examples: Sequence[str], one: str, several: str, verb: str = "is", verbs: str = "are") -> str:
    """How many things there are, the first of them, and a verb.

    >>> such_as(["a.png"], "image", "images"), such_as(["a.png", "b.png"], "image", "images", "lacks", "lack")
    ('1 image, a.png, is', '2 images, such as a.png, lack')
    """
    number = len(examples)
    named = examples[0] if number == 1 else f"such as {examples[0]}"
    return f"{counted(number, one, several)}, {named}, {plural(number, verb, verbs)}"
