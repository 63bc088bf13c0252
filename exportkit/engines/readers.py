"""How the columns of each kind of source are read: as text for the mapping, typed for predicates.

A `Table` is a FROM item and two SQL expressions a column. Sources whose rows are text (CSV, JSON
lines, SQLite) infer types for predicates; a value that does not fit is null there and stays itself
in the mapping.
"""

# ruff: noqa: S608 - names are quoted by `sql`

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exportkit.engines.sql import identifier
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import duckdb

_NESTED = ("STRUCT", "MAP", "UNION", "VARIANT")
_NOT_TEXT = ("BLOB", "BIT", "GEOMETRY")


@dataclass(slots=True)
class Table:
    """The rows of a source as the engine sees them.

    `scan` is the FROM item. `is_text` says that every column of it is VARCHAR, `written` names
    those that are if not all; `infer` answers the types of the columns. `overrides` are the
    declared `types:`, by real column name. `load` brings the rows in, where the engine cannot read
    them itself; it answers which columns cannot be text, and why. `known_empty` is set where only
    the columns are here yet: whether there are no rows at all.
    """

    scan: str
    names: tuple[str, ...]
    infer: Callable[[], Mapping[str, str]]
    is_text: bool
    overrides: Mapping[str, str] = field(default_factory=dict)
    load: Callable[[], Mapping[str, str]] | None = None
    known_empty: bool | None = None
    written: frozenset[str] = frozenset()
    _own: Mapping[str, str] | None = None
    _not_text: Mapping[str, str] = field(default_factory=dict)

    def fill(self) -> None:
        """Bring the rows in, once. Does nothing for files that the engine reads in place."""
        if self.load is not None:
            load, self.load = self.load, None
            self._not_text = load()

    @property
    def types(self) -> Mapping[str, str]:
        """The SQL type of each column in predicates."""
        return {**self._own_types(), **self.overrides}

    def typed(self, name: str) -> str:
        """The column as predicates see it, over `scan`."""
        column, kind = identifier(name), self.types[name]
        is_text = self.is_text or name in self.written
        as_it_is = kind == "VARCHAR" if is_text else name not in self.overrides
        return column if as_it_is else f"TRY_CAST({column} AS {kind})"

    def text(self, name: str) -> str:
        """The column as the text to send, over `scan`. SourceError for bytes.

        Booleans are true and false, dates and times ISO 8601 (with a blank between the two, times
        with a zone in UTC), floats the shortest text that reads back the same, decimals with all
        their digits, lists and structs JSON.
        """
        column = identifier(name)
        if name in self._not_text:
            raise no_text(name, self._not_text[name])
        if self.is_text or name in self.written:
            return column
        kind = self._own_types()[name]
        if kind == "VARCHAR":
            return column
        if kind.startswith(_NOT_TEXT):
            raise no_text(name, f"bytes ({kind.lower()})")
        if kind.endswith("]") or kind.startswith(_NESTED):
            return f"CAST(to_json({column}) AS VARCHAR)"
        return f"CAST({column} AS VARCHAR)"

    def _own_types(self) -> Mapping[str, str]:
        if self._own is None:
            self._own = self.infer()
        return self._own


def no_text(name: str, what: str) -> SourceError:
    """The error for a column that cannot be mapped; `what` is what it holds."""
    return SourceError(
        f"column {name!r} holds {what}, not text: it cannot be mapped",
        hint="map another column, or make text of it where the source is made",
    )


def native_table(connection: duckdb.DuckDBPyConnection, scan: str) -> Table:
    """A table whose columns have types of their own (Parquet, DuckDB)."""
    types = describe(connection, scan)
    return Table(scan, tuple(types), lambda: types, is_text=False)


def describe(connection: duckdb.DuckDBPyConnection, scan: str) -> dict[str, str]:
    """The columns of a FROM item and their SQL types. Reads no row."""
    rows = connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()
    return {row[0]: row[1] for row in rows}
