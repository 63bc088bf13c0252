"""What a connection to a database server has to be able to, and which one reads which server."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from exportkit.engines.databases.servers import ADBC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from exportkit.engines.databases.dialects import Dialect
    from exportkit.engines.databases.servers import Server
    from exportkit.errors import Location


class Field(Protocol):
    """A column of a query's answer."""

    @property
    def name(self) -> str:
        """As the query names it."""

    @property
    def type(self) -> str:
        """The database's own name for its type."""

    @property
    def kind(self) -> str:
        """What it is to expressions, see `outcomes`; or `bytes`, which has no text."""

    def as_text(self) -> str:
        """SQL for the column as it travels, for a text to be made of it in the engine."""

    def as_value(self) -> tuple[str, str | None]:
        """SQL for the column as it travels to be compared, and what the engine makes of it."""


class Session(Protocol):
    """One read-only transaction on a server. What fails in it is a ServerError."""

    @property
    def dialect(self) -> Dialect:
        """How this server is told things."""

    def relation(self, table: str | None, query: str | None, at: Location) -> str:
        """The FROM item for a table, or for a query that `statements` let pass."""

    def describe(self, sql: str) -> Sequence[Field]:
        """The columns of a query, of which no row is read."""

    def schema(self, sql: str) -> pa.Schema:
        """The Arrow schema of what `stream` answers."""

    def row(self, sql: str) -> Sequence[Any]:
        """The only row of an answer."""

    def is_empty(self, relation: str) -> bool:
        """Whether a FROM item has no row."""

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The rows of a query, batch by batch: never all of them in memory."""

    def cancel(self) -> None:
        """End the query that is running, from another thread, where the driver can."""

    def tables(self) -> Sequence[str]:
        """The names that a table could have been meant by; few, or none where nobody knows."""

    def fingerprint(self, table: str | None) -> str:
        """A text that is the same only while the rows of a table are; else a new one."""

    def close(self) -> None:
        """End the transaction and the connection. It may be called twice, and never raises."""


def opener(server: Server, at: Location) -> Callable[[], Session]:
    """What connects, on any thread: it raises SourceError where the server does not answer.

    What it takes is loaded then. Raises SourceError where a driver is missing.
    """
    if server.scheme in ("postgresql", "postgres"):
        from exportkit.engines.databases.postgresql import PostgresqlSession, load_driver

        load_driver(server, at)
        return partial(PostgresqlSession, server, at)
    if server.scheme.startswith(ADBC):
        from exportkit.engines.databases.adbc import AdbcSession

        return partial(AdbcSession, server, at)
    from exportkit.engines.databases.alchemy import AlchemySession

    return partial(AlchemySession, server, at)
