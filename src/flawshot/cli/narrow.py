"""Tables on narrow terminals: headings in several lines, or one line per cell; nothing is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

if TYPE_CHECKING:
    from rich.table import Column, Table

__all__ = ["fitted", "records"]

# Columns that a name gets at least, before it is broken within a word.
LEAST_NAME = 12
# Characters around and between columns.
PADDING, DIVIDER = 2, 1


def fitted(table: Table, width: int) -> bool:
    """Whether a table fits a width; if need be, the headings of its columns are broken into lines.

    Args:
        table: The table; its headings may be changed.
        width: Characters per line.
    """
    if _least(table) <= width:
        return True
    for column in table.columns:
        column.header = Text("\n".join(str(column.header).split()))
    return _least(table) <= width


def records(table: Table) -> Text:
    """A table's content with a line for each cell: the first column's, and under it the others by their headings."""
    heads = [" ".join(str(column.header).split()) for column in table.columns]
    lines = [str(table.title)] if table.title else []
    first = ""
    for cells in zip(*(map(str, column.cells) for column in table.columns), strict=True):
        first = cells[0] or first
        lines.append(f"{heads[0]}: {first}" if heads[0] else first)
        lines += [
            f"  {head}: {' '.join(cell.split())}" for head, cell in zip(heads[1:], cells[1:], strict=True) if cell
        ]
    return Text("\n".join(lines), overflow="fold")


def _least(table: Table) -> int:
    """The characters per line that a table needs."""
    number = len(table.columns)
    edges = 2 * DIVIDER if table.show_edge else 0
    return sum(map(_least_of, table.columns)) + number * PADDING + (number - 1) * DIVIDER + edges


def _least_of(column: Column) -> int:
    cells = [str(column.header), *map(str, column.cells)]
    if column.no_wrap:
        return max(cell_len(line) for cell in cells for line in cell.splitlines() or [""])
    return min(LEAST_NAME, max((cell_len(word) for cell in cells for word in cell.split()), default=0))
