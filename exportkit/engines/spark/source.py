"""A source on a Spark Connect endpoint: a table, a query or files that the cluster reads.

It has the same face as a source that DuckDB opens. The columns' types and the segments are checked
without a row; only then does the cluster read.
"""

# ruff: noqa: S608 - names are quoted, expressions are made from a checked tree

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from exportkit.config.names import nearest_hint
from exportkit.engines.databases.unopened import misplaced_keys
from exportkit.engines.named import Named
from exportkit.engines.predicates import ExpressionError
from exportkit.engines.spark import sql as sparksql
from exportkit.engines.spark.engine import SparkEngine, as_frame, be_quick, open_session
from exportkit.engines.spark.failures import explained, not_there
from exportkit.errors import Complaint, Location, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import narwhals as nw

    from exportkit.config.source import Source

_NOT_THERE = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".gz", ".zst", ".duckdb", ".db")
_TEXT = "exportkit_text_"


@contextmanager
def open_spark(source: Source) -> Iterator[OpenSparkSource]:
    """Open a source, its references replaced, on the endpoint that it names. Raises SourceError."""
    with open_session(source) as session:
        with explained(source):
            opened = OpenSparkSource(source, session, _read(source, session))
            if not opened.names:  # a table that is not there shows here; Sail sees no columns
                raise not_there(source)
        try:
            with explained(source):  # a frame may ask the cluster wherever it is looked at
                yield opened
        finally:
            be_quick(session)
            opened.engine.clear()


