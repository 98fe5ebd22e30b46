"""Queries of a catalog: the instances that match an SQL condition."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import one_line
from flawshot.catalog.table import SCHEMA
from flawshot.inspect.database import TABLE, locked_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flawshot.catalog import Catalog

__all__ = ["Condition", "query_catalog", "query_rows"]

DERIVED = ("width", "height")
COLUMNS = (*SCHEMA.names, *DERIVED)
LONGEST_CONDITION = 10_000
# Everything that a condition may consist of. All else, such as a subquery, is refused even if DuckDB would accept it.
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
    """.split()  # noqa: SIM905 - a list with one line each would be unreadable
)


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed condition, which consists of columns, constants, comparisons and harmless functions only.

    Attributes:
        text: The condition as the user gave it.
        columns: The columns that it names, of the catalog or derived.
    """

    text: str
    columns: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Parse a condition without running it.

        Raises:
            FlawshotError: With DuckDB's reason or with what is not allowed, and the available columns.
        """
        if len(text) > LONGEST_CONDITION:
            raise _wrong(text, f"is longer than {LONGEST_CONDITION} characters")
        if not text.strip():
            raise _wrong(text, "is empty")
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            raise _wrong(text, "contains an invalid character")
        where, rest = _parsed(text)
        if rest != _parsed("true")[1]:  # the statement around the condition is fixed, and nothing may be added to it
            raise _wrong(text, "is more than one condition")
        columns = set()
        for node in _nodes(text, where):
            kind = node["class"]
            if kind not in NODES:
                raise _wrong(text, f"a {kind.lower().replace('_', ' ')} is not allowed")
            if kind == "FUNCTION" and node["function_name"].lower() not in FUNCTIONS:
                raise _wrong(text, f"the function {node['function_name']} is not allowed")
            if kind == "COLUMN_REF":
                columns.add(_column(text, node["column_names"]))
        return cls(text, frozenset(columns))


def _wrong(text: str, reason: str) -> FlawshotError:
    shown = text if len(text) <= 80 else f"{text[:79]}…"
    return FlawshotError(f"{argument('condition', shown)}: {reason}; the columns are {', '.join(COLUMNS)}")


def _sql(text: str) -> str:
    """The only statement that is ever run; the line break ends a comment at the condition's end."""
    return f"SELECT row FROM {TABLE} WHERE (\n{text}\n)"  # noqa: S608 - parsed, and compared with what it must be


def _parsed(text: str) -> tuple[Any, Any]:
    """The statement's WHERE clause and the rest of the statement, as parsed by DuckDB."""
    with duckdb.connect(":memory:") as connection:
        try:
            found = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [_sql(text)]).fetchone()
            parsed: dict[str, Any] = json.loads(found[0]) if found else {}
        except RecursionError as error:
            raise _wrong(text, "is nested too deeply") from error
        except (duckdb.Error, ValueError) as error:
            raise _wrong(text, f"cannot be read ({_reason(error)})") from error
    if parsed.get("error") is not False:
        raise _wrong(text, f"cannot be read ({one_line(parsed.get('error_message', 'no statement'))})")
    node = parsed["statements"][0]["node"]
    where = node.pop("where_clause", None)
    return where, _without_places(parsed)


def _without_places(value: Any) -> Any:
    """A parsed statement without the positions of its parts in the text."""
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
                raise _wrong(text, "a subquery is not allowed")
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
    """The rows of a catalog that match a condition, in catalog order.

    Args:
        catalog: The catalog to query; the condition may use geometry only if the catalog has it.
        condition: The condition that rows must meet.
        limit: The maximum number of rows.

    Raises:
        FlawshotError: With DuckDB's reason, if the condition cannot be evaluated.
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
            raise _wrong(condition.text, f"cannot be evaluated ({_reason(error)})") from error
    rows: list[int] = sorted(found.tolist())
    return rows[:limit]


def query_catalog(catalog: Catalog, condition: str, *, limit: int | None = None) -> Catalog:
    """The instances that match an SQL condition, such as ``area > 5000 and product = 'bolt'``.

    The condition is the WHERE clause of one SELECT over the catalog's columns and the box's ``width`` and ``height``:
    comparisons, LIKE, IN, BETWEEN, CASE, arithmetic and harmless functions. It cannot reach files, the network,
    extensions or settings.

    Args:
        catalog: The catalog to query.
        condition: The condition that instances must meet, in DuckDB's SQL.
        limit: The maximum number of instances; the first ones are kept.

    Returns:
        A catalog of the matching instances, in catalog order.

    Raises:
        FlawshotError: With the reason and the columns' names, if the condition is invalid or contains anything that
            is not allowed.
    """
    rows = query_rows(catalog, Condition.parse(condition), limit=limit)
    return catalog.with_rows(catalog.table.take(pa.array(rows, pa.int64())))
