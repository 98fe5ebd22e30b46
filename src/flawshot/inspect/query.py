"""Questions to the catalog: the instances that an SQL condition holds for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import one_line
from flawshot.catalog import Catalog
from flawshot.catalog.table import SCHEMA
from flawshot.inspect.database import TABLE, locked_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Condition", "query_catalog", "query_rows"]

DERIVED = ("width", "height")
COLUMNS = (*SCHEMA.names, *DERIVED)
LONGEST_CONDITION = 10_000
# What a condition may be made of. All else, such as a subquery, is refused whatever DuckDB would make of it.
NODES = frozenset(
    "BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION OPERATOR TYPE".split()  # noqa: SIM905
)
# Operators are functions to DuckDB; ~~ is LIKE, ^@ starts with.
FUNCTIONS = frozenset(
    """
    + - * / // % ** ^ || ~~ !~~ ~~* !~~* ~~~ ^@ -> ->>
    like_escape not_like_escape ilike_escape not_ilike_escape regexp_full_match
    abs ceil ceiling floor round sqrt pow power ln log log10 log2 exp greatest least sign mod pi
    lower upper length len strlen trim ltrim rtrim substr substring left right concat
    contains prefix suffix starts_with ends_with strpos instr position regexp_matches regexp_extract
    split_part string_split levenshtein jaro_winkler_similarity
    coalesce ifnull nullif isnan array_length list_contains list_value list_extract array_extract struct_extract
    json_extract json_extract_string
    """.split()  # noqa: SIM905 - a list of as many lines could not be looked over
)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was read and found to be one: columns, constants, comparisons and harmless functions only.

    Attributes:
        text: As the user gave it.
        columns: The catalog's columns, and derived ones, that it names.
    """

    text: str
    columns: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition; nothing is run.

        Raises:
            FlawshotError: With DuckDB's reason, or what is not allowed, and the columns there are.
        """
        if len(text) > LONGEST_CONDITION:
            raise _wrong(text, f"is longer than {LONGEST_CONDITION} characters")
        if not text.strip():
            raise _wrong(text, "is empty")
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            raise _wrong(text, "holds what is no character")
        where, rest = _parsed(text)
        if rest != _parsed("true")[1]:  # what stands around the condition is ours, and nothing may be added to it
            raise _wrong(text, "is more than one condition")
        columns = set()
        for node in _nodes(text, where):
            kind = node["class"]
            if kind not in NODES:
                raise _wrong(text, f"a {kind.lower().replace('_', ' ')} is not allowed in it")
            if kind == "FUNCTION" and node["function_name"].lower() not in FUNCTIONS:
                raise _wrong(text, f"the function {node['function_name']} is not allowed in it")
            if kind == "COLUMN_REF":
                columns.add(_column(text, node["column_names"]))
        return cls(text, frozenset(columns))


def _wrong(text: str, reason: str) -> FlawshotError:
    shown = text if len(text) <= 80 else f"{text[:79]}…"
    return FlawshotError(f"WHERE {shown!r}: {reason}; the columns are {', '.join(COLUMNS)}")


def _sql(text: str) -> str:
    """The one statement that is ever run; the line break ends a comment at the condition's end."""
    return f"SELECT row FROM {TABLE} WHERE (\n{text}\n)"  # noqa: S608 - parsed, and compared with what it must be


def _parsed(text: str) -> tuple[Any, Any]:
    """The statement's WHERE and the rest of it, as DuckDB's own parser takes it."""
    with duckdb.connect(":memory:") as connection:
        try:
            found = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [_sql(text)]).fetchone()
            parsed: dict[str, Any] = json.loads(found[0]) if found else {}
        except RecursionError as error:
            raise _wrong(text, "is nested too deep") from error
        except (duckdb.Error, ValueError) as error:
            raise _wrong(text, f"cannot be read ({_reason(error)})") from error
    if parsed.get("error") is not False:
        raise _wrong(text, f"cannot be read ({one_line(parsed.get('error_message', 'no statement'))})")
    node = parsed["statements"][0]["node"]
    where = node.pop("where_clause", None)
    return where, _without_places(parsed)


def _without_places(value: Any) -> Any:
    """A parsed statement without where in the text its parts stand."""
    if isinstance(value, dict):
        return {key: _without_places(each) for key, each in value.items() if not key.startswith("query_location")}
    return [_without_places(each) for each in value] if isinstance(value, list) else value


def _nodes(text: str, where: Any) -> Iterator[Mapping[str, Any]]:
    """Every expression in a parsed condition, however deep."""
    waiting = [where]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class" in value:
                yield value
            elif "node" in value or "statements" in value:
                raise _wrong(text, "a subquery is not allowed in it")
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _column(text: str, names: list[str]) -> str:
    name = names[0].lower()
    if name == TABLE and len(names) > 1:
        name = names[1].lower()
    if name not in COLUMNS:
        raise _wrong(text, f"there is no column {names[0]}")
    return name


def _reason(error: Exception) -> str:
    """DuckDB's reason without the lines that show the statement."""
    return one_line(str(error).partition("\n")[0]) or type(error).__name__


def query_rows(catalog: Catalog, condition: Condition, *, limit: int | None = None) -> list[int]:
    """The rows of a catalog that a condition holds for, in catalog order.

    Args:
        catalog: What to ask; without geometry it must not be asked of geometry.
        condition: What must hold.
        limit: At most so many.

    Raises:
        FlawshotError: With DuckDB's reason, if the condition cannot be answered.
    """
    plain = [name for name in SCHEMA.names if name in condition.columns]
    absent = [name for name in plain if name not in catalog.table.column_names]
    if absent:
        raise _wrong(condition.text, f"the catalog was read without {', '.join(absent)}")
    asked = catalog.table.select(plain)
    for name, low, high in (("width", "x0", "x1"), ("height", "y0", "y1")):
        if name in condition.columns:
            extent = pc.subtract(catalog.table.column(high), catalog.table.column(low))
            asked = asked.append_column(name, extent)
    asked = asked.append_column("row", pa.array(range(len(catalog)), pa.int64()))
    with locked_database(asked) as connection:
        try:
            found = connection.execute(_sql(condition.text)).fetchnumpy()["row"]
        except duckdb.Error as error:
            raise _wrong(condition.text, f"cannot be answered ({_reason(error)})") from error
    rows: list[int] = sorted(found.tolist())
    return rows[:limit]


def query_catalog(catalog: Catalog, condition: str, *, limit: int | None = None) -> Catalog:
    """The instances that an SQL condition holds for, such as ``area > 5000 and product = 'bolt'``.

    The condition is the WHERE of one SELECT over the catalog's columns, ``width`` and ``height`` of the box beside
    them: comparisons, LIKE, IN, BETWEEN, CASE, arithmetic and harmless functions. It reaches no file, network,
    extension or setting.

    Args:
        catalog: What to ask.
        condition: What must hold, in DuckDB's SQL.
        limit: At most so many, the first ones.

    Returns:
        A catalog of the hits, in catalog order.

    Raises:
        FlawshotError: With the reason and the columns' names, if the condition is none or holds what is not allowed.
    """
    rows = query_rows(catalog, Condition.parse(condition), limit=limit)
    return Catalog(catalog.table.take(pa.array(rows, pa.int64())), catalog.root, catalog.problems)