class OpenSparkSource:
    """A source that is open on a cluster: its columns, its segments, its rows as lazy frames."""

    def __init__(self, source: Source, session: Any, frame: Any) -> None:
        self.source = source
        self._session = session
        self._frame = frame

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(self.columns)

    @cached_property
    def columns(self) -> Mapping[str, str]:
        """Column name to the type in Spark's word, in order. Reads no row."""
        with explained(self.source):
            return {field.name: field.dataType.simpleString() for field in self._frame.schema}

    @cached_property
    def _named(self) -> Named:
        return Named(self.source, self.names)

    @property
    def is_empty(self) -> bool:
        """True for a source without a single row."""
        with explained(self.source):
            return bool(self._frame.limit(1).count() == 0)

    @property
    def modified_at(self) -> datetime:
        """Now: the cluster is asked anew each time, and says nothing of when it was written."""
        return datetime.now(UTC)

    @cached_property
    def engine(self) -> SparkEngine:
        """Where the frames of this source live."""
        place = self.source.spark_state
        return SparkEngine(self._session, self.source, place.rstrip("/") if place else None)

    @cached_property
    def _digest(self) -> str:
        import hashlib

        known = [n for n, kind in self.columns.items() if _hashable(kind)]
        hashed = f"xxhash64({', '.join(map(sparksql.quoted, known))})" if known else "0"
        numbers = (
            "count(*) AS n",
            f"coalesce(bit_xor({hashed}), 0) AS x",
            f"coalesce(sum(CAST({hashed} AS DECIMAL(38, 0))), 0) AS s",
        )
        with explained(self.source):
            row = self._frame.selectExpr(*numbers).toArrow().to_pylist()[0]
        facts = [self.source.spark_state, dict(self.columns), str(sorted(row.items()))]
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def fingerprint(self) -> str:
        """A digest of all rows, made on the cluster in one pass, once for an open source.

        It is made before anything else is read: rows that come later make it an old one, and the
        next run looks again.
        """
        return self._digest

    def complaints(self) -> list[Complaint]:
        """What is wrong with the source's key and segments, given its real columns."""
        locate = self.source.document.locate
        found = self._named.unknown(self.source.key, locate(("key",)))
        found += misplaced_keys(self.source)
        for segment in self.source.segments:
            if segment.where is not None:
                at = locate(("segments", segment.name, "where"))
                found += self.check(segment.where, at, condition=True)
        return found

    def check(self, sql: str, at: Location, *, condition: bool = False) -> list[Complaint]:
        """What is wrong with one SQL expression that stands `at` some place in a file.

        It is checked against the types of the columns as DuckDB sees them, so that it means the
        same on both; no row is read.
        """
        try:
            sparksql.on_spark(sql, self.columns, condition=condition)
        except ExpressionError as error:
            return [_complaint(error, at)]
        wrong = sparksql.misfit(sql, self.columns, condition=condition)
        if wrong is not None:
            return [Complaint(wrong, at, "cast where the source is made, or in `query:`")]
        if not condition:
            kind = self._kind_of(sparksql.on_spark(sql, self.columns))
            if sparksql.text_of("it", kind) is None:
                why = f"this makes {sparksql.why_no_text(kind)}: it cannot be mapped"
                return [Complaint(why, at, "make text or a decimal of it in `query:`")]
        return []

    def count(self, names: Sequence[str]) -> dict[str, int]:
        """How many rows each of the segments has, in one pass over the data."""
        if not names:
            return {}
        counts = [
            f"count(CASE WHEN {self._condition(name)} THEN 1 END) AS c{n}"
            for n, name in enumerate(names)
        ]
        with explained(self.source):
            (row,) = self._frame.selectExpr(*counts).toArrow().to_pylist()
        return dict(zip(names, row.values(), strict=True))

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

        As `OpenSource.select` has it.
        """
        items = {alias: self._text(column) for alias, column in (texts or {}).items()}
        for alias, sql in (expressions or {}).items():
            made = self._checked(sql)
            items[alias] = self._as_text(f"({made})", self._kind_of(made), alias)
        for alias, column in (values or {}).items():
            real = self._named.real(column)
            # Where -0.0 is less than 0.0, it is not any more once 0 is added.
            zero = " + CAST(0 AS DOUBLE)" if self.columns[real] in ("float", "double") else ""
            items[alias] = sparksql.quoted(real) + zero
        for alias, names in (flags or {}).items():
            items[alias] = f"coalesce({self._any(names)}, false)"
        for alias in items:
            if "." in alias or "`" in alias:
                raise SourceError(
                    f"a field on Spark has no dot and no back-tick in its name: {alias!r}",
                    hint="call it something else under `map:`",
                )
        wanted = self._any(segments)
        with explained(self.source):
            rows = self._frame if wanted == "true" else self._frame.where(wanted)
            chosen = [f"{sql} AS {sparksql.quoted(alias)}" for alias, sql in items.items()]
            return as_frame(rows.selectExpr(*chosen))

    def _text(self, column: str) -> str:
        real = self._named.real(column)
        text = sparksql.text_of(real, self.columns[real])
        if text is None:
            raise SourceError(
                f"column {real!r} holds {sparksql.why_no_text(self.columns[real])}: it cannot be "
                "mapped on Spark",
                hint="make text or a decimal of it where the source is made, or in `query:`",
                location=self.source.document.locate(("spark",)),
            )
        return text

    def _as_text(self, made: str, kind: str, alias: str) -> str:
        text = sparksql.text_of("it", kind)
        if text is None:
            raise SourceError(f"{alias} makes {sparksql.why_no_text(kind)}: it cannot be mapped")
        return text.replace(sparksql.quoted("it"), made)

    def _kind_of(self, made: str) -> str:
        with explained(self.source):
            kind: str = self._frame.selectExpr(f"{made} AS it").schema[0].dataType.simpleString()
        return kind

    def _any(self, names: Sequence[str]) -> str:
        conditions = [self._condition(name) for name in names]
        if "true" in conditions:
            return "true"
        return f"({' OR '.join(conditions)})" if conditions else "false"

    def _condition(self, name: str) -> str:
        segment = self._named.segment(name)
        if segment.where is None:
            return "true"
        at = self.source.document.locate(("segments", name, "where"))
        return f"({self._checked(segment.where, at, condition=True)})"

    def _checked(self, sql: str, at: Location | None = None, *, condition: bool = False) -> str:
        try:
            return sparksql.on_spark(sql, self.columns, condition=condition)
        except ExpressionError as error:
            found = _complaint(error, at)
            raise SourceError(found.message, hint=found.hint, location=at) from None


def _complaint(error: ExpressionError, at: Location | None) -> Complaint:
    hint = nearest_hint(error.name, error.known) if error.name else error.hint
    return Complaint(error.message, at, hint)


def _hashable(kind: str) -> bool:
    return not kind.startswith(("map", "variant", "interval"))


def _read(source: Source, session: Any) -> Any:
    """The frame of all rows; nothing is read yet."""
    if source.table:
        return session.table(source.table)
    if source.query:
        # In brackets nothing but a query can stand: a statement that writes is no query.
        return session.sql(f"SELECT * FROM (\n{_only_query(source)}\n)")
    where = source.file or ""
    if where.lower().endswith(_NOT_THERE):
        raise SourceError(
            f"Spark reads Parquet here, and {where.rpartition('/')[2]} is something else",
            hint="name Parquet files or a folder of them, a `table:`, or leave `spark:` out",
            location=source.document.locate(("file",)),
        )
    return session.read.parquet(where)


def _only_query(source: Source) -> str:
    """The query, if it is one. Raises SourceError for a statement that writes."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    query = (source.query or "").strip().rstrip(";")
    try:
        parsed = sqlglot.parse(query, dialect="spark")
    except (SqlglotError, RecursionError):
        return query  # in brackets it can only be a query
    writes = (exp.DML, exp.DDL, exp.Command, exp.Drop, exp.Alter)
    plain = len(parsed) == 1 and isinstance(parsed[0], exp.Query)
    if not plain or any(isinstance(node, writes) for node in parsed[0].walk()):  # type: ignore[union-attr]
        raise SourceError(
            "`query:` is one SELECT, and nothing that writes",
            location=source.document.locate(("query",)),
        )
    return query
