"""Opening a source: its own engine connection, in a jail that shows the source and nothing else.

    with open_source(source, workspace.root, spill=folder) as opened:
        complaints = opened.complaints()
        frame = opened.select(texts={"email": "email"}, segments=["vip"])

SQL that users wrote meets two walls: `predicates` lets single expressions over the columns pass,
and the `jail` holds whatever gets past it.
"""

# ruff: noqa: S608 - names and values are quoted by `sql`, expressions checked by `predicates`

from __future__ import annotations

import os
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from exportkit.config.references import resolve
from exportkit.engines import failures, jail
from exportkit.engines.databases.servers import is_server
from exportkit.engines.databases.source import open_database
from exportkit.engines.duckdb import DuckEngine
from exportkit.engines.queries import Query
from exportkit.engines.stores import store as stores
from exportkit.engines.stores.arrivals import Wanted, arrival_of
from exportkit.errors import ExportkitError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import duckdb
    import narwhals as nw

    from exportkit.config.source import Source
    from exportkit.engines.databases.source import OpenDatabase
    from exportkit.engines.files.file import SourceFile
    from exportkit.engines.readers import Table
    from exportkit.engines.spark.source import OpenSparkSource
    from exportkit.engines.stores.arrivals import Arrival
    from exportkit.errors import Complaint, Location


@contextmanager
def open_source(
    source: Source, root: Path, *, output: Path | None = None, spill: Path | None = None
) -> Iterator[OpenSource | OpenDatabase | OpenSparkSource]:
    """Open a source for reading.

    `root` is the workspace, where relative paths start; `output` the one file that the connection
    may write; `spill` an existing private folder for temporary files (the system's own without
    it). Raises SourceError if the source is missing, broken, or of a kind that is not read here,
    JournalError if there is no room for temporary files.
    """
    if is_server(source, root):
        with open_database(source, root, spill) as database:
            yield database
        return
    source = _resolved(source, root)
    if source.spark:
        from exportkit.engines.spark.source import open_spark

        with open_spark(source) as there:
            yield there
        return
    with ExitStack() as stack:
        try:
            scratch = Path(stack.enter_context(TemporaryDirectory(prefix="exportkit-", dir=spill)))
            arrival = arrival_of(source, root, scratch)
            connection = stack.enter_context(closing(jail.open_connection(scratch)))
            with failures.rewritten(arrival.files, _shown(source)):
                prepared = arrival.look(connection)
                seen = [file.path for file in prepared.files]
                allowed = [*seen, *([output] if output else [])]
                jail.close_jail(connection, allowed, arrival.folders)
                table = prepared.table(connection)
        except OSError as error:
            raise failures.unwritable("temporary files of the source", error) from error
        yield OpenSource(source, connection, table, arrival, prepared.files)


def _resolved(source: Source, root: Path) -> Source:
    """The source with `${...}` replaced in what says where it is."""
    found = {
        key: resolve(getattr(source, key), source.document, (key,), root=root)
        for key in ("file", "database", "spark", "spark_state", "table", "query")
    }
    return replace(source, **found)


