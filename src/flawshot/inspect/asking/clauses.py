"""Clauses of questions: a condition on one instance, in words and in SQL."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COLUMNS", "Clause", "ClauseKind", "clause_of_values", "quoted"]

ClauseKind = Literal["category", "product", "split", "shape", "image", "size", "place", "form"]

# The expression of each kind of which an instance has exactly one value; null would make a negation neither true nor
# false.
COLUMNS = {
    "category": "category",
    "product": "product",
    "split": "coalesce(split, '')",
    "shape": "shape_type",
    "image": "image",
}


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition on one instance.

    Attributes:
        kind: What it is about.
        said: The words of the question that it comes from.
        meaning: What it means, in words.
        sql: What it means, as a condition of ``flawshot query``.
        values: The values that are accepted, if it is about a column.
        cells: The ninths of the image that are accepted, (row, column), if it is about these only.
    """

    kind: ClauseKind
    said: str
    meaning: str
    sql: str
    values: tuple[str, ...] = ()
    cells: frozenset[tuple[int, int]] = field(default=frozenset())

    def excludes(self, other: Clause) -> bool:
        """Whether no instance can satisfy both because it has one value, or one center, only."""
        if self.kind != other.kind:
            return False
        if self.values:
            return not set(self.values) & set(other.values)
        return bool(self.cells and other.cells) and not self.cells & other.cells

    def joined(self, other: Clause) -> Clause:
        """This clause or another on the same column."""
        both = clause_of_values(self.kind, [*self.values, *other.values], self.said)
        return replace(both, said=f"{self.said} … {other.said}")


def clause_of_values(kind: ClauseKind, values: Sequence[str], said: str) -> Clause:
    """A clause that accepts some values of a column."""
    unique = tuple(dict.fromkeys(values))
    column = COLUMNS[kind]
    sql = f"{column} = {quoted(unique[0])}" if len(unique) == 1 else f"{column} in ({', '.join(map(quoted, unique))})"
    name = "shape" if kind == "shape" else kind
    return Clause(kind, said, f"{name} is {' or '.join(map(_shown, unique))}", sql, unique)


def quoted(text: str) -> str:
    """A text as a literal of SQL, which has no other special character than the quote.

    >>> quoted("it's")
    "'it''s'"
    """
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _shown(value: str) -> str:
    return value if value.replace("_", "").replace("-", "").isalnum() else f'"{value}"'
