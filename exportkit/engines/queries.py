"""A source's segments and columns as SQL over its table."""

# ruff: noqa: S608 - names are quoted by `sql`, expressions checked by `predicates`

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exportkit.config.names import nearest_hint
from exportkit.engines.failures import is_conversion
from exportkit.engines.named import Named
from exportkit.engines.predicates import ExpressionError, check_expression, columns_of
from exportkit.engines.readers import describe
from exportkit.engines.sql import identifier
from exportkit.errors import Complaint, Location, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import duckdb

    from exportkit.config.source import Source
    from exportkit.engines.readers import Table

_TEXT = "exportkit_text_"
_BEGINNING = 1000
_MAKE_FIT = "try_cast(column as type) makes one fit; `types:` says what a column is"
_BAD_PATTERN = re.compile(
    r"Invalid Input Error: (missing|invalid|bad|no argument|trailing|unexpected|pattern too)"
)


class Query:
    """Builds the SQL of one source. `table` has its columns, `source` its segments.

    `named` finds both by what a file calls them.
    """

    def __init__(self, source: Source, table: Table) -> None:
        self._source = source
        self._table = table
        self.named = Named(source, table.names)

    def counts(self, names: Sequence[str]) -> str:
        """One row: how many rows are in each of the segments."""
        counts = [f"count(*) FILTER (WHERE {self._condition(name)})" for name in names]
        return f"SELECT {', '.join(counts)} FROM {self._rows({}, typed=True)}"

    def selection(
        self,
        texts: Mapping[str, str],
        expressions: Mapping[str, str],
        values: Mapping[str, str],
        segments: Sequence[str],
        flags: Mapping[str, Sequence[str]],
    ) -> str:
        """The rows of the segments with the asked-for columns; see `OpenSource.select`."""
        raw = {self.named.real(column): f"{_TEXT}{n}" for n, column in enumerate(texts.values())}
        items = {alias: identifier(raw[self.named.real(column)]) for alias, column in texts.items()}
        for alias, sql in expressions.items():
            items[alias] = f"CAST(({self._checked(sql)}) AS VARCHAR)"
        for alias, column in values.items():
            items[alias] = identifier(self.named.real(column))
        for alias, names in flags.items():
            items[alias] = f"coalesce({self._any(names)}, false)"
        wanted = self._any(segments)
        typed = wanted != "true" or bool(expressions or values or flags)
        columns = ", ".join(f"{sql} AS {identifier(alias)}" for alias, sql in items.items())
        where = "" if wanted == "true" else f" WHERE {wanted}"
        return f"SELECT {columns} FROM {self._rows(raw, typed=typed)}{where}"

    def needed(
        self,
        texts: Mapping[str, str],
        expressions: Mapping[str, str],
        values: Mapping[str, str],
        segments: Iterable[str],
    ) -> set[str]:
        """The columns that such a selection reads; `segments` are all that it names."""
        read = {self.named.real(column) for column in (*texts.values(), *values.values())}
        conditions = map(self._condition, segments)
        for sql in (*expressions.values(), *(each for each in conditions if each != "true")):
            self._checked(sql)
            read |= columns_of(sql, self._table.names)
        return read

    def nothing(self, texts: Iterable[str], values: Mapping[str, str], flags: Iterable[str]) -> str:
        """No rows, with the columns of a selection: `texts` and `flags` by alias."""
        items = [f"CAST(NULL AS VARCHAR) AS {identifier(alias)}" for alias in texts]
        items += [f"{identifier(self.named.real(c))} AS {identifier(a)}" for a, c in values.items()]
        items += [f"false AS {identifier(alias)}" for alias in flags]
        return f"SELECT {', '.join(items)} FROM {self._rows({}, typed=True)} WHERE false"

    def unreadable(self, sql: str, at: Location) -> list[Complaint]:
        """What is wrong with an expression whatever the types: its syntax, its columns."""
        try:
            check_expression(sql, self._table.names)
        except ExpressionError as error:
            hint = nearest_hint(error.name, error.known) if error.name else error.hint
            return [Complaint(error.message, inside(at, sql, error.offset), hint)]
        return []

    def badly_typed(
        self, connection: duckdb.DuckDBPyConnection, sql: str, at: Location, *, condition: bool
    ) -> list[Complaint]:
        """How a readable expression does not fit the types of the columns."""
        import duckdb

        checked = self._checked(sql, at)
        rows = f"(SELECT ({checked}) AS it FROM {self._rows({}, typed=True)})"
        try:
            kind = describe(connection, rows)["it"]
            if condition and kind != "BOOLEAN":
                hint = "compare it with something: newsletter = 'yes'"
                found = "text" if kind == "VARCHAR" else kind.lower()
                return [Complaint(f"this is {found}, not true or false", at, hint)]
            most = 0 if self._table.known_empty is not None else _BEGINNING
            beginning = f"(SELECT it FROM {rows} LIMIT {most})"
            connection.execute(f"SELECT count(it) FROM {beginning}").fetchall()
        except (duckdb.BinderException, duckdb.CatalogException):
            message = "the types of the columns do not fit this expression"
            return [Complaint(message, at, _MAKE_FIT)]
        except duckdb.Error as error:
            if is_conversion(error):
                message = "not every value can be read as this expression asks"
                return [Complaint(message, at, _MAKE_FIT)]
            if _BAD_PATTERN.match(str(error)):
                return [Complaint("a pattern in this expression is not a regular one", at)]
            raise
        return []

    def _rows(self, raw: Mapping[str, str], *, typed: bool) -> str:
        """The FROM item: typed columns under their own names, texts beside them."""
        names = self._table.names if typed else ()
        items = [f"{self._table.typed(name)} AS {identifier(name)}" for name in names]
        items += [
            f"{self._table.text(column)} AS {identifier(alias)}" for column, alias in raw.items()
        ]
        return f"(SELECT {', '.join(items) or '1'} FROM {self._table.scan})"

    def _any(self, names: Sequence[str]) -> str:
        conditions = [self._condition(name) for name in names]
        if "true" in conditions:
            return "true"
        return f"({' OR '.join(conditions)})" if conditions else "false"

    def _condition(self, name: str) -> str:
        segment = self.named.segment(name)
        if segment.where is None:
            return "true"
        at = self._source.document.locate(("segments", name, "where"))
        return f"({self._checked(segment.where, at)})"

    def _checked(self, sql: str, at: Location | None = None) -> str:
        try:
            return check_expression(sql, self._table.names)
        except ExpressionError as error:
            hint = nearest_hint(error.name, error.known) if error.name else error.hint
            raise SourceError(error.message, hint=hint, location=at) from None


def inside(at: Location, sql: str, offset: int | None) -> Location:
    """The place `offset` characters into an expression that starts `at`, if it is on one line."""
    if not offset or "\n" in sql:
        return at
    return Location(at.file, at.line, at.column + offset, at.path)
