"""The library's messages in the command line's words: the library's arguments are options here."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["option_of", "option_words", "stored_words"]

# Parameters whose option has another name; all others have the same name.
OPTIONS: Final = {
    "address": "--ray",
    "condition": "WHERE",
    "groups": "--group",
    "pattern": "--group",
    "question": "QUESTION",
    "sizes": "--view-size",
}
# Text that a shell reads as one word without quotes.
PLAIN = re.compile(r"'([\w@%+:,./-]+)'")


def option_of(name: str) -> str:
    """The command-line option for a parameter of the library.

    >>> option_of("patch_tokens"), option_of("sizes")
    ('--patch-tokens', '--view-size')
    """
    return OPTIONS.get(name, f"--{name.replace('_', '-')}")


def option_words(name: str, value: str) -> str:
    """An argument of the library as typed on the command line, for :meth:`flawshot.FlawshotError.worded`.

    >>> option_words("shots", "5"), option_words("device", "'cuda 9'"), option_words("overwrite", "True")
    ('--shots 5', "--device 'cuda 9'", '--overwrite')
    """
    if value in {"", "True"}:
        return option_of(name)
    plain = PLAIN.fullmatch(value)
    return f"{option_of(name)} {plain[1] if plain else value}"


def stored_words(reason: str) -> str:
    """A reason stored in a flawshot file, which names arguments as Python does, in the command line's words.

    >>> stored_words("a.png: 9 px is more than the limit of 4 px; raise it with max_pixels=9")
    'a.png: 9 px is more than the limit of 4 px; raise it with --max-pixels 9'
    """
    return re.sub(r"\bmax_pixels=(\d+)", r"--max-pixels \1", reason)
