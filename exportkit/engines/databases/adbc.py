"""A session over any ADBC driver: rows come as Arrow, as the driver makes them.

What a column is, the Arrow schema of an answer without rows tells. Text travels as it is; of all
else the database makes the text that is delivered, and what is compared travels in its own type.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from exportkit.engines.databases import wording
from exportkit.engines.databases.adbc_drivers import connect
from exportkit.engines.databases.adbc_failures import explain, explain_unanswered
from exportkit.engines.databases.beginnings import beginnings, spoken
from exportkit.engines.databases.cursors import batches_of, open_cursor
from exportkit.engines.databases.servers import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from exportkit.engines.databases.dialects import Dialect
    from exportkit.engines.databases.servers import Server
    from exportkit.errors import Location

_MOST_TABLES = 1000
# What is tried where the driver's name tells no SQL: names in double quotes, and in backticks.
_UNKNOWN = ("", "spark")
_OWN_TYPE = ("text", "boolean", "integer", "float", "numeric", "date", "timestamp", "timestamptz")


@dataclass(frozen=True, slots=True)
class Field:
    """A column of an answer: what it is in Arrow, and to expressions. `written` is its text."""

    name: str
    arrow: pa.DataType
    kind: str
    column: str
    written: str

    @property
    def type(self) -> str:
        """The name that Arrow has for its type."""
        return str(self.arrow)

    def as_text(self) -> str:
        """SQL for the column as it travels: always text."""
        return self.written

    def as_value(self) -> tuple[str, str | None]:
        """SQL for the column in its own type, which the engine compares; or else its text."""
        import pyarrow as pa

        if pa.types.is_decimal256(self.arrow):  # more digits than the engine has
            return self.written, "DOUBLE"
        return (self.column if self.kind in _OWN_TYPE else self.written), None


class AdbcSession:
    """One transaction, read-only where the driver or the database has such. It commits nothing."""

    def __init__(self, server: Server, at: Location) -> None:
        self._server, self._at = server, at
        self._streaming: Any = None
        self._connection = connect(server, at)
        try:
            self._begin()
            self.dialect: Dialect = spoken(server.scheme, self.row)
            if not self.dialect.name:
                self.dialect = self._quoting()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        for statement in beginnings(self._server.scheme, begun=True):
            with self._cursor() as cursor:
                cursor.execute(statement)

    def _quoting(self) -> Dialect:
        """How a database that nobody knows writes names: in the wrong quotes they are texts."""
        for name in _UNKNOWN:
            dialect = replace(self.dialect, name=name)
            it = dialect.quoted("exportkit_it")
            with suppress(ServerError):
                (field,) = self._answer(wording.named(it))
                if _kind(field) in ("integer", "numeric"):
                    return dialect
        raise ServerError(
            f"{self._server.shown_as} writes names in no way that is known here",
            "other",
            hint='neither "name" nor `name` is one',
            location=self._at,
        )

    def close(self) -> None:
        """End the transaction and the connection; a broken one makes no further noise."""
        for step in (self._connection.adbc_connection.rollback, self._connection.close):
            with suppress(Exception):
                step()

    def relation(self, table: str | None, query: str | None, at: Location) -> str:
        """The FROM item for a table, with its schema, or a query."""
        return wording.relation(self.dialect, table, query, at)

    def describe(self, sql: str) -> list[Field]:
        """The columns of a query, by the Arrow schema of an answer without rows.

        After an error the transaction is a new one: many databases run nothing more in the old.
        """
        return [self._field(each) for each in self._answer(sql)]

    def _answer(self, sql: str) -> pa.Schema:
        try:
            with self._cursor(explain_unanswered) as cursor:
                cursor.execute(wording.without_rows(self.dialect, sql))
                return batches_of(cursor).schema
        except ServerError:
            with suppress(Exception):
                self._connection.adbc_connection.rollback()
                self._begin()
            raise

    def schema(self, sql: str) -> pa.Schema:
        """The Arrow schema of a query's stream."""
        import pyarrow as pa

        return pa.schema([pa.field(each.name, each.type) for each in self._answer(sql)])

    def row(self, sql: str) -> Sequence[Any]:
        """The only row of an answer."""
        (row,) = self._rows(sql)
        return row

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self._cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def is_empty(self, relation: str) -> bool:
        """Whether a FROM item has no row."""
        return not self._rows(wording.one_row(self.dialect, relation))

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The rows of a query in the driver's batches, one after the other in memory."""
        schema = self.schema(sql)
        with self._cursor() as cursor:
            self._streaming = cursor
            cursor.execute(sql)
            try:
                for batch in batches_of(cursor):
                    yield self._fitting(batch, schema)
            except GeneratorExit:  # the rest of the rows would be waited for
                self.cancel()
                raise

    def _fitting(self, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        """The batch as it was described: a driver may know better once it has seen rows."""
        import pyarrow as pa

        if batch.schema.equals(schema):
            return batch
        try:
            return pa.RecordBatch.from_arrays(
                [
                    column.cast(type_)
                    for column, type_ in zip(batch.columns, schema.types, strict=True)
                ],
                schema=schema,
            )
        except (pa.ArrowException, ValueError):
            raise ServerError(
                f"{self._server.shown_as} answers rows that are not as it described them",
                "types",
                hint="cast the columns in `query:`",
                location=self._at,
            ) from None

    def cancel(self) -> None:
        """End the query that is streaming, from another thread."""
        with suppress(Exception):
            self._streaming.adbc_cancel()

    def tables(self) -> Sequence[str]:
        """The tables and views that the driver lists, with the schema where there are several."""
        with suppress(Exception):
            reader = self._connection.adbc_get_objects(depth="tables")
            catalogs = reader.read_all().column("catalog_db_schemas").to_pylist()
            schemas = [schema for catalog in catalogs for schema in catalog or ()]
            found = [
                table["table_name"]
                for schema in schemas
                if schema["db_schema_name"] not in ("information_schema", "pg_catalog")
                for table in schema["db_schema_tables"] or ()
            ]
            return sorted(set(found))[:_MOST_TABLES]
        return []

    def fingerprint(self, table: str | None) -> str:  # noqa: ARG002 - none says what changed
        """Another one each time."""
        return uuid4().hex

    def _cursor(
        self, say: Callable[[Exception, Server, Location], ServerError] = explain
    ) -> AbstractContextManager[Any]:
        """A cursor; what goes wrong with it comes out explained."""
        return open_cursor(self._connection, lambda error: say(error, self._server, self._at))

    def _field(self, field: pa.Field) -> Field:
        kind = _kind(field)
        column = self.dialect.quoted(field.name)
        written = wording.as_text(self.dialect, field.name, kind)
        return Field(field.name, field.type, kind, column, written)


def _kind(field: pa.Field) -> str:
    """What a column is to expressions; `other` if a driver marks it as more than its Arrow type."""
    from pyarrow import types

    if b"ARROW:extension:name" in (field.metadata or {}):
        return "other"
    kinds = {
        "text": (types.is_string, types.is_large_string, types.is_string_view),
        "boolean": (types.is_boolean,),
        "integer": (types.is_integer,),
        "float": (types.is_float32, types.is_float64),
        "numeric": (types.is_decimal,),
        "date": (types.is_date,),
        "time": (types.is_time,),
        "interval": (types.is_interval, types.is_duration),
        "bytes": (types.is_binary, types.is_large_binary, types.is_fixed_size_binary),
    }
    if types.is_timestamp(field.type):
        return "timestamptz" if field.type.tz else "timestamp"
    found = (kind for kind, tests in kinds.items() if any(test(field.type) for test in tests))
    return next(found, "other")
