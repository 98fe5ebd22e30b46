"""DuckDB over a catalog's columns, locked down: it can read the one table that it is given, and nothing else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

__all__ = ["TABLE", "locked_database"]

# The one table's name.
TABLE = "instances"
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "memory_limit": "2GB",
    "max_temp_directory_size": "0B",
}


@contextmanager
def locked_database(table: pa.Table) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory database with one table, called ``instances``.

    Files, network, extensions and Python's variables are out of reach, and no statement can change that.

    Args:
        table: The table; its rows are not copied.
    """
    with duckdb.connect(":memory:", config=SETTINGS) as connection:
        connection.register(TABLE, table)
        connection.execute("SET lock_configuration = true")
        yield connection
