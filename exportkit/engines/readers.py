"""How the columns of each kind of source are read: as text for the mapping, typed for predicates.

A `Table` is a FROM item and two SQL expressions a column. Sources whose rows are text (CSV, JSON
lines, SQLite) infer types for predicates; a value that does not fit is null there and stays itself
in the mapping.
"""

# ruff: noqa: S608 - names and values are quoted by `sql`, expressions checked by `predicates`

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exportkit.engines.sql import identifier, literal
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import duckdb

_NESTED = ("STRUCT", "MAP", "UNION", "VARIANT")
_NOT_TEXT = ("BLOB", "BIT", "GEOMETRY")


@dataclass(slots=True)
class Table:
    """The rows of a source as the engine sees them.

    `scan` is the FROM item. `is_text` says that every column of it is VARCHAR and `infer` answers
    the types that predicates see. `overrides` are the declared `types:`, by real column name.
    """

    scan: str
    names: tuple[str, ...]
    infer: Callable[[], Mapping[str, str]]
    is_text: bool
    overrides: Mapping[str, str] = field(default_factory=dict)
    _types: dict[str, str] | None = None

    @property
    def types(self) -> Mapping[str, str]:
        """The SQL type of each column in predicates. Inferred at the first call."""
        if self._types is None:
            self._types = {**self.infer(), **self.overrides}
        return self._types

    def typed(self, name: str) -> str:
        """The column in its own type, over `scan`."""
        column = identifier(name)
        kind = self.types[name]
        if self.is_text:
            return column if kind == "VARCHAR" else f"TRY_CAST({column} AS {kind})"
        return f"TRY_CAST({column} AS {kind})" if name in self.overrides else column

    def text(self, name: str) -> str:
        """The column as the text to send, over `scan`. SourceError for bytes.

        Booleans are true and false, dates and times ISO 8601 (with a blank between the two),
        floats the shortest text that reads back the same, decimals as many digits as declared,
        lists and structs JSON.
        """
        column = identifier(name)
        if self.is_text:
            return column
        kind = self.infer()[name] if name in self.overrides else self.types[name]
        if kind == "VARCHAR":
            return column
        if kind.startswith(_NOT_TEXT):
            raise SourceError(
                f"column {name!r} holds bytes ({kind.lower()}), not text: it cannot be mapped",
                hint="map another column, or make text of it where the source is made",
            )
        if kind.endswith("]") or kind.startswith(_NESTED):
            return f"CAST(to_json({column}) AS VARCHAR)"
        return f"CAST({column} AS VARCHAR)"


def native_table(connection: duckdb.DuckDBPyConnection, scan: str) -> Table:
    """A table whose columns have types of their own (Parquet, DuckDB)."""
    types = describe(connection, scan)
    return Table(scan, tuple(types), lambda: types, is_text=False)


def describe(connection: duckdb.DuckDBPyConnection, scan: str) -> dict[str, str]:
    """The columns of a FROM item and their SQL types."""
    rows = connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()
    return {row[0]: row[1] for row in rows}


def parquet_scan(path: str) -> str:
    """The FROM item of one Parquet file."""
    return f"read_parquet({literal(path)})"
