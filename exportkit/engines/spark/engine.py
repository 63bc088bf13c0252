"""An engine that is elsewhere: frames on a Spark Connect session, on however many machines.

What has to be computed once lies on the cluster: as Parquet under the source's `spark_state:`, or
as a checkpoint of the session where the source names no such place. Only what a plan asks for
comes back, as Arrow.
"""

from __future__ import annotations

import json
import logging
import secrets
import sys
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from exportkit.durable import Draft
from exportkit.engines import parquet
from exportkit.engines.frames import KEPT
from exportkit.engines.spark.failures import explained, is_sparks, rewrite
from exportkit.errors import PluginError, SourceError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    import narwhals as nw
    import pyarrow as pa

    from exportkit.config.source import Source

_TRIES, _LONGEST_PAUSE = 4, 2_000
_PART_ROWS = 200_000
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",  # the same text on every cluster
    "spark.sql.ansi.enabled": "true",  # a value that does not fit is an error, not null
    "spark.sql.caseSensitive": "true",
}
_SIZE_LIMIT = "spark.sql.session.localRelationSizeLimit"
# What pyspark logs by itself quotes rows and queries.
_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger", "pyspark")


@contextmanager
def open_session(source: Source) -> Iterator[Any]:
    """A session of its own on the source's endpoint, released at the end.

    Raises SourceError if the endpoint cannot be reached, PluginError without the client.
    """
    with explained(source):
        session = _connected(source)
    try:
        with explained(source):
            _settle(session)
        yield session
    finally:
        be_quick(session)
        session.stop()


def be_quick(session: Any) -> None:
    """From now on do not wait for a server that is gone."""
    session.client.set_retry_policies([_patience(1)])


def _connected(source: Source) -> Any:
    at = source.document.locate(("spark",))
    with warnings.catch_warnings(), _not_a_doctest():
        warnings.simplefilter("ignore")  # about pandas, which is not used here
        try:
            from pyspark.sql.connect.client import DefaultChannelBuilder
            from pyspark.sql.connect.session import SparkSession
        except ImportError:
            raise PluginError(
                "the client for Spark is not installed",
                hint="pip install 'exportkit[spark]'",
                location=at,
            ) from None
        for name in _LOGGERS:
            logging.getLogger(name).disabled = True
    warnings.filterwarnings("ignore", category=UserWarning, module=r"pyspark\.")
    try:
        channel = DefaultChannelBuilder(source.spark or "")
    except Exception as error:
        if not is_sparks(error):
            raise
        raise SourceError(
            "this is not the address of a Spark Connect endpoint",
            hint="for example sc://spark:15002, with /;token=… behind it where it asks",
            location=at,
        ) from None
    return SparkSession.Builder().channelBuilder(channel).create()


@contextmanager
def _not_a_doctest() -> Iterator[None]:
    """Without a file of the main module pyspark takes the process for its own tests and ends it."""
    main = sys.modules["__main__"]
    nameless = not hasattr(main, "__file__")
    if nameless:
        main.__file__ = __file__
    try:
        yield
    finally:
        if nameless:
            del main.__file__


def _settle(session: Any) -> None:
    session.client.set_retry_policies([_patience(1)])  # an address that is wrong stays so
    for name, value in _SETTINGS.items():
        session.conf.set(name, value)
    session.client.set_retry_policies([_patience(_TRIES)])
    with suppress(Exception):  # servers before 4.1 do not know it
        limit = session.conf.get(_SIZE_LIMIT)
        if limit.endswith("b"):  # Spark 4.1 adds a unit, which the client of 4.2 cannot read
            session.conf.set(_SIZE_LIMIT, limit.rstrip("b"))


def _patience(tries: int) -> Any:
    """Less of it than the client's own: that one tries for ten minutes."""
    from pyspark.sql.connect.client.retries import DefaultPolicy

    return DefaultPolicy(max_retries=tries, max_backoff=_LONGEST_PAUSE)


def as_frame(native: Any) -> nw.LazyFrame[Any]:
    """A frame of the Spark client as a lazy one of narwhals."""
    import narwhals as nw

    frame: nw.LazyFrame[Any] = nw.from_native(native).lazy()
    return frame


