"""A source that is a table or a query of a database server.

Segments and expressions run there, in the database's own SQL and in one read-only snapshot; only
the rows and columns that a job needs travel, as a stream of Arrow batches into the engine.
"""

# ruff: noqa: S608 - names are quoted by the dialect, expressions checked by `predicates`

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from exportkit.config.names import nearest_hint
from exportkit.config.phrases import short
from exportkit.engines import failures, jail
from exportkit.engines.databases.servers import ServerError, find_server
from exportkit.engines.databases.sessions import opener
from exportkit.engines.databases.streams import Stream
from exportkit.engines.databases.unopened import checked_query, misplaced_keys
from exportkit.engines.duckdb import DuckEngine
from exportkit.engines.named import Named
from exportkit.engines.predicates import ExpressionError
from exportkit.engines.queries import inside
from exportkit.engines.readers import no_text
from exportkit.engines.sql import identifier
from exportkit.errors import Complaint, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import duckdb
    import narwhals as nw

    from exportkit.config.source import Source
    from exportkit.engines.databases.sessions import Field, Session
    from exportkit.errors import ExportkitError, Location

_MAKE_FIT = "cast(column as type) makes one fit"
_SHOWN_KINDS = {"padded": "text", "literal": "text", "bytes": "bytes, which are"}
_EVERYONE, _NOBODY = "1 = 1", "1 = 0"  # not every database has TRUE


@contextmanager
def open_database(source: Source, root: Path, spill: Path | None) -> Iterator[OpenDatabase]:
    """Open a server's table or query for reading; see `open_source`, which has found that out."""
    server = find_server(source, root)
    at = source.document.locate(("table",) if source.table else ("query",))
    query = checked_query(source, server.dialect)
    connect = opener(server, source.document.locate(("database",)))
    with (
        TemporaryDirectory(prefix="exportkit-", dir=spill) as scratch,
        _both(connect, Path(scratch)) as (connection, session),
    ):
        relation = session.relation(source.table, query, at)
        opened = OpenDatabase(source, connection, session, relation)
        try:
            yield opened
        finally:
            opened.stop()


@contextmanager
def _both(
    connect: Callable[[], Session], scratch: Path
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Session]]:
    """The engine in its jail, and the session: the server answers while the engine is loaded."""
    with ExitStack() as opened:
        thread = ThreadPoolExecutor(1)
        opened.callback(thread.shutdown, wait=False)  # whoever gives up does not wait for a server
        answering = thread.submit(connect)
        connection = opened.enter_context(closing(jail.open_connection(scratch)))
        session = opened.enter_context(closing(answering.result()))
        jail.close_jail(connection, [])
        yield connection, session


