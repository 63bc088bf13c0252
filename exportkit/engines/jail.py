"""An engine connection that sees a source and nothing else, whatever SQL runs on it.

Open first what has to be opened (attach a database), then `close_jail`: from there on the allowed
files can be read, nothing else, and no setting changes any more. Temporary files still work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exportkit.engines.sql import text_list

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

MEMORY_LIMIT = "700MB"
"""What the engine keeps in memory before it spills; with Arrow and Python beside it, under 1 GB."""


def open_connection(spill: Path) -> duckdb.DuckDBPyConnection:
    """A connection of its own, in memory, that spills into the folder `spill`."""
    import duckdb

    connection = duckdb.connect(
        config={
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": str(spill),
            "preserve_insertion_order": True,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,  # SQL must not reach Python's variables
        }
    )
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET TimeZone = 'UTC'")  # the same text on every machine
    # The engine moves TRY_CAST into its CSV reader, and there a value that does not fit is an
    # error, not null (https://github.com/duckdb/duckdb/issues/23818).
    connection.execute("SET disabled_optimizers = 'type_pushdown'")
    return connection


def close_jail(
    connection: duckdb.DuckDBPyConnection, allowed: Sequence[Path], folders: Sequence[Path] = ()
) -> None:
    """Close the jail: no file but the allowed ones, no extension, no setting, for good.

    `folders` are private ones, where files of the source come to lie that are not there yet.
    """
    if folders:
        connection.execute(f"SET allowed_directories = {text_list(map(str, folders))}")
    connection.execute(f"SET allowed_paths = {text_list(map(str, allowed))}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
