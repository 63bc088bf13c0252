"""Which dialect an expression is translated to, by what the URL begins with."""

from __future__ import annotations

from exportkit.engines.databases import bigquery_sql, mysql_sql, postgres_sql
from exportkit.engines.databases.dialects import Dialect
from exportkit.engines.databases.servers import family, sql_dialect

_NEWEST = 180000


def dialect_of(scheme: str) -> Dialect:
    """The dialect of such a server before anybody has asked it for its version."""
    if family(scheme) == "postgresql":
        return postgres_sql.dialect(_NEWEST, None)
    if family(scheme) == "mysql":
        return mysql_sql.dialect()
    if family(scheme) == "bigquery":
        return bigquery_sql.dialect()
    if family(scheme) == "duckdb":
        return Dialect("duckdb", "DuckDB", is_native=True)
    return Dialect(sql_dialect(scheme), scheme or "this database")
