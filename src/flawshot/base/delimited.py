"""Text tables as saved by spreadsheets, with any of the usual separators and encodings."""

from __future__ import annotations

import codecs
import csv
import io
import re
import stat
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["DelimitedText", "Row", "decodings", "delimited_texts", "read_rows", "readings_of"]

SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}
# Encodings that older programs write without declaring them, for Chinese, Japanese, Western, Korean and Cyrillic.
LOCAL_ENCODINGS = ("gb18030", "cp932", "cp1252", "cp949", "big5", "cp1251")
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LARGEST = 2**28  # bytes
# Excel reads this first line as a declaration of the separator.
SEPARATOR_LINE = re.compile(r'\A\s*"?sep=(.)"?[ \t]*(?:\r\n|\r|\n)', re.IGNORECASE)


class DelimitedText(NamedTuple):
    """A table's text.

    Attributes:
        text: The text, without a line that declares the separator.
        separator: The column separator.
        first: Number of the text's first line in the file.
        encoding: How it was decoded.
    """

    text: str
    separator: str
    first: int
    encoding: str


class Row(NamedTuple):
    """One row of a table.

    Attributes:
        number: The last line of the row in the file, from 1.
        values: Values by column, without surrounding blanks; empty if the row is too short.
    """

    number: int
    values: dict[str, str]


def decodings(data: bytes) -> Iterator[tuple[str, str]]:
    """Decode a text file's bytes by each encoding that fits, the likeliest first; yields text and encoding name.

    >>> [encoding for _, encoding in decodings("M\u00fcller".encode("cp1252"))]
    ['gb18030', 'cp1252', 'cp1251']
    """
    for mark, encoding in MARKS:
        if data.startswith(mark):
            try:
                yield data.decode(encoding).removeprefix("\ufeff"), encoding
            except UnicodeDecodeError:
                continue
            return
    # Without a byte order mark, UTF-16 is recognized by its many zero bytes.
    if len(data) > 3 and not len(data) % 2 and data[:400:2].count(0) + data[1:400:2].count(0) > len(data[:400]) // 4:
        yield data.decode("utf-16-be" if not data[0] else "utf-16-le", errors="replace"), "utf-16"
        return
    for encoding in ("utf-8", *LOCAL_ENCODINGS):
        try:
            yield data.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8":
            return


def delimited_texts(path: Path, columns: Sequence[str]) -> list[DelimitedText]:
    """The possible readings of a table with given columns, the likeliest first; several only if it is not Unicode.

    Args:
        path: The file.
        columns: Names of required columns, in lower case.

    Raises:
        FlawshotError: With one line, if it cannot be read, is not a text table, or lacks a column; the line names the
            columns that it has.
    """
    needed = " and ".join(columns)
    return readings_of(path, lambda header: set(columns) <= set(header), f"{needed}; name these in its first row")


def readings_of(path: Path, fits: Callable[[list[str]], bool], needs: str) -> list[DelimitedText]:
    """The possible readings of a table whose columns fit; otherwise like :func:`delimited_texts`.

    Args:
        path: The file.
        fits: Whether the table is one with these columns, in lower case.
        needs: What it needs, for the error.

    Raises:
        FlawshotError: With one line, if it cannot be read, is not a text table, or its columns do not fit.
    """
    try:
        mode, size = path.stat().st_mode, path.stat().st_size
        data = path.read_bytes() if stat.S_ISREG(mode) and size <= LARGEST else b""
    except (OSError, ValueError) as error:
        raise FlawshotError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not stat.S_ISREG(mode):
        raise FlawshotError(f"{path}: is not an ordinary file; name a text table")
    if size > LARGEST:
        raise FlawshotError(f"{path}: is larger than {LARGEST >> 20} MiB, the limit for a text table")
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise FlawshotError(f"{path}: is a spreadsheet; save it as CSV and name that file")
    read = [_told(text, encoding) for text, encoding in decodings(data)]
    found = [fitting for reading in read if (fitting := _fitting(reading, fits)) is not None]
    if not found:
        names, separator = max(
            ((_header(reading.text, each), each) for reading in read for each in _separators(reading)),
            key=lambda header: len(header[0]),
            default=([], ","),
        )
        has = f"has the columns {', '.join(names)[:200]}" if names else "has no columns"
        between = SEPARATORS.get(separator, repr(separator))
        raise FlawshotError(f"{path}: {has} (separated by {between}), but needs {needs}")
    return found


def _told(text: str, encoding: str) -> DelimitedText:
    """A text with the separator that its first line declares, if any."""
    told = SEPARATOR_LINE.match(text)
    return DelimitedText(text[told.end() :], told[1], 2, encoding) if told else DelimitedText(text, "", 1, encoding)


def _separators(reading: DelimitedText) -> list[str]:
    return list(dict.fromkeys([*reading.separator, *SEPARATORS]))


def _fitting(reading: DelimitedText, fits: Callable[[list[str]], bool]) -> DelimitedText | None:
    """A text with the separator by which its columns fit; None if there is none."""
    for separator in _separators(reading):
        if fits(_header(reading.text, separator)):
            return reading._replace(separator=separator)
    return None


def _header(text: str, separator: str) -> list[str]:
    """The names of the columns, in lower case."""
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            names = [_name(cell) for cell in cells]
            if any(names):
                return [name for name in names if name]
    except (csv.Error, TypeError):
        pass
    return []


def _name(cell: str) -> str:
    return unicodedata.normalize("NFC", cell).strip("\ufeff \t\u00a0").casefold()


def read_rows(table: DelimitedText, path: Path) -> Iterator[Row]:
    """A table's rows after its header; empty rows are skipped.

    Raises:
        FlawshotError: With the line, if the table is damaged.
    """
    reader = csv.reader(io.StringIO(table.text, newline=""), delimiter=table.separator)
    header: list[str] = []
    try:
        for cells in reader:
            values = [cell.strip() for cell in cells]
            if not any(values):
                continue
            if not header:
                header = [_name(cell) for cell in cells]
                continue
            padded = values + [""] * (len(header) - len(values))
            # If two columns have the same name, the first is used.
            named = dict(zip(header[::-1], padded[: len(header)][::-1], strict=True))
            yield Row(reader.line_num + table.first - 1, named)
    except csv.Error as error:
        raise FlawshotError(
            f"{path}: line {reader.line_num + table.first - 1}: is not a table row ({error})"
        ) from error
