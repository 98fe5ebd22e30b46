"""Labels as names of folders and files: valid on every system, inside their folder, and unique."""

from __future__ import annotations

import hashlib
import re
import unicodedata

__all__ = ["LONGEST_NAME", "folder_name", "shows"]

LONGEST_NAME = 200  # bytes; file systems allow 255, and a suffix or the parts of a temporary name are added
# Windows does not allow these, and Unix does not allow the slash.
RESERVED = frozenset('<>:"/\\|?*')
# Names of devices on Windows, with any suffix.
DEVICES = re.compile(r"(?i:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:\.|$)")
NO_LABEL = "%empty"
# A cut name ends in this and a hash.
CUT = "%~"
# A percent sign that looks like an escape.
PERCENT = re.compile(r"%(?=[0-9A-Fa-f]{2}|~|empty$)")
HASH_DIGITS = 16


def folder_name(label: str) -> str:
    r"""Convert a label or a product's name to the name of a folder, or of a file without suffix.

    Most labels stay unchanged. If a label is invalid on some system (reserved characters, ``CON``, a trailing dot or
    blank), leads elsewhere or is hidden, those characters become ``%`` and their UTF-8 bytes in hex, as in URLs, and
    so does a ``%`` that would look like that. Long labels are cut and end in a hash. Different labels have
    different names, but they may still share a folder in a file system that ignores case or the Unicode form.

    >>> folder_name("bent lead"), folder_name("a/b?"), folder_name("../x"), folder_name("CON"), folder_name("")
    ('bent lead', 'a%2Fb%3F', '%2E.%2Fx', '%43ON', '%empty')
    """
    if not label:
        return NO_LABEL
    label = PERCENT.sub("%25", label)
    characters = [character if _is_plain(character) else _escaped(character) for character in label]
    if label[0] == "." or label[0].isspace() or DEVICES.match(label):
        characters[0] = _escaped(label[0])
    if label[-1] == "." or label[-1].isspace():
        characters[-1] = _escaped(label[-1])
    name = "".join(characters)
    if len(name.encode()) <= LONGEST_NAME:
        return name
    # The hash is of the escaped label, from which the label can be restored.
    digest = hashlib.sha256(label.encode(errors="surrogatepass")).hexdigest()[:HASH_DIGITS]
    kept = name.encode()[: LONGEST_NAME - len(CUT) - HASH_DIGITS].decode(errors="ignore")
    return f"{_whole(kept)}{CUT}{digest}"


def shows(character: str) -> bool:
    """Whether a character is visible, or part of written words."""
    # Japanese names contain wide blanks, names of screenshots on a Mac narrow ones, and Persian words joiners.
    return character.isprintable() or character in "\u200c\u200d" or unicodedata.category(character) == "Zs"


def _is_plain(character: str) -> bool:
    return character not in RESERVED and shows(character)


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode(errors="surrogatepass"))


def _whole(cut: str) -> str:
    """A cut name without an incomplete escape at its end."""
    return re.sub(r"%[0-9A-F]?$", "", cut)