class SparkEngine:
    """Frames on one Spark session. `place` is where they are held, None for checkpoints."""

    here = False

    def __init__(self, session: Any, source: Source, place: str | None) -> None:
        self._session = session
        self._source = source
        self._place = place
        self._run = secrets.token_hex(6)
        self._held: list[tuple[str, Any]] = []

    def hold(self, frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """The frame computed once, on the cluster."""
        native = frame.to_native()
        with explained(self._source):
            if self._place is None:
                return as_frame(self._checkpoint(native))
            where = self._new(schema := native.schema)
            native.write.mode("overwrite").parquet(where)
            return self._read(where, schema)

    def table(self, rows: pa.Table) -> nw.LazyFrame[Any]:
        """A small Arrow table as a frame."""
        from pyspark.sql.pandas.types import from_arrow_schema

        with explained(self._source):
            if not rows.num_rows:  # of which the client infers no columns
                return as_frame(self._session.createDataFrame([], from_arrow_schema(rows.schema)))
            return as_frame(self._session.createDataFrame(rows))

    def load(
        self, path: Path, ranges: Sequence[tuple[int, int]] | None = None
    ) -> nw.LazyFrame[Any]:
        """Rows that are kept on the cluster; or those of a file of this machine, brought there."""
        import pyarrow as pa

        if path.suffix == KEPT:
            kept = _kept(path)
            with explained(self._source):
                return self._read(kept["path"], _schema(kept["columns"]))
        schema = parquet.read_schema(path)
        found = parquet.read_batches(path) if ranges is None else parquet.read_ranges(path, ranges)
        if self._place is None:
            return self.table(pa.Table.from_batches(list(found), schema))
        names = _schema(schema.names)
        with explained(self._source):
            where = self._new(names)
            self._empty(where, names)
            for part in _parts(found):  # never all of them at once
                self._session.createDataFrame(part).write.mode("append").parquet(where)
            return self._read(where, names)

    def write(self, frame: nw.LazyFrame[Any], path: Path) -> int:
        """Fetch the frame's rows, all of them text, into a Parquet file; answers their number."""
        schema = _text_schema(frame)
        return parquet.write_batches(self._batches(frame, schema), schema, path)

    def passing(
        self, frame: nw.LazyFrame[Any], path: Path
    ) -> Generator[pa.RecordBatch, None, None]:
        """The frame's rows in batches, written as Parquet on the way."""
        schema = _text_schema(frame)
        yield from parquet.passing(parquet.ahead(self._batches(frame, schema)), schema, path)

    @property
    def keeps(self) -> bool:
        """Whether there is a place on the cluster for what was delivered."""
        return self._place is not None

    def keep(self, frame: nw.LazyFrame[Any], path: Path) -> int:
        """Write the frame, all of it text, on the cluster; `path` says where. Answers its rows."""
        columns = frame.collect_schema().names()
        where = f"{self._place}/kept/{path.stem}"
        # Before the rows, so that whoever tidies up after a crash knows of them.
        with Draft(path) as draft:
            draft.file.write(json.dumps({"path": where, "columns": columns}).encode())
            draft.commit()
        with explained(self._source):
            frame.to_native().write.mode("overwrite").parquet(where)
            return int(self._read(where, _schema(columns)).to_native().count())

    def forget(self, path: Path) -> None:
        """Remove what was kept: no row is left on the cluster."""
        if path.suffix == KEPT:
            kept = _kept(path)
            with explained(self._source):
                self._empty(kept["path"], _schema(kept["columns"]))
        path.unlink()

    def clear(self) -> None:
        """Forget every held frame. No row of it is left at its place."""
        with suppress(Exception):  # a session that is gone leaves them behind
            for where, schema in self._held:
                self._empty(where, schema)
        self._held.clear()

    def _new(self, schema: Any) -> str:
        where = f"{self._place}/held/{self._run}-{len(self._held)}"
        self._held.append((where, schema))
        return where

    def _read(self, where: str, schema: Any) -> nw.LazyFrame[Any]:
        return as_frame(self._session.read.schema(schema).parquet(where))

    def _empty(self, where: str, schema: Any) -> None:
        # Spark Connect has no word for removing a folder: no rows take the place of the rows.
        self._session.createDataFrame([], schema).write.mode("overwrite").parquet(where)

    def _checkpoint(self, native: Any) -> Any:
        try:
            return native.localCheckpoint()
        except Exception as error:
            if not is_sparks(error) or "checkpoint" not in str(error).lower():
                raise
            raise SourceError(
                "this cluster keeps nothing between two steps of a plan by itself",
                hint="name a path that it can write to as `spark_state:`",
                location=self._source.document.locate(("spark",)),
            ) from None

    def _batches(self, frame: nw.LazyFrame[Any], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows as they come from the cluster; never all of them at once."""
        import pyarrow as pa

        with explained(self._source):
            # The one way to a stream of Arrow that the client has; toArrow() takes all at once.
            client, plan = self._session.client, frame.to_native()._plan
            for part in client.to_table_as_iterator(plan.to_proto(client), {}):
                if isinstance(part, pa.Table):
                    yield from part.cast(schema).to_batches()

    def failure(self, error: BaseException) -> SourceError:
        """An error of the session in our words."""
        return rewrite(error, self._source)


def _kept(path: Path) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(path.read_bytes())
        return {"path": str(kept["path"]), "columns": list(kept["columns"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise parquet.unreadable(path) from None


def _schema(columns: Sequence[str]) -> Any:
    """Text columns, as Spark has them."""
    from pyspark.sql.types import StringType, StructField, StructType

    return StructType([StructField(name, StringType()) for name in columns])


def _parts(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The batches as tables of up to `_PART_ROWS` rows or so."""
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(each.num_rows for each in waiting) >= _PART_ROWS:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _text_schema(frame: nw.LazyFrame[Any]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in frame.collect_schema().names()])