class OpenSource:
    """A source that is open: its columns, its segments, its rows as lazy frames.

    `connection` is the jailed engine connection that the frames live on.
    """

    def __init__(
        self,
        source: Source,
        connection: duckdb.DuckDBPyConnection,
        table: Table,
        arrival: Arrival,
        read: Sequence[SourceFile],
    ) -> None:
        self.source = source
        self.connection = connection
        self._table = table
        self._query = Query(source, table)
        self._arrival = arrival
        self._read = tuple(read)

    @cached_property
    def engine(self) -> DuckEngine:
        """Where the frames of this source live."""
        return DuckEngine(lambda: self.connection, self.explain)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order; unlike `columns` this never looks at a row."""
        return self._table.names

    @property
    def columns(self) -> Mapping[str, str]:
        """Column name to the SQL type that predicates see, in order."""
        with self.explained():
            return {name: self._table.types[name] for name in self._table.names}

    @property
    def is_empty(self) -> bool:
        """True for a source without a single row: a header alone, an empty table."""
        with self.explained():
            if self._table.known_empty is not None:
                return self._table.known_empty
            self._table.fill()
            sql = f"SELECT 1 FROM {self._table.scan} LIMIT 1"
            return not self.connection.execute(sql).fetchall()

    @property
    def modified_at(self) -> datetime | None:
        """When the newest of the source's files was last written, in UTC; None if nobody says."""
        written = [version.modified_ns for version in self._arrival.versions]
        known = [moment for moment in written if moment is not None]
        if len(known) < len(written):
            return None
        return datetime.fromtimestamp(max(known) / 1_000_000_000, tz=UTC)

    def fingerprint(self) -> str:
        """A digest that changes when the source's files do: their names, sizes, times and marks.

        It is cheap and reads no row, so it does not notice a file that was rewritten to the same
        size within the resolution of the file system's clock, or whose time was set back.
        """
        import hashlib

        digest = hashlib.sha256()
        for version in self._arrival.versions:
            digest.update(bytes(version))
        return digest.hexdigest()

    def complaints(self) -> list[Complaint]:
        """What is wrong with the source's key, `types:` and segments, given its real columns.

        Raises SourceError if the first rows cannot be read.
        """
        locate = self.source.document.locate
        found = self._query.named.unknown(self.source.key, locate(("key",)))
        for name in self.source.types:
            found += self._query.named.unknown(name, locate(("types", name), key=True))
        for segment in self.source.segments:
            if segment.where is not None:
                at = locate(("segments", segment.name, "where"))
                found += self.check(segment.where, at, condition=True)
        return found

    def check(self, sql: str, at: Location, *, condition: bool = False) -> list[Complaint]:
        """What is wrong with one SQL expression that stands `at` some place in a file.

        With `condition=True` it has to be true or false for each row. It is tried on the first
        rows, so a value further on may still not fit.
        """
        with self.explained():
            self._table.fill()
            found = self._query.unreadable(sql, at)
            if found:
                return found
            found = self._query.badly_typed(self.connection, sql, at, condition=condition)
            return [] if found and self._is_untyped() else found

    def count(self, names: Sequence[str]) -> dict[str, int]:
        """How many rows each of the segments has, in one pass over the data."""
        if not names:
            return {}
        import duckdb

        with self.explained():
            self._fill(self._query.needed({}, {}, {}, names), names)
            sql = self._query.counts(names)
            try:
                (counts,) = self.connection.execute(sql).fetchall()
            except duckdb.BinderException:
                if not self._is_untyped():
                    raise
                counts = (0,) * len(names)
        return dict(zip(names, counts, strict=True))

    def select(
        self,
        *,
        texts: Mapping[str, str] | None = None,
        expressions: Mapping[str, str] | None = None,
        values: Mapping[str, str] | None = None,
        segments: Sequence[str] = (),
        flags: Mapping[str, Sequence[str]] | None = None,
    ) -> nw.LazyFrame[Any]:
        """A lazy frame of the rows that are in any of the segments; a row in two comes once.

        `texts` are columns as text; `expressions` SQL over the typed columns, as text; `values`
        columns in their own type; `flags` booleans, "in any of these segments". All are keyed by
        the name in the frame and come in this order. Raises SourceError for unknown names, and
        for columns that cannot be text. What goes wrong when the frame is computed is an error of
        the engine: compute it inside of `explained`, or `explain` the error.
        """
        import duckdb
        import narwhals as nw

        texts, expressions, values, flags = (
            texts or {},
            expressions or {},
            values or {},
            flags or {},
        )
        named = {*segments, *(name for names in flags.values() for name in names)}
        with self.explained():
            self._fill(self._query.needed(texts, expressions, values, named), segments)
            sql = self._query.selection(texts, expressions, values, segments, flags)
            try:
                found = self.connection.sql(sql)
            except duckdb.BinderException:
                if not self._is_untyped():
                    raise
                nothing = self._query.nothing([*texts, *expressions], values, flags)
                found = self.connection.sql(nothing)
            return nw.from_native(found).lazy()

    def _fill(self, columns: Collection[str], segments: Sequence[str]) -> None:
        """Have the rows of these segments here, as far as these columns go."""
        chosen = map(self.source.segment, segments)
        conditions = [segment.where or "" for segment in chosen if segment is not None]
        known = conditions if all(conditions) else ()
        wanted = Wanted(columns, known, lambda: self._table.types)
        try:
            prepared = self._arrival.land(self.connection, wanted)
        except OSError as error:
            raise failures.unwritable("files of the source", error) from error
        if prepared:
            self._read = tuple(prepared.files)
            self._table = prepared.table(self.connection)
            self._query = Query(self.source, self._table)
        self._table.fill()

    def _is_untyped(self) -> bool:
        """Whether there are no rows that types could be inferred from: nothing can misfit them."""
        return self._table.is_text and self.is_empty

    def write(self, frame: nw.LazyFrame[Any], path: Path) -> None:
        """Write a frame of this source as Parquet, mode 0600 from the start.

        `path` is the `output` that the source was opened with. Raises SourceError if a row cannot
        be read, JournalError if the disk is full; then there is no file.
        """
        path.unlink(missing_ok=True)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
            with self.explained():
                # Without a temporary file: it would be outside of the jail, and not private.
                frame.to_native().write_parquet(str(path), compression="lz4", use_tmp_file=False)
        except OSError as error:
            raise failures.unwritable(path.name, error) from error
        except ExportkitError:
            path.unlink(missing_ok=True)
            raise

    def explain(self, error: duckdb.Error) -> ExportkitError:
        """An engine error, met while a frame was computed, without any value that it quotes."""
        return failures.rewrite(error, self._read, _shown(self.source))

    def explained(self) -> AbstractContextManager[None]:
        """Compute frames of this source inside of it: errors of the engine come out explained."""
        return failures.rewritten(self._read, _shown(self.source))


def _shown(source: Source) -> str:
    return stores.shown(source.file) if source.file else f"source {source.name}"
