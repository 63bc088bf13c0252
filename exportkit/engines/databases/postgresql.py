"""A PostgreSQL session: one read-only snapshot, rows as a stream of Arrow batches.

Everything of a session happens in one transaction, REPEATABLE READ and READ ONLY, so what is
counted, checked and read is the same, whoever writes meanwhile. Rows come by COPY, in binary, and
are Arrow before Python sees them.
"""

# ruff: noqa: S608 - names are quoted, expressions checked by `predicates`

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from exportkit.config.phrases import short
from exportkit.engines.databases.cursors import batches_of, open_cursor
from exportkit.engines.databases.postgres_failures import explain, explain_connect
from exportkit.engines.databases.postgres_sql import TITLE, dialect
from exportkit.engines.databases.servers import ServerError, driver
from exportkit.engines.sql import identifier, literal
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from types import ModuleType

    import pyarrow as pa

    from exportkit.engines.databases.dialects import Dialect
    from exportkit.engines.databases.servers import Server
    from exportkit.errors import Location

_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
# What decides how values become text is the same for every account.
_SETTINGS = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmloption": "content",
    "standard_conforming_strings": "on",
}
_PATIENCE = {
    "connect_timeout": "30",
    "keepalives_idle": "60",
    "keepalives_interval": "15",
    "keepalives_count": "4",
    "fallback_application_name": "exportkit",
}
_BATCH_BYTES = 16 * 1024 * 1024
"""Of one batch of rows; a few are in memory at a time. Smaller ones take a tenth longer."""
_LONGEST_NAME = 63
_NAME = re.compile(r'"(?:[^"]|"")+"|[^."]+')
# Beside the kinds of `outcomes`: `padded` is text once it is cast, `bytes` has no text.
_KINDS = {
    "text": "text",
    "varchar": "text",
    "bpchar": "padded",
    "name": "padded",
    "citext": "padded",
    "char": "padded",
    "bool": "boolean",
    "int2": "integer",
    "int4": "integer",
    "int8": "integer",
    "float4": "float",
    "float8": "float",
    "numeric": "numeric",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "interval": "interval",
    "bytea": "bytes",
}
_AS_IT_IS = ("text", "varchar", "bool", "int2", "int4", "int8", "float4", "float8")
_ENGINE_TYPES = {"date": "DATE", "timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMPTZ"}


@dataclass(frozen=True, slots=True)
class Field:
    """A column of an answer: its name, PostgreSQL's type, and how `numeric` was declared."""

    name: str
    type: str
    modifier: int
    nested: bool

    @property
    def kind(self) -> str:
        """What it is to expressions."""
        return _KINDS.get(self.type, "other")

    def as_text(self) -> str:
        """SQL for the column as it travels, for a text to be made of it."""
        column = identifier(self.name)
        if self.type in _AS_IT_IS:
            return column
        if self.nested:
            return f"CAST(to_json({column}) AS TEXT)"
        if self.type == "money":
            return f"CAST(CAST({column} AS NUMERIC) AS TEXT)"
        return f"CAST({column} AS TEXT)"

    def as_value(self) -> tuple[str, str | None]:
        """SQL for the column as it travels, and the engine's type for it where that is not text."""
        if self.type == "numeric":
            return f"CAST({identifier(self.name)} AS TEXT)", self._decimal()
        return self.as_text(), _ENGINE_TYPES.get(self.type)

    def _decimal(self) -> str:
        digits, after = (self.modifier - 4) >> 16, (self.modifier - 4) & 0x7FF
        fits = self.modifier >= 4 and 0 < digits <= 38 and after <= digits
        return f"DECIMAL({digits},{after})" if fits else "DOUBLE"


def load_driver(server: Server, at: Location) -> ModuleType:
    """The driver. Raises SourceError where it is not installed."""
    return driver(
        server, "adbc_driver_postgresql.dbapi", "adbc-driver-postgresql", "postgresql", at
    )


