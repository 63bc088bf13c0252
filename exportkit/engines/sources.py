"""Opening a source: its own engine connection, in a jail that shows the source and nothing else.

    with open_source(source, workspace.root, spill=folder) as opened:
        complaints = opened.complaints()
        frame = opened.select(texts={"email": "email"}, segments=["vip"])

The connection may read the source's files and write its one output and its temporary files. That
holds whatever SQL runs on it; `predicates` is the first wall, this is the second.
"""

# ruff: noqa: S608 - names and values are quoted by `sql`, expressions checked by `predicates`

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exportkit.engines import failures, formats
from exportkit.engines.located import find_files
from exportkit.engines.predicates import ExpressionError, check_expression
from exportkit.engines.readers import Table, describe
from exportkit.engines.sql import identifier, text_list
from exportkit.errors import Complaint, ExportkitError, Location, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb
    import narwhals as nw

    from exportkit.config.source import Segment, Source
    from exportkit.engines.files import SourceFile

MEMORY_LIMIT = "700MB"
"""What the engine keeps in memory before it spills; with Arrow and Python beside it, under 1 GB."""
_TEXT = "exportkit.text."


@contextmanager
def open_source(
    source: Source, root: Path, *, output: Path | None = None, spill: Path | None = None
) -> Iterator[OpenSource]:
    """Open a source for reading.

    `root` is the workspace, where relative paths start; `output` the one file that the connection
    may write; `spill` a private folder for temporary files (without it, one of its own that goes
    away at the end). Raises SourceError if the source is missing, broken or not readable here.
    """
    import tempfile

    import duckdb

    files = find_files(source, root)
    with tempfile.TemporaryDirectory(prefix="exportkit-", dir=spill) as scratch:
        connection = duckdb.connect(config=_settings(Path(scratch)))
        try:
            with failures.rewritten(files, _shown(source)):
                connection.execute("SET TimeZone = 'UTC'")
                prepared = formats.prepare(connection, source, files, Path(scratch))
                _lock(connection, [file.path for file in prepared.files], output)
                table = prepared.table(connection)
            yield OpenSource(source, connection, table, files, prepared.files)
        finally:
            connection.close()


def _settings(scratch: Path) -> dict[str, Any]:
    return {
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": str(scratch),
        "preserve_insertion_order": True,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "python_enable_replacements": False,
    }


def _lock(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], output: Path | None
) -> None:
    """Close the jail: from here on no other file, no extension, no setting."""
    allowed = [*map(str, paths), *([str(output)] if output else [])]
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"SET allowed_paths = {text_list(allowed)}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _shown(source: Source) -> str:
    return source.file or f"source {source.name}"


