"""A session over SQLAlchemy: any database that has a dialect for it, read by a server-side cursor.

Every column travels as the text that the database makes of it. Rows come in parts of some
thousand, and pyarrow makes columns of a part at once.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from exportkit.engines.databases import bigquery_urls, wording
from exportkit.engines.databases.alchemy_failures import explain, failures_of
from exportkit.engines.databases.alchemy_kinds import kind_of_column
from exportkit.engines.databases.beginnings import beginnings, spoken
from exportkit.engines.databases.servers import ServerError, needing
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from sqlalchemy import URL, Connection, CursorResult, Engine

    from exportkit.engines.databases.dialects import Dialect
    from exportkit.engines.databases.servers import Server
    from exportkit.errors import Location

_PART = 10_000
# Where a URL names no driver: the one that the extra installs. Package, extra.
_DRIVERS = {
    "mysql": ("mysql+pymysql", "pymysql", "mysql"),
    "mariadb": ("mariadb+pymysql", "pymysql", "mysql"),
    "mssql": ("mssql+pyodbc", "pyodbc", ""),
    "oracle": ("oracle+oracledb", "oracledb", ""),
    "snowflake": ("snowflake", "snowflake-sqlalchemy", "snowflake"),
    "bigquery": ("bigquery", "sqlalchemy-bigquery", "bigquery"),
}
# Options that a dialect takes from a program and not from a URL; some are paths.
_BESIDE = {"snowflake": ("host", "protocol", "private_key_file", "token_file_path")}
_PATHS = ("private_key_file", "token_file_path")
# What decides how values become text is the same for every account.
_SESSION = {"snowflake": {"TIMEZONE": "UTC", "DATE_OUTPUT_FORMAT": "YYYY-MM-DD"}}


@dataclass(frozen=True, slots=True)
class Field:
    """A column of an answer. `written` is SQL for its text."""

    name: str
    type: str
    kind: str
    written: str

    def as_text(self) -> str:
        """SQL for the column as it travels: always text."""
        return self.written

    def as_value(self) -> tuple[str, str | None]:
        """The same, and what the engine makes of it to compare."""
        kinds = {"integer": "BIGINT", "numeric": "DOUBLE", "float": "DOUBLE"}
        kinds |= {"date": "DATE", "timestamp": "TIMESTAMP"}
        kinds |= {"boolean": "BIGINT" if self.type == "tinyint" else "BOOLEAN"}
        return self.written, kinds.get(self.kind)


class AlchemySession:
    """One transaction, read-only where the database has such. It commits nothing."""

    def __init__(self, server: Server, at: Location) -> None:
        self._server, self._at = server, at
        self._connection: Connection | None = None
        self._engine = _engine(server, at)
        self._failures = failures_of(server.scheme)
        with self._explained():
            self._connection = self._engine.connect().execution_options(no_parameters=True)
        try:
            for statement in beginnings(server.scheme):
                self._run(statement).close()
            self.dialect: Dialect = spoken(server.scheme, self.row)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection, without reading what is still to come."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.invalidate()
            with suppress(Exception):
                connection.close()
        with suppress(Exception):
            self._engine.dispose()

    def relation(self, table: str | None, query: str | None, at: Location) -> str:
        """The FROM item for a table, with its schema, or a query."""
        return wording.relation(self.dialect, table, query, at)

    def describe(self, sql: str) -> Sequence[Field]:
        """The columns of a query, by the driver's description of an answer without rows."""
        with self._explained():
            result = self._run(wording.without_rows(self.dialect, sql))
            fields = [self._field(result, n, column) for n, column in enumerate(_columns(result))]
            result.close()
        return fields

    def schema(self, sql: str) -> pa.Schema:
        """All text."""
        import pyarrow as pa

        return pa.schema([pa.field(field.name, pa.string()) for field in self.describe(sql)])

    def row(self, sql: str) -> Sequence[Any]:
        """The only row of an answer."""
        with self._explained():
            return tuple(self._run(sql).one())

    def is_empty(self, relation: str) -> bool:
        """Whether a FROM item has no row."""
        with self._explained():
            return not self._run(wording.one_row(self.dialect, relation)).all()

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The rows of a query, a part at a time."""
        import pyarrow as pa

        names = [field.name for field in self.describe(sql)]
        with self._explained():
            result = self._run(sql, stream_results=True, max_row_buffer=_PART)
            cursor = result.cursor
            try:
                for rows in result.partitions(_PART):
                    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
                    yield pa.RecordBatch.from_arrays(columns, names)
            except BaseException:
                _abandon(cursor)
                self.close()
                raise

    def cancel(self) -> None:
        """There is no such thing that all drivers have."""

    def tables(self) -> Sequence[str]:
        """The tables and views of the default schema."""
        import sqlalchemy

        if self._connection is None:
            return []
        with suppress(*self._failures):
            look, dialect = sqlalchemy.inspect(self._engine), self._engine.dialect
            names = [*look.get_table_names(), *look.get_view_names()]
            if dialect.requires_name_normalize:  # it shows in small letters what is in capitals
                names = [str(dialect.denormalize_name(name)) for name in names]
            return sorted(names)
        return []

    def fingerprint(self, table: str | None) -> str:  # noqa: ARG002 - none says what changed
        """Another one each time."""
        return uuid4().hex

    def _run(self, sql: str, **options: Any) -> CursorResult[Any]:
        if self._connection is None:
            raise ServerError(
                "the rows were read and the transaction is over", "other", location=self._at
            )
        if self._engine.dialect.name == "bigquery":
            sql = sql.replace("%", "%%")  # its driver makes one of two, parameters or not
        return self._connection.execution_options(**options).exec_driver_sql(sql)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._failures as error:
            raise explain(error, self._server, self._at) from None

    def _field(self, result: CursorResult[Any], place: int, column: Sequence[Any]) -> Field:
        name, code = str(column[0]), column[1]
        kind, shown = kind_of_column(self._engine.dialect, result.cursor, place, code)
        return Field(name, shown, kind, wording.as_text(self.dialect, name, kind, shown))


def _engine(server: Server, at: Location) -> Engine:
    scheme = server.scheme
    driver, package, extra = _DRIVERS.get(
        scheme, (scheme, f"a SQLAlchemy dialect for {scheme}", "")
    )
    with needing(server, "sqlalchemy", extra or "sqlalchemy", at):
        import sqlalchemy
    try:
        url = sqlalchemy.make_url(driver + "://" + server.url.partition("://")[2])
        beside = _beside(server, url)
        with needing(server, package, extra, at), bigquery_urls.signed(url, server, at) as own:
            return sqlalchemy.create_engine(
                own.difference_update_query(beside),
                connect_args=beside | _session(url) | bigquery_urls.quietly(server),
                poolclass=sqlalchemy.NullPool,
            )
    except sqlalchemy.exc.NoSuchModuleError:
        raise SourceError(
            f"{scheme}:// needs {package}, which is not installed",
            hint=f"pip install 'exportkit[{extra}]'" if extra else "install it beside exportkit",
            location=at,
        ) from None
    except (sqlalchemy.exc.ArgumentError, ValueError, TypeError):
        raise SourceError("this is not the URL of a database", location=at) from None


def _beside(server: Server, url: URL) -> dict[str, str]:
    """Options of the URL that a dialect is to be handed beside it. Paths begin at the workspace."""
    found = {name: str(url.query.get(name, "")) for name in _BESIDE.get(url.get_backend_name(), ())}
    return {
        name: str(server.root / value) if name in _PATHS else value
        for name, value in found.items()
        if value
    }


def _session(url: URL) -> dict[str, dict[str, str]]:
    """A new one each time: there is a driver that writes into what it is given."""
    settings = _SESSION.get(url.get_backend_name())
    return {"session_parameters": dict(settings)} if settings else {}


def _abandon(cursor: Any) -> None:
    """Let go of rows that are still to come: pymysql would read them all before it closes."""
    unread: Any = getattr(cursor, "_result", None)
    if hasattr(unread, "unbuffered_active"):
        unread.unbuffered_active = False
        cursor.connection = None


def _columns(result: CursorResult[Any]) -> Sequence[Sequence[Any]]:
    return list(getattr(result.cursor, "description", None) or ())
