"""Labels as names of folders and files: on every system, inside their folder, and no two alike."""

from __future__ import annotations

import hashlib
import re
import unicodedata

__all__ = ["LONGEST_NAME", "folder_name", "shows"]

LONGEST_NAME = 200  # bytes; file systems take 255, and a suffix or a temporary file's name is still to come
# Windows refuses these, Unix the slash.
RESERVED = frozenset('<>:"/\\|?*')
# Names of devices on Windows, with whatever suffix.
DEVICES = re.compile(r"(?i:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:\.|$)")
NO_LABEL = "%empty"
# A cut name ends in this and a hash.
CUT = "%~"
# A percent sign that would be read as one of ours.
PERCENT = re.compile(r"%(?=[0-9A-Fa-f]{2}|~|empty$)")
HASH_DIGITS = 16


def folder_name(label: str) -> str:
    r"""A label or a product's name as the name of a folder, or of a file without its suffix.

    Most labels stay as they are. Where one does not suit every system (reserved characters, ``CON``, a dot or a blank
    at its end), leads elsewhere or is hidden, those characters become ``%`` and their bytes in UTF-8, as in addresses,
    and so does a ``%`` that would look like that. Long labels are cut and end in a hash. Different labels have
    different names; where a file system takes upper and lower case, or two Unicode forms, for one, they may still share
    a folder.

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
    # Of the label with its escapes, from which it can be told.
    digest = hashlib.sha256(label.encode(errors="surrogatepass")).hexdigest()[:HASH_DIGITS]
    kept = name.encode()[: LONGEST_NAME - len(CUT) - HASH_DIGITS].decode(errors="ignore")
    return f"{_whole(kept)}{CUT}{digest}"


def shows(character: str) -> bool:
    """Whether a character can be seen, or belongs to written words."""
    # Japanese names have wide blanks, those of screenshots on a Mac narrow ones, and Persian words joiners.
    return character.isprintable() or character in "\u200c\u200d" or unicodedata.category(character) == "Zs"


def _is_plain(character: str) -> bool:
    return character not in RESERVED and shows(character)


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode(errors="surrogatepass"))


def _whole(cut: str) -> str:
    """A cut name without an escape of which only a part is left."""
    return re.sub(r"%[0-9A-F]?$", "", cut)
