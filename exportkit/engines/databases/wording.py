"""SQL that every database is asked with, whichever driver reads it."""

# ruff: noqa: S608 - names are quoted by the dialect, expressions checked by `predicates`

from __future__ import annotations

from typing import TYPE_CHECKING

from exportkit.config.phrases import short
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from exportkit.engines.databases.dialects import Dialect
    from exportkit.errors import Location

_LONGEST_NAME = 128
# Types that a database casts to no text, and its function that makes one.
_SPELT = {
    "bigquery": {
        **dict.fromkeys(("array", "json", "struct"), "TO_JSON_STRING"),
        "geography": "ST_ASTEXT",
    }
}


def relation(dialect: Dialect, table: str | None, query: str | None, at: Location) -> str:
    """The FROM item for a table, with its schema, or a query. SourceError for what is no name."""
    if table is None:
        return f"(\n{query}\n) {_alias(dialect, 'exportkit_rows')}"
    parts = [part.strip().strip('"`[]') for part in table.split(".")]
    for part in parts:
        if not part or len(part) > _LONGEST_NAME:
            raise SourceError(f"{short(table)!r} is no name of a table", location=at)
    return ".".join(map(dialect.quoted, parts))


def without_rows(dialect: Dialect, sql: str) -> str:
    """A query with the columns of another and none of its rows."""
    none = f"SELECT * FROM (\n{sql}\n) {_alias(dialect, 'exportkit_it')} WHERE 1 = 0"
    # BigQuery bills what a query reads, and knows by this that it reads nothing.
    return f"{none} LIMIT 0" if dialect.name == "bigquery" else none


def named(name: str) -> str:
    """A query of one number by a quoted name: were that name read as a text, it would be one."""
    return f"SELECT {name} FROM (SELECT 1 AS {name}) AS exportkit_rows"


def one_row(dialect: Dialect, relation: str) -> str:
    """A query that answers one row, or none where a FROM item has none."""
    from sqlglot import exp

    one = exp.select("1 AS it").from_("exportkit_it").limit(1).sql(dialect.name or None)
    return one.replace("exportkit_it", relation)


def as_text(dialect: Dialect, name: str, kind: str, shown: str = "") -> str:
    """SQL for a column's text, which the database makes where the column is none.

    `shown` is the database's own name for its type, where the driver knows that.
    """
    from sqlglot import exp

    if kind == "text":
        return dialect.quoted(name)
    function = _SPELT.get(dialect.name, {}).get(shown)
    if function is not None:  # of NULL, some of these make the word
        quoted = dialect.quoted(name)
        return f"CASE WHEN {quoted} IS NOT NULL THEN {function}({quoted}) END"
    cast = exp.cast(exp.column(exp.to_identifier(name, quoted=True)), "text")
    return str(cast.sql(dialect.name or None, identify=True))


def _alias(dialect: Dialect, name: str) -> str:
    return name if dialect.name == "oracle" else f"AS {name}"
