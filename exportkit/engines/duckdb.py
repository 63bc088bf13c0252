"""The default engine: DuckDB, in the process, in bounded memory, jailed to the source it reads."""

from __future__ import annotations

import re
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

from exportkit.engines import parquet
from exportkit.engines.frames import KEPT
from exportkit.errors import ExportkitError, JournalError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from pathlib import Path

    import duckdb
    import narwhals as nw
    import pyarrow as pa

ARROW_ROWS = 20_480
"""A sixth of the rows that DuckDB keeps together, so that no batch comes short."""
_STREAM = re.compile(r"the stream registered as '(held_\d+)' failed")


def refuse_kept(path: Path) -> None:
    """Raise JournalError for rows that are kept on a cluster, which only its engine reads."""
    if path.suffix == KEPT:
        raise JournalError(
            f"what was delivered is kept on a cluster, as {path} says, and this job cannot ask it",
            hint="jobs that compare with it need a source on Spark with `spark_state:`; or "
            + parquet.SNAPSHOT_AWAY,
        )


class DuckEngine:
    """Frames on one DuckDB connection.

    `connect` answers the connection, when it is first needed; `explain` turns a failure of the
    source, met while a frame is computed, into an error of ours.
    """

    here = True
    keeps = False

    def __init__(
        self,
        connect: Callable[[], duckdb.DuckDBPyConnection],
        explain: Callable[[duckdb.Error], ExportkitError],
    ) -> None:
        self._connect = connect
        self._explain = explain
        self._held: list[str] = []
        self._loaded: dict[str, Path] = {}
        self._names = (f"held_{number}" for number in count(1))

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        return self._connect()

    def hold(self, frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """The frame computed once, as a table of the in-memory database, which spills."""
        import duckdb

        name = next(self._names)
        try:
            frame.to_native().create(name)
            self._held.append(name)
        except duckdb.Error as error:
            raise self._explained(error) from None
        return self._frame(name)

    def table(self, rows: pa.Table) -> nw.LazyFrame[Any]:
        """A small Arrow table as a frame."""
        name = next(self._names)
        self._connection.register(name, rows)
        return self._frame(name)

    def load(
        self, path: Path, ranges: Sequence[tuple[int, int]] | None = None
    ) -> nw.LazyFrame[Any]:
        """A Parquet file, or some of its rows. The jail opens no file: Arrow reads it."""
        import pyarrow as pa

        refuse_kept(path)
        schema, name = parquet.read_schema(path), next(self._names)
        if ranges is None:
            self._connection.register(name, parquet.as_dataset(path))
            self._loaded[name] = path
        else:
            rows = parquet.read_ranges(path, ranges)
            reader = pa.RecordBatchReader.from_batches(schema, rows)
            self._connection.from_arrow(reader).create(name)
        return self._frame(name)

    def write(self, frame: nw.LazyFrame[Any], path: Path) -> int:
        """Write the frame as Parquet; answers its rows."""
        import duckdb

        try:
            reader = frame.to_native().to_arrow_reader(ARROW_ROWS)
            return parquet.write_batches(parquet.ahead(reader), reader.schema, path)
        except duckdb.Error as error:
            raise self._explained(error) from None

    def passing(
        self, frame: nw.LazyFrame[Any], path: Path
    ) -> Generator[pa.RecordBatch, None, None]:
        """The frame's rows in batches, written as Parquet on the way."""
        import duckdb

        try:
            reader = frame.to_native().to_arrow_reader(ARROW_ROWS)
            yield from parquet.passing(parquet.ahead(reader), reader.schema, path)
        except duckdb.Error as error:
            raise self._explained(error) from None

    def keep(self, frame: nw.LazyFrame[Any], path: Path) -> int:
        """Write the frame as a file of the state folder; answers its rows."""
        return self.write(frame, path)

    def forget(self, path: Path) -> None:
        """Remove a file of the state folder."""
        path.unlink()

    def clear(self) -> None:
        """Forget every held frame: what was taken out of them is in files now."""
        for name in self._held:
            self._connection.execute(f"DROP TABLE {name}")
        self._held.clear()

    def _frame(self, name: str) -> nw.LazyFrame[Any]:
        import narwhals as nw

        return nw.from_native(self._connection.table(name)).lazy()

    def _batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        yield from reader

    def _explained(self, error: duckdb.Error) -> ExportkitError:
        import duckdb

        if isinstance(error, duckdb.OutOfMemoryException):
            return JournalError(
                "the disk is full: DuckDB has no room to spill to",
                hint="free some space on the disk of the state folder, then run again",
            )
        # A file that was loaded is read later, together with the source.
        stream = _STREAM.search(str(error))
        if stream and (path := self._loaded.get(stream[1])):
            return parquet.unreadable(path)
        return self._explain(error)
