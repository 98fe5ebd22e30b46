"""Detailed annotations in MPDD's format: the records of a file, and salvage of a damaged one."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import one_line
from flawshot.base.store.json_documents import ANNOTATION_BYTES, check_depth, file_bytes
from flawshot.formats.tree_files import lies_within

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["DetailedBox", "DetailedFile", "DetailedRecord", "find_detailed", "read_detailed", "salvage_detailed"]

# Coordinates beyond any image are refused, as in a Labelme file.
Pixel = Annotated[int, Field(ge=0, le=200_000)]
Count = Annotated[int, Field(ge=0, lt=2**63)]


def _writable(text: object) -> object:
    try:
        str(text).encode()
    except UnicodeEncodeError as error:
        raise ValueError("contains half a surrogate pair, which is not a character") from error
    return text


Text = Annotated[str, BeforeValidator(_writable)]

RECORD_START = re.compile(
    r'\{\s*"(?:class|anomaly|image|num_anomalies|size_anomalies|coordinates|description)"\s*:', re.ASCII
)
# The text between intact records if nothing was lost: a comma, or the end of one class and the start of another.
KEY = r'"(?:[^"\\]|\\.)*"\s*:\s*\[\s*'
NEXT_CLASSES = rf"(?:\]\s*,\s*{KEY})"
BEFORE = re.compile(rf"\s*\{{\s*{KEY}{NEXT_CLASSES}*")
BETWEEN = re.compile(rf"\s*(?:,\s*|{NEXT_CLASSES}+)")
AFTER = re.compile(rf"\s*{NEXT_CLASSES}*\]\s*\}}\s*")


class _Part(BaseModel):
    # Exactly these fields are allowed; otherwise half a record merged with the next could pass for an intact one.
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class DetailedBox(_Part):
    """A box in px; rows are y, columns are x, and it ends before its ``max``, as scikit-image's regions do.

    The published file shows that it is half-open: boxes one px long have ``max = min + 1``, and in images of 1024 px
    they end at 1024.
    """

    min_row: Pixel
    min_col: Pixel
    max_row: Pixel
    max_col: Pixel

    @model_validator(mode="after")
    def _not_empty(self) -> DetailedBox:
        for axis in ("row", "col"):
            low, high = getattr(self, f"min_{axis}"), getattr(self, f"max_{axis}")
            if high <= low:
                raise ValueError(f"max_{axis} {high} must be greater than min_{axis} {low}")
        return self


class DetailedRecord(_Part):
    """One record: one image and anomaly type.

    Attributes:
        product: The file's ``class``.
        anomaly: The type.
        image: The image's name.
        num_anomalies: The number of anomalies that the file states.
        size_anomalies: The number of px they cover that the file states.
        coordinates: Their boxes.
        description: A description in words.
    """

    product: Text = Field(alias="class", min_length=1)
    anomaly: Text
    image: Text = Field(min_length=1)
    num_anomalies: Count
    size_anomalies: Count
    coordinates: list[DetailedBox]
    description: Text


class DetailedFile(NamedTuple):
    """The records of a file.

    Attributes:
        records: The records in file order, each with its first line if it was salvaged, else with None.
        lost: The first and last line of each place where records were lost.
    """

    records: list[DetailedRecord]
    lost: list[tuple[int, int]]


WHOLE_FILE = TypeAdapter(dict[Text, list[DetailedRecord]])


def find_detailed(source: Path) -> Path:
    """The file of detailed annotations: the given file, or the one in the given folder.

    Raises:
        FlawshotError: If there is none, or several candidates.
    """
    if not source.is_dir():
        return source
    found = sorted(path for path in source.glob("*.json") if lies_within(path, source))
    named = [path for path in found if path.stem.endswith("detailed_annotations")] or found
    if len(named) == 1:
        return named[0]
    reason = (
        f"contains several .json files ({', '.join(path.name for path in named[:3])}, …)"
        if named
        else "contains none (links to outside are ignored)"
    )
    raise FlawshotError(f"{source}: {reason}; name the .json file of detailed annotations")


def read_detailed(path: Path) -> list[DetailedRecord]:
    """Read an undamaged file.

    Raises:
        FlawshotError: With line and column if it is damaged, or with the field that has an unexpected value.
    """
    data = _bytes(path)
    remedy = f"add {argument('salvage', value=True)} to keep the intact records"
    try:
        check_depth(data)
    except FlawshotError as error:
        raise FlawshotError(f"{path}: {error.marked}; {remedy}") from error
    try:
        document = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", errors="replace")
        place = f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"
        raise FlawshotError(f"{path}: {place}: is damaged (not UTF-8); save it again as UTF-8, or {remedy}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise FlawshotError(f"{path}: {place}: is damaged ({error.msg}); {remedy}") from error
    except (RecursionError, ValueError) as error:
        raise FlawshotError(f"{path}: cannot be read as JSON ({one_line(error)}); {remedy}") from error
    try:
        classes = WHOLE_FILE.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole file"
        message = f"{path}: {field}: {one_line(first['msg'])}; fix it, or {remedy}"
        raise FlawshotError(message) from error
    return [record for records in classes.values() for record in records]


def salvage_detailed(path: Path) -> DetailedFile:
    """Read every intact record, and report where others were lost.

    Raises:
        FlawshotError: If the file cannot be read, or contains no intact record.
    """
    # Bytes that are not UTF-8 become lone surrogates, which no intact record contains.
    text = _bytes(path).decode("utf-8-sig", errors="surrogateescape")
    records, lost = [], []
    end, benign = 0, BEFORE
    for start, after, record in _whole_records(text):
        if not benign.fullmatch(text, end, start):
            lost.append((end, start))
        records.append(record)
        end, benign = after, BETWEEN
    if not records:
        raise FlawshotError(f"{path}: contains no intact record of detailed annotations; download the file again")
    if not AFTER.fullmatch(text, end):
        lost.append((end, len(text)))
    return DetailedFile(records, _lines(text, lost))


def _bytes(path: Path) -> bytes:
    data = file_bytes(path, ANNOTATION_BYTES)
    encoding = json.detect_encoding(data)
    try:
        # No local encoding is guessed, because a file with damaged bytes would pass for one.
        return data if encoding.startswith("utf-8") else data.decode(encoding).encode()
    except UnicodeError:
        return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object without duplicate keys; two merged halves of records have some."""
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"an object has the key {key!r} twice")
        made[key] = value
    return made


def _whole_records(text: str) -> Iterator[tuple[int, int, DetailedRecord]]:
    """Start, end and content of every intact record."""
    decoder = json.JSONDecoder(object_pairs_hook=_object)
    found = RECORD_START.search(text)
    while found:
        # No intact record contains the start of another, so each piece of the text is parsed once.
        after = RECORD_START.search(text, found.end())
        try:
            raw, end = decoder.raw_decode(text[found.start() : after.start() if after else len(text)])
            record = DetailedRecord.model_validate(raw)
        except (ValueError, RecursionError):  # damaged, not text, or not a record
            pass
        else:
            yield found.start(), found.start() + end, record
        found = after


def _lines(text: str, places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """First and last line of the text at some places, in order, without commas and blanks at their ends."""
    lines = []
    line, counted = 1, 0
    for place, behind in places:
        between = text[place:behind]
        start = place + len(between) - len(between.lstrip(" \t\r\n,"))
        end = max(start, start + len(between.strip(" \t\r\n,")))
        line, counted = line + text.count("\n", counted, start), start
        lines.append((line, line + text.count("\n", start, end)))
    return lines