class OpenSource:
    """A source that is open: its columns, its segments, its rows as lazy frames.

    `connection` is the jailed engine connection that the frames live on.
    """

    def __init__(
        self,
        source: Source,
        connection: duckdb.DuckDBPyConnection,
        table: Table,
        files: Sequence[SourceFile],
        read: Sequence[SourceFile],
    ) -> None:
        self.source = source
        self.connection = connection
        self._table = table
        self._files = tuple(files)
        self._read = tuple(read)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order; unlike `columns` this never looks at a row."""
        return self._table.names

    @property
    def columns(self) -> Mapping[str, str]:
        """Column name to the SQL type that predicates see, in order."""
        with self._rewritten():
            return {name: self._table.types[name] for name in self._table.names}

    @property
    def is_empty(self) -> bool:
        """True for a source without a single row: a header alone, an empty table."""
        with self._rewritten():
            scan = self._table.scan
            return not self.connection.execute(f"SELECT 1 FROM {scan} LIMIT 1").fetchall()

    @property
    def modified_at(self) -> datetime:
        """When the newest of the source's files was last written, in UTC."""
        newest = max(file.modified_ns for file in self._files)
        return datetime.fromtimestamp(newest / 1_000_000_000, tz=UTC)

    def fingerprint(self) -> str:
        """A digest that changes when the source's files do: their names, sizes and times.

        It is cheap and reads no row, so it does not notice a file that was rewritten to the same
        size within the resolution of the file system's clock, or whose time was set back.
        """
        import hashlib

        digest = hashlib.sha256()
        for file in self._files:
            digest.update(f"{file.shown_as}\0{file.size}\0{file.modified_ns}\0".encode())
        return digest.hexdigest()

    def complaints(self) -> list[Complaint]:
        """What is wrong with the source's key, `types:` and segments, given its real columns."""
        found = [*self._unknown("key", self.source.key)]
        for name in self.source.types:
            found += self._unknown("types", name)
        for segment in self.source.segments:
            if segment.where is not None:
                at = self.source.document.locate(("segments", segment.name, "where"))
                found += self.check(segment.where, at, condition=True)
        return found

    def check(self, sql: str, at: Location, *, condition: bool = False) -> list[Complaint]:
        """What is wrong with one SQL expression that stands `at` some place in a file.

        With `condition=True` it has to be true or false for each row.
        """
        from exportkit.config.schemas import nearest_hint

        try:
            checked = check_expression(sql, self.names)
        except ExpressionError as error:
            hint = nearest_hint(error.name, error.known) if error.name else error.hint
            return [Complaint(error.message, _inside(at, sql, error.offset), hint)]
        return self._badly_typed(checked, at, condition=condition)

    def count(self, names: Sequence[str]) -> dict[str, int]:
        """How many rows each of the segments has, in one pass over the data."""
        if not names:
            return {}
        counts = [
            f"count(*) FILTER (WHERE {self._condition(self._segment(name))})" for name in names
        ]
        with self._rewritten():
            sql = f"SELECT {', '.join(counts)} FROM {self._rows({}, typed=True)}"
            row = self.connection.execute(sql).fetchall()[0]
        return dict(zip(names, row, strict=True))

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
        the name in the frame and come in this order. Raises SourceError for unknown names.
        """
        import narwhals as nw

        texts, expressions = texts or {}, expressions or {}
        values, flags = values or {}, flags or {}
        raw = {column: f"{_TEXT}{n}" for n, column in enumerate(dict.fromkeys(texts.values()))}
        outputs = [(alias, identifier(raw[column])) for alias, column in texts.items()]
        outputs += [
            (alias, f"CAST(({self._expression(sql)}) AS VARCHAR)")
            for alias, sql in expressions.items()
        ]
        outputs += [(alias, identifier(self._real(column))) for alias, column in values.items()]
        outputs += [
            (alias, f"coalesce({self._any(names)}, false)") for alias, names in flags.items()
        ]
        wanted = self._any(segments)
        typed = bool(expressions or values) or wanted != "true" or bool(flags)
        items = ", ".join(f"{sql} AS {identifier(alias)}" for alias, sql in outputs)
        where = "" if wanted == "true" else f" WHERE {wanted}"
        with self._rewritten():
            rows = self._rows(raw, typed=typed)
            relation = self.connection.sql(f"SELECT {items} FROM {rows}{where}")
        return nw.from_native(relation).lazy()

    def write(self, frame: nw.LazyFrame[Any], path: Path) -> None:
        """Write a frame of this source as Parquet, mode 0600 from the start.

        `path` is the `output` that the source was opened with. Raises SourceError if a row cannot
        be read, JournalError if the disk is full; the file is gone then.
        """
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        path.chmod(0o600)
        try:
            with self._rewritten():
                # Without a temporary file: it would not be in the jail, nor private.
                frame.to_native().write_parquet(str(path), compression="lz4", use_tmp_file=False)
        except ExportkitError:
            path.unlink(missing_ok=True)
            raise

    def explain(self, error: duckdb.Error) -> ExportkitError:
        """An engine error, met while a frame was computed, without any value that it quotes."""
        return failures.rewrite(error, self._read, _shown(self.source))

    def _rewritten(self) -> Any:
        return failures.rewritten(self._read, _shown(self.source))

    def _rows(self, raw: Mapping[str, str], *, typed: bool) -> str:
        """The FROM item: typed columns under their own names, texts beside them."""
        items = [f"{self._table.typed(n)} AS {identifier(n)}" for n in self.names] if typed else []
        items += [
            f"{self._table.text(self._real(column))} AS {identifier(alias)}"
            for column, alias in raw.items()
        ]
        return f"(SELECT {', '.join(items)} FROM {self._table.scan})"

    def _real(self, column: str) -> str:
        from exportkit.config.schemas import nearest_hint

        if column in self.names:
            return column
        found = [name for name in self.names if name.lower() == column.lower()]
        if not found:
            raise SourceError(
                f"source {self.source.name!r} has no column {column!r}",
                hint=nearest_hint(column, self.names),
            )
        return found[0]

    def _segment(self, name: str) -> Segment:
        from exportkit.config.schemas import nearest_hint

        segment = self.source.segment(name)
        if segment is None:
            raise SourceError(
                f"source {self.source.name!r} has no segment {name!r}",
                hint=nearest_hint(name, [segment.name for segment in self.source.segments]),
            )
        return segment

    def _any(self, names: Sequence[str]) -> str:
        conditions = [self._condition(self._segment(name)) for name in names]
        if not conditions:
            return "false"
        return "true" if "true" in conditions else "(" + " OR ".join(conditions) + ")"

    def _condition(self, segment: Segment) -> str:
        if segment.where is None:
            return "true"
        at = ("segments", segment.name, "where")
        return f"({self._expression(segment.where, self.source.document.locate(at))})"

    def _expression(self, sql: str, at: Location | None = None) -> str:
        try:
            return check_expression(sql, self.names)
        except ExpressionError as error:
            raise SourceError(error.message, hint=error.hint, location=at) from None

    def _unknown(self, where: str, column: str) -> list[Complaint]:
        from exportkit.config.schemas import nearest_hint

        if any(name.lower() == column.lower() for name in self.names):
            return []
        path = (where,) if where == "key" else (where, column)
        at = self.source.document.locate(path, key=where != "key")
        message = f"the source has no column {column!r}"
        return [Complaint(message, at, nearest_hint(column, self.names))]

    def _badly_typed(self, checked: str, at: Location, *, condition: bool) -> list[Complaint]:
        import duckdb

        try:
            rows = self._rows({}, typed=True)
            kind = describe(self.connection, f"(SELECT ({checked}) AS it FROM {rows})")["it"]
        except (duckdb.BinderException, duckdb.CatalogException, duckdb.ConversionException):
            return [
                Complaint(
                    "the types of the columns do not fit this expression",
                    at,
                    "try_cast(column as type) makes one fit; `types:` says what a column is",
                )
            ]
        if condition and kind != "BOOLEAN":
            hint = "compare it with something: newsletter = 'yes'"
            return [Complaint(f"this is {kind.lower()}, not true or false", at, hint)]
        return []


def _inside(at: Location, sql: str, offset: int | None) -> Location:
    """The place `offset` characters into an expression that starts `at`, if it is on one line."""
    if not offset or "\n" in sql:
        return at
    return Location(at.file, at.line, at.column + offset, at.path)
