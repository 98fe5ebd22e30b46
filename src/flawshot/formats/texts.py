"""Text of third-party annotations: detection of encodings, and names in one normalized form."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from flawshot.base.delimited import decodings
from flawshot.base.errors import FlawshotError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

__all__ = ["UNSEEN", "NamedText", "decoded", "guess_told", "likeliest", "name_key", "plain_text", "without_blanks"]

# Invisible characters: zero-width spaces and the byte order mark.
UNSEEN = "\u200b\u2060\ufeff"
# Characters around a name in JSON, XML, tables and lists.
AROUND_NAMES = re.compile(r"[\"<>/\\,;\t\r\n]+")
# The encodings' names as programs display them.
TITLES = {
    "gb18030": "GB18030 (Chinese)",
    "cp932": "Shift-JIS (Japanese)",
    "cp949": "CP949 (Korean)",
    "big5": "Big5 (Chinese)",
    "cp1252": "Windows-1252 (Western European)",
    "cp1251": "Windows-1251 (Cyrillic)",
}
NOT_ASCII = re.compile(r"[^\x00-\x7f]")
# Words with letters that the encoding adds: one or two accented letters among plain ones, or Cyrillic words in the
# usual case.
WESTERN = re.compile(r"(?<=[A-Za-z])[À-ÖØ-öø-ÿŒœŠšŽž]{1,2}(?![À-ÿ])|(?<![À-ÿ])[À-ÖØ-öø-ÿŒœŠšŽž]{1,2}(?=[A-Za-z])")
CYRILLIC = re.compile(r"(?<![А-яЁё])(?:[А-Яа-яЁё][а-яё]+|[А-ЯЁ]{2,})(?![А-яЁё])")
# Rows of characters in the national standards; those of the first level are in everyday use.
EVERYDAY = {
    "gb18030": ("gb2312", 0xB0, 0xD7),
    "cp932": ("euc_jp", 0xB0, 0xCF),
    "cp949": ("euc_kr", 0xB0, 0xC8),
    "big5": ("big5", 0xA4, 0xC6),
}
SAMPLE = 5000  # characters to examine


class NamedText(NamedTuple):
    """A text, and the encoding by which it was decoded.

    Attributes:
        text: The text, without a byte order mark.
        encoding: The encoding's name.
    """

    text: str
    encoding: str


def plain_text(text: str) -> str:
    """A label or name as displayed: with composed letters (NFC), without surrounding invisible characters.

    >>> plain_text(" Bu\u0308rste\u00a0") == "B\u00fcrste"
    True
    """
    return without_blanks(unicodedata.normalize("NFC", text))


def without_blanks(text: str) -> str:
    """A text without surrounding blanks of any kind or invisible characters."""
    while (cut := text.strip().strip(UNSEEN)) != text:
        text = cut
    return text


def name_key(name: str) -> str:
    """A file name normalized for comparison, because macOS and Windows have several forms of a name.

    >>> name_key("Cafe\u0301\u00a01.PNG ") == name_key("caf\u00e9 1.png")
    True
    """
    return " ".join(plain_text(name).split()).casefold()


def decoded(data: bytes, names: Callable[[], Collection[str]], place: str, problems: list[Problem]) -> str:
    """A file's text; if it is neither UTF-8 nor UTF-16, the likeliest local encoding is used, with a warning.

    Args:
        data: The file's bytes.
        names: Returns the names of possible images, as from :func:`name_key`; called only if necessary.
        place: The file's name for problems.
        problems: A warning is added here where the encoding is a guess.

    Raises:
        FlawshotError: If no encoding fits; the message names no file.
    """
    readings = [NamedText(*reading) for reading in decodings(data)]
    if not readings:
        raise FlawshotError("is not text in a known encoding; save it again as UTF-8")
    best = readings[0] if len(readings) == 1 else readings[likeliest(readings, names())]
    problems.extend(guess_told(best.encoding, place))
    return best.text


def guess_told(encoding: str, place: str) -> list[Problem]:
    """The warning that an encoding was guessed; none for Unicode encodings."""
    if encoding not in TITLES:
        return []
    message = (
        f"is not UTF-8 and was read as {TITLES[encoding]}; check that its labels are right, or save it again as UTF-8"
    )
    return [Problem(place, "encoding", message, "warning")]


def likeliest(readings: Sequence[NamedText], names: Collection[str]) -> int:
    """The index of the likeliest of several readings of a text.

    It is the one that contains the names of the most existing images; among equals the one with the most common
    characters, and the first of those.

    Args:
        readings: The text by each encoding that fits; at least one.
        names: Names of existing images, as from :func:`name_key`.

    >>> cut = "\u30ad\u30ba".encode("cp932")
    >>> likeliest([NamedText(cut.decode(name), name) for name in ("gb18030", "cp932")], ())
    1
    """
    telling = {name for name in names if NOT_ASCII.search(name)}
    scores = [(_named(each.text, telling), _usual(each)) for each in readings]
    return max(range(len(readings)), key=lambda index: scores[index])


def _named(text: str, names: Collection[str]) -> int:
    """The number of names that a text contains."""
    return len({name_key(part) for part in AROUND_NAMES.split(text)} & set(names)) if names else 0


def _usual(reading: NamedText) -> float:
    """How common the non-ASCII characters of a reading are, from 0 to 1."""
    beyond = NOT_ASCII.findall(reading.text)
    if not beyond:
        return 0.0
    if reading.encoding in {"cp1252", "cp1251"}:
        words = (WESTERN if reading.encoding == "cp1252" else CYRILLIC).findall(reading.text)
        return sum(map(len, words)) / len(beyond)
    if reading.encoding not in EVERYDAY:
        return 1.0
    standard, first, last = EVERYDAY[reading.encoding]
    sample = beyond[:SAMPLE]
    return sum(_everyday(sample, standard, first, last)) / len(sample)


def _everyday(characters: Iterable[str], standard: str, first: int, last: int) -> Iterator[float]:
    """1 for kana and characters of the standard's first level, less for its other characters, 0 for all others."""
    for character in characters:
        try:
            lead = character.encode(standard)[0]
        except UnicodeEncodeError:
            yield 0.0
            continue
        if standard == "euc_jp" and "\u3041" <= character <= "\u30fe":
            yield 1.0
        elif standard == "euc_jp" and lead in {0x8E, 0x8F}:  # half-width kana: any two bytes could be these
            yield 0.0
        else:
            yield (0.9 if standard == "euc_jp" else 1.0) if first <= lead <= last else 0.3
