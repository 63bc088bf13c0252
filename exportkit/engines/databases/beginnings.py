"""How a transaction begins on each kind of database, whichever driver speaks to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exportkit.engines.databases import postgres_sql
from exportkit.engines.databases.servers import family
from exportkit.engines.databases.translations import dialect_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exportkit.engines.databases.dialects import Dialect

# One snapshot, nothing written, times in UTC; as far as each kind of database has these.
_BEGINNINGS = {
    "mysql": (
        "SET NAMES utf8mb4",
        "SET time_zone = '+00:00'",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ),
    "oracle": ("ALTER SESSION SET TIME_ZONE = 'UTC'", "SET TRANSACTION READ ONLY"),
    "mssql": ("SET TRANSACTION ISOLATION LEVEL SNAPSHOT",),
    "sqlite": ("PRAGMA query_only = ON", "BEGIN"),
    "postgresql": (
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        "SET TIME ZONE 'UTC'",
    ),
    "duckdb": ("SET TimeZone = 'UTC'",),
}


# SQL Server takes its level before a transaction begins, and fails at the first query otherwise.
_OUTSIDE = ("mssql",)


def beginnings(scheme: str, *, begun: bool = False) -> Sequence[str]:
    """What is to be run first, in a connection that commits nothing by itself.

    `begun` where the driver has begun a transaction on its own.
    """
    kind = family(scheme)
    return () if begun and kind in _OUTSIDE else _BEGINNINGS.get(kind, ())


def spoken(scheme: str, row: Callable[[str], Sequence[Any]]) -> Dialect:
    """The dialect of a server that can be asked for its version, by `row`."""
    if family(scheme) == "postgresql":
        (version,) = row("SELECT current_setting('server_version_num')")
        return postgres_sql.dialect(int(version), "default")
    return dialect_of(scheme)
