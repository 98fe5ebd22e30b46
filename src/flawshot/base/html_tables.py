"""Small HTML tables, by which a notebook shows a value; every text in them is escaped."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from flawshot.base.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["LONGEST_CELL", "MOST_ROWS", "facts_html", "table_html"]

# A notebook's cell shows a summary; longer names and further rows are cut.
LONGEST_CELL, LONGEST_TITLE = 80, 240
MOST_ROWS = 20


def table_html(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], count: int) -> str:
    """A table with a heading, as HTML.

    Args:
        title: The heading.
        columns: The columns' names.
        rows: Texts and numbers; numbers are aligned to the right. The first 20 rows are shown.
        count: Number of rows, of which the hidden ones are counted in the last line.

    >>> table_html("<b>", ["name"], [["a & b"]], 1)  # doctest: +ELLIPSIS
    '<div><strong>&lt;b&gt;</strong><table><thead><tr><th...>name</th></tr></thead><tbody><tr><td...>a &amp; b</td>...
    """
    from markupsafe import Markup  # noqa: PLC0415 - only in a notebook

    head = Markup("").join(_cell("th", column) for column in columns)
    body = Markup("").join(_row(cells) for cells in islice(rows, MOST_ROWS))
    table = Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, body)
    more = Markup("<div>and {} more</div>").format(count - MOST_ROWS) if count > MOST_ROWS else ""
    return str(Markup("<div><strong>{}</strong>{}{}</div>").format(printable(title, LONGEST_TITLE), table, more))


def facts_html(title: str, facts: Iterable[tuple[str, object]]) -> str:
    """A heading and facts, one per row, as HTML.

    Args:
        title: The heading.
        facts: Name and value of each; those whose value is None are left out.
    """
    from markupsafe import Markup  # noqa: PLC0415 - only in a notebook

    row = Markup('<tr><th style="text-align: left">{}</th>{}</tr>')
    known = [(name, str(value)) for name, value in facts if value is not None]
    rows = Markup("").join(row.format(name, _cell("td", value, LONGEST_TITLE)) for name, value in known)
    return str(
        Markup("<div><strong>{}</strong><table><tbody>{}</tbody></table></div>").format(
            printable(title, LONGEST_TITLE), rows
        )
    )


def _row(cells: Sequence[object]) -> str:
    from markupsafe import Markup  # noqa: PLC0415

    return Markup("<tr>{}</tr>").format(Markup("").join(_cell("td", cell) for cell in cells))


def _cell(tag: str, value: object, longest: int = LONGEST_CELL) -> str:
    from markupsafe import Markup  # noqa: PLC0415

    side = "right" if isinstance(value, int | float) else "left"
    start, end = Markup('<{} style="text-align: {}">').format(tag, side), Markup("</{}>").format(tag)
    return Markup("{}{}{}").format(start, printable(str(value), longest), end)