class OpenDatabase:
    """An open table or query: the same to the stages as an `OpenSource`.

    `connection` is the jailed engine connection that the frames live on.
    """

    def __init__(
        self, source: Source, connection: duckdb.DuckDBPyConnection, session: Session, relation: str
    ) -> None:
        self.source = source
        self.connection = connection
        self._session = session
        self._relation = relation
        self._dialect = session.dialect
        self._at = source.document.locate(("table",) if source.table else ("query",))
        self._opened_at = datetime.now(UTC)
        fields = self._described()
        self.names = tuple(field.name for field in fields)
        self._named = Named(source, self.names)
        self._fields = {field.name: field for field in fields}
        self._kinds = {field.name: field.kind for field in fields}
        self._fingerprint = session.fingerprint(source.table)
        self._failure: ExportkitError | None = None
        self._streams: list[Stream] = []

    def stop(self) -> None:
        """Read no further, whatever frame is half computed."""
        for stream in self._streams:
            stream.stop()

    @property
    def columns(self) -> Mapping[str, str]:
        """Column name to the database's own name for its type, in order."""
        return {name: field.type for name, field in self._fields.items()}

    @cached_property
    def engine(self) -> DuckEngine:
        """Where the frames of this source live."""
        return DuckEngine(lambda: self.connection, self.explain)

    @property
    def is_empty(self) -> bool:
        """True for a table without a single row."""
        return self._session.is_empty(self._relation)

    @property
    def modified_at(self) -> datetime:
        """When the snapshot was taken, in UTC: a server does not say when its rows were written."""
        return self._opened_at

    def fingerprint(self) -> str:
        """A digest that is the same only where the rows are: mostly a new one each time."""
        import hashlib

        return hashlib.sha256(self._fingerprint.encode()).hexdigest()

    def complaints(self) -> list[Complaint]:
        """What is wrong with the source's key and segments, given its real columns."""
        found = misplaced_keys(self.source)
        found += self._named.unknown(self.source.key, self.source.document.locate(("key",)))
        for segment in self.source.segments:
            if segment.where is not None:
                at = self.source.document.locate(("segments", segment.name, "where"))
                found += self.check(segment.where, at, condition=True)
        return found

    def check(self, sql: str, at: Location, *, condition: bool = False) -> list[Complaint]:
        """What is wrong with one SQL expression that stands `at` some place in a file.

        The database prepares it and runs nothing, so a value may still not fit.
        """
        try:
            expression = self._expression(sql)
            kind = self._dialect.kind(sql, self.names, self._kinds)
            if condition and kind not in ("boolean", "other"):
                message = f"this is {_SHOWN_KINDS.get(kind, kind)}, not true or false"
                return [Complaint(message, at, "compare it with something: newsletter = 'yes'")]
            where = f" WHERE {expression}" if condition else ""
            self._session.describe(f"SELECT {expression} AS it FROM {self._relation}{where}")
        except ExpressionError as error:
            hint = nearest_hint(error.name, error.known) if error.name else error.hint
            return [Complaint(error.message, inside(at, sql, error.offset), hint)]
        except ServerError as error:
            if error.reason == "types":
                message = "the types of the columns do not fit this expression"
                return [Complaint(message, at, _MAKE_FIT)]
            if error.reason == "value":
                return [Complaint("a value cannot be read as this expression asks", at, error.hint)]
            raise
        return []

    def count(self, names: Sequence[str]) -> dict[str, int]:
        """How many rows each of the segments has: the database counts, in one pass."""
        if not names:
            return {}
        cases = [
            f"COUNT(CASE WHEN {self._condition(name)} THEN 1 END) AS {self._quoted(f'n{n}')}"
            for n, name in enumerate(names)
        ]
        counts = self._session.row(f"SELECT {', '.join(cases)} FROM {self._relation}")
        return dict(zip(names, map(int, counts), strict=True))

    def select(
        self,
        *,
        texts: Mapping[str, str] | None = None,
        expressions: Mapping[str, str] | None = None,
        values: Mapping[str, str] | None = None,
        segments: Sequence[str] = (),
        flags: Mapping[str, Sequence[str]] | None = None,
    ) -> nw.LazyFrame[Any]:
        """A lazy frame of the rows that are in any of the segments; see `OpenSource.select`.

        The rows come when the frame is computed. Each computing asks the database again, within
        the same snapshot.
        """
        import narwhals as nw

        items = {alias: (self._column(name), "text") for alias, name in (texts or {}).items()}
        items |= {a: (self._expression(sql), "text") for a, sql in (expressions or {}).items()}
        items |= {alias: (self._column(name), "value") for alias, name in (values or {}).items()}
        items |= {alias: (self._flag(names), "flag") for alias, names in (flags or {}).items()}
        # What is asked for twice, as a field and as the source's key, travels once.
        columns = list(dict.fromkeys(items.values()))
        sql = ", ".join(f"{sql} AS {self._alias(n)}" for n, (sql, _) in enumerate(columns))
        wanted = self._any(segments)
        where = "" if wanted is None else f" WHERE {wanted}"
        inner = f"SELECT {sql or '1'} FROM {self._relation}{where}"
        places = {alias: columns.index(item) for alias, item in items.items()}
        return nw.from_native(self._streamed(inner, places, [role for _, role in columns])).lazy()

    def explain(self, error: duckdb.Error) -> ExportkitError:
        """What went wrong while a frame was computed: with the database, or with the engine."""
        return self._failure or failures.rewrite(error, [], self._shown)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Compute frames of this source inside of it: errors of the engine come out explained."""
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            raise self.explain(error) from None

    def _streamed(
        self, inner: str, places: Mapping[str, int], roles: Sequence[str]
    ) -> duckdb.DuckDBPyRelation:
        """The rows of a query as they travel, made into what they are in the engine.

        `roles` tells for each of its columns what it is for: text, value or flag; `places` which
        of them has which name in the frame.
        """
        travelling, arriving = [], []
        for n, (role, field) in enumerate(zip(roles, self._session.describe(inner), strict=True)):
            if field.kind == "bytes":
                name = next(name for name, place in places.items() if place == n)
                raise no_text(name, f"bytes ({field.type})")
            kind = "VARCHAR" if role == "text" else "BOOLEAN" if role == "flag" else None
            sql = field.as_text()
            if role == "value":
                sql, kind = field.as_value()
            travelling.append(f"{sql} AS {self._alias(n)}")
            arriving.append(f"TRY_CAST(c{n} AS {kind})" if kind else f"c{n}")
        outer = f"SELECT {', '.join(travelling)} FROM (\n{inner}\n) AS exportkit_selected"
        stream = Stream(self._session, outer, self._note)
        self._streams.append(stream)
        named = [f"{arriving[place]} AS {identifier(name)}" for name, place in places.items()]
        with self.explained():
            return self.connection.from_arrow(stream).project(", ".join(named))

    def _note(self, failure: ExportkitError) -> None:
        self._failure = failure

    @property
    def _shown(self) -> str:
        return f"source {self.source.name}"

    def _described(self) -> Sequence[Field]:
        what = "table" if self.source.table else "query"
        try:
            fields = self._session.describe(f"SELECT * FROM {self._relation}")
        except ServerError as error:
            hint, table = error.hint, self.source.table
            if error.reason in ("name", "types") and table:
                known = self._session.tables()
                if known and table not in known:
                    hint = nearest_hint(table, known)
            raise ServerError(error.message, error.reason, hint=hint, location=self._at) from None
        names = [field.name for field in fields]
        for n, name in enumerate(names):
            if name.lower() in (each.lower() for each in names[:n]):
                raise SourceError(
                    f"the {what} has two columns {short(name)!r}",
                    hint="name each once in a query: select a.id, b.id as other_id …",
                    location=self._at,
                )
        return fields

    def _any(self, names: Sequence[str]) -> str | None:
        """The condition for being in one of the segments; None where that is everyone."""
        conditions = [self._condition(name) for name in names]
        if _EVERYONE in conditions:
            return None
        return f"({' OR '.join(conditions)})" if conditions else _NOBODY

    def _flag(self, names: Sequence[str]) -> str:
        wanted = self._any(names)
        return f"CASE WHEN {wanted or _EVERYONE} THEN 1 ELSE 0 END"

    def _condition(self, name: str) -> str:
        segment = self._named.segment(name)
        if segment.where is None:
            return _EVERYONE
        at = self.source.document.locate(("segments", name, "where"))
        try:
            return f"({self._expression(segment.where)})"
        except ExpressionError as error:
            hint = nearest_hint(error.name, error.known) if error.name else error.hint
            raise SourceError(error.message, hint=hint, location=at) from None

    def _expression(self, sql: str) -> str:
        return self._dialect.expression(sql, self.names, self._kinds)

    def _column(self, name: str) -> str:
        return self._quoted(self._named.real(name))

    def _quoted(self, name: str) -> str:
        return self._dialect.quoted(name)

    def _alias(self, number: int) -> str:
        return self._quoted(f"c{number}")
