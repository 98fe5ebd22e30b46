"""Arguments in messages: Python users read ``shots=5``, command-line users ``--shots 5``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NOTHING", "argument", "arguments_in", "in_python", "worded"]

# Private-use characters: no displayed message contains them, and printable() escapes those from a user's file.
START, MIDDLE, END = "\ue000", "\ue001", "\ue002"
MARKED = re.compile(f"{START}([a-z_]+){MIDDLE}([^{START}{MIDDLE}{END}]*){END}")


class _Nothing:
    """Marks an absent value, because None may be a value."""


NOTHING = _Nothing()


def argument(name: str, value: object = NOTHING) -> str:
    """Mark an argument, with its value if given, in a message; :func:`worded` spells it out.

    Args:
        name: The parameter's name in Python.
        value: Its value; paths are treated as text.

    >>> in_python(f"{argument('shots', 0)}: must be at least 1")
    'shots=0: must be at least 1'
    >>> in_python(f"exists; add {argument('overwrite', True)}")
    'exists; add overwrite=True'
    """
    if isinstance(value, _Nothing):
        shown = ""
    elif value is None or isinstance(value, bool | int | float):
        shown = repr(value)
    else:
        shown = repr(str(value))
    return f"{START}{name}{MIDDLE}{re.sub(f'[{START}{MIDDLE}{END}]', '?', shown)}{END}"


def worded(text: str, words: Callable[[str, str], str]) -> str:
    """A message with its arguments spelled for its reader.

    Args:
        text: The message, with marks from :func:`argument`.
        words: Returns the spelling of an argument, given its name and its value as Python writes it (empty: no value).
    """
    return MARKED.sub(lambda match: words(match[1], match[2]), text)


def in_python(text: str) -> str:
    """A message with its arguments as Python writes them: ``name``, or ``name=value``."""
    return worded(text, lambda name, value: f"{name}={value}" if value else name)


def arguments_in(text: str) -> tuple[str, ...]:
    """The names of the arguments in a message, in order."""
    return tuple(match[1] for match in MARKED.finditer(text))
