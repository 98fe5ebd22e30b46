"""Text of other programs' annotations: in encodings that nobody states, and names in one form."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from flawshot.base.delimited import decodings
from flawshot.base.errors import FlawshotError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

__all__ = ["UNSEEN", "NamedText", "decoded", "guess_told", "likeliest", "name_key", "plain_text", "without_blanks"]

# What no one sees or types: zero-width spaces and the byte order mark.
UNSEEN = "\u200b\u2060\ufeff"
# What stands around a name in JSON, XML, tables and lists.
AROUND_NAMES = re.compile(r"[\"<>/\\,;\t\r\n]+")
# How the encodings are called where programs offer them.
TITLES = {
    "gb18030": "GB18030 (Chinese)",
    "cp932": "Shift-JIS (Japanese)",
    "cp949": "CP949 (Korean)",
    "big5": "Big5 (Chinese)",
    "cp1252": "Windows-1252 (Western European)",
    "cp1251": "Windows-1251 (Cyrillic)",
}
NOT_ASCII = re.compile(r"[^\x00-\x7f]")
# Words that are written with letters that the encoding adds: an accented letter or two beside plain ones, or Cyrillic
# words in the usual case.
WESTERN = re.compile(r"(?<=[A-Za-z])[À-ÖØ-öø-ÿŒœŠšŽž]{1,2}(?![À-ÿ])|(?<![À-ÿ])[À-ÖØ-öø-ÿŒœŠšŽž]{1,2}(?=[A-Za-z])")
CYRILLIC = re.compile(r"(?<![А-яЁё])(?:[А-Яа-яЁё][а-яё]+|[А-ЯЁ]{2,})(?![А-яЁё])")
# Characters by the rows of their national standard: those of the first level are the ones that are used every day.
EVERYDAY = {
    "gb18030": ("gb2312", 0xB0, 0xD7),
    "cp932": ("euc_jp", 0xB0, 0xCF),
    "cp949": ("euc_kr", 0xB0, 0xC8),
    "big5": ("big5", 0xA4, 0xC6),
}
SAMPLE = 5000  # characters that are looked at


class NamedText(NamedTuple):
    """A text, and the encoding that it was read by.

    Attributes:
        text: Without a byte order mark.
        encoding: Its name.
    """

    text: str
    encoding: str


def plain_text(text: str) -> str:
    """A label or name as people see it: composed letters (NFC), nothing around it that cannot be seen.

    >>> plain_text(" Bu\u0308rste\u00a0") == "B\u00fcrste"
    True
    """
    return without_blanks(unicodedata.normalize("NFC", text))


def without_blanks(text: str) -> str:
    """A text without blanks of any kind, and what cannot be seen, around it."""
    while (cut := text.strip().strip(UNSEEN)) != text:
        text = cut
    return text


def name_key(name: str) -> str:
    """A file's name as it is compared: macOS and Windows spell one name in several ways, and blanks look alike.

    >>> name_key("Cafe\u0301\u00a01.PNG ") == name_key("caf\u00e9 1.png")
    True
    """
    return " ".join(plain_text(name).split()).casefold()


def decoded(data: bytes, names: Callable[[], Collection[str]], place: str, problems: list[Problem]) -> str:
    """A file's text; what is neither UTF-8 nor UTF-16 is read by the likeliest local encoding, and that is told.

    Args:
        data: The file's bytes.
        names: Gives the names of images that it may be of, as :func:`name_key` makes them; called if they are needed.
        place: What to call the file in problems.
        problems: A warning is added here where the encoding is a guess.

    Raises:
        FlawshotError: If no encoding fits; the text names no file.
    """
    readings = [NamedText(*reading) for reading in decodings(data)]
    if not readings:
        raise FlawshotError("is not text in an encoding that is known here; save it again as UTF-8")
    best = readings[0] if len(readings) == 1 else readings[likeliest(readings, names())]
    problems.extend(guess_told(best.encoding, place))
    return best.text


def guess_told(encoding: str, place: str) -> list[Problem]:
    """The warning that an encoding was guessed; none for those of Unicode."""
    if encoding not in TITLES:
        return []
    message = (
        f"is not UTF-8 and was read as {TITLES[encoding]}; look whether its labels are right, or save it again as UTF-8"
    )
    return [Problem(place, "encoding", message, "warning")]


def likeliest(readings: Sequence[NamedText], names: Collection[str]) -> int:
    """Which of several readings of a text is right.

    It is the one that names the most images that are there; among equals the one whose characters are the most usual,
    and the first of those.

    Args:
        readings: The text by each encoding that fits; at least one.
        names: Names of images that are there, as :func:`name_key` gives them.

    >>> cut = "\u30ad\u30ba".encode("cp932")
    >>> likeliest([NamedText(cut.decode(name), name) for name in ("gb18030", "cp932")], ())
    1
    """
    telling = {name for name in names if NOT_ASCII.search(name)}
    scores = [(_named(each.text, telling), _usual(each)) for each in readings]
    return max(range(len(readings)), key=lambda index: scores[index])


def _named(text: str, names: Collection[str]) -> int:
    """How many of some names a text has."""
    return len({name_key(part) for part in AROUND_NAMES.split(text)} & set(names)) if names else 0


def _usual(reading: NamedText) -> float:
    """How usual the characters of a reading are beyond ASCII, from 0 to 1."""
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
    """1 for kana and characters of the standard's first level, less for its others, 0 for what it does not have."""
    for character in characters:
        try:
            lead = character.encode(standard)[0]
        except UnicodeEncodeError:
            yield 0.0
            continue
        if standard == "euc_jp" and "\u3041" <= character <= "\u30fe":
            yield 1.0
        elif standard == "euc_jp" and lead in {0x8E, 0x8F}:  # half-width kana: any two bytes pass for them
            yield 0.0
        else:
            yield (0.9 if standard == "euc_jp" else 1.0) if first <= lead <= last else 0.3