class PostgresqlSession:
    """One transaction on a server. Use it as a context manager; it commits nothing."""

    def __init__(self, server: Server, at: Location) -> None:
        adbc = load_driver(server, at)
        self._server, self._at = server, at
        self._streaming: Any = None
        try:
            self._connection = adbc.connect(_patient(server.url))
        except adbc.Error as error:
            raise explain_connect(error, server.shown_as, at) from None
        try:
            version, encoding, collation = self._begin()
        except BaseException:
            self.close()
            raise
        if encoding == "SQL_ASCII":
            self.close()
            raise SourceError(
                f"{server.shown_as} does not say how its texts are encoded (SQL_ASCII)",
                hint="move it to a database whose encoding is UTF8",
                location=at,
            )
        self.dialect: Dialect = dialect(int(version), collation)

    def _begin(self) -> tuple[str, str, str | None]:
        """Begin; answers version, encoding, and a collation that knows Unicode's case."""
        self._run(_SNAPSHOT)
        set_all = ", ".join(
            f"set_config({literal(name)}, {literal(value)}, false)"
            for name, value in _SETTINGS.items()
        )
        _, *facts = self.row(
            f"SELECT (SELECT count(*) FROM (SELECT {set_all}) AS settings), "
            "current_setting('server_version_num'), current_setting('server_encoding'), "
            "coalesce((SELECT collname::text FROM pg_collation "
            "WHERE collname IN ('pg_c_utf8', 'und-x-icu') ORDER BY collname LIMIT 1), "
            "CASE WHEN lower('\u00c9') = '\u00e9' THEN 'default' END)"
        )
        version, encoding, collation = facts
        return version, encoding, collation

    def close(self) -> None:
        """End the transaction and the connection; a broken one makes no further noise."""
        for step in (self._connection.rollback, self._connection.close):
            with suppress(Exception):
                step()

    def relation(self, table: str | None, query: str | None, at: Location) -> str:
        """The FROM item for a table, `schema.table` and quoted names included, or a query."""
        if table is None:
            return f"(\n{query}\n) AS exportkit_rows"
        parts = [part.strip() for part in _NAME.findall(table)]
        for part in parts:
            if len(part.strip('"').encode()) > _LONGEST_NAME:
                raise SourceError(
                    f"a name has at most {_LONGEST_NAME} bytes in {TITLE}: {short(part)!r} is "
                    "longer",
                    location=at,
                )
        quoted = [part if part.startswith('"') else identifier(part) for part in parts]
        return ".".join(quoted)

    def describe(self, sql: str) -> list[Field]:
        """The columns of a query. It is prepared and not run: no row is read.

        After an error the transaction is a new one, with a snapshot of its own: a source that was
        complained about is asked for more complaints, and then for nothing else.
        """
        try:
            with self._cursor() as cursor:
                schema = cursor.adbc_execute_schema(sql)
        except ServerError:
            self._connection.rollback()
            self._begin()
            raise
        return [_field(each) for each in schema]

    def schema(self, sql: str) -> pa.Schema:
        """The Arrow schema of a query's stream."""
        import pyarrow as pa

        with self._cursor() as cursor:
            schema = cursor.adbc_execute_schema(sql)
        return pa.schema([pa.field(each.name, each.type) for each in schema])

    def row(self, sql: str) -> tuple[Any, ...]:
        """The only row of a query's answer."""
        (row,) = self.rows(sql)
        return row

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a small answer."""
        with self._cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The rows of a query in batches of some megabytes; one after the other in memory."""
        with self._cursor() as cursor:
            cursor.adbc_statement.set_options(
                **{"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)}
            )
            self._streaming = cursor
            cursor.execute(sql)
            try:
                yield from batches_of(cursor)
            except GeneratorExit:  # the rest of the rows would be waited for
                self.cancel()
                raise

    def cancel(self) -> None:
        """End the query that is streaming, from another thread."""
        with suppress(Exception):
            self._streaming.adbc_cancel()

    def tables(self) -> list[str]:
        """The tables and views that this account can name, as one writes them."""
        return [
            row[0]
            for row in self.rows(
                "SELECT CASE WHEN pg_table_is_visible(c.oid) THEN '' ELSE n.nspname || '.' END "
                "|| c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') "
                "AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') "
                "ORDER BY 1 LIMIT 1000"
            )
        ]

    def is_empty(self, relation: str) -> bool:
        """Whether a FROM item has no row."""
        return not self.rows(f"SELECT 1 FROM {relation} LIMIT 1")

    def fingerprint(self, table: str | None) -> str:
        """For a plain table the snapshot itself; for all else a new text each time.

        Two transactions with one snapshot see the same rows: any that wrote between them, in
        whatever database of the server, would show in it. A view may ask for the time, and a
        foreign table is elsewhere.
        """
        if table is not None:
            oid = f"to_regclass({literal(self.relation(table, None, self._at))})"
            kind, snapshot = self.row(
                f"SELECT (SELECT relkind::text FROM pg_class WHERE oid = {oid}), "
                "concat_ws(' ', pg_current_snapshot(), pg_postmaster_start_time(), "
                "current_database(), current_user, inet_server_addr(), inet_server_port())"
            )
            if kind in ("r", "m"):
                return str(snapshot)
        return uuid4().hex

    def _run(self, statement: str) -> None:
        with self._cursor() as cursor:
            cursor.execute(statement)

    def _cursor(self) -> AbstractContextManager[Any]:
        """A cursor; what goes wrong with it comes out explained."""
        return open_cursor(
            self._connection, lambda error: explain(error, self._server.shown_as, self._at)
        )


def _field(field: pa.Field) -> Field:
    import pyarrow as pa

    facts = field.metadata or {}
    name = facts.get(b"POSTGRESQL:type", b"").decode()
    nested = pa.types.is_nested(field.type)
    return Field(field.name, name, int(facts.get(b"POSTGRESQL:typmod", b"-1")), nested)


def _patient(url: str) -> str:
    """The URL for libpq: a server that fell silent is noticed in minutes, not in hours."""
    rest = url.partition("://")[2]
    named = {part.partition("=")[0] for part in rest.partition("?")[2].split("&")}
    added = [f"{name}={value}" for name, value in _PATIENCE.items() if name not in named]
    return f"postgresql://{rest}{'&' if '?' in rest else '?'}{'&'.join(added)}"
