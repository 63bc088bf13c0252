"""The rows of a database query as something that the engine reads when it computes a frame."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from exportkit.engines.parquet import ahead
from exportkit.errors import ExportkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from exportkit.engines.databases.sessions import Session

_PATIENCE = 1.0


class Stream:
    """A query's rows by Arrow's C interface. `failed` gets the error that ended a reading early.

    Each reading runs the query, in the session's snapshot. The first that comes to its end closes
    the session: a run goes on for long after it has read, and a transaction that stays open keeps
    the server from cleaning up.
    """

    def __init__(
        self, session: Session, sql: str, failed: Callable[[ExportkitError], None]
    ) -> None:
        self._session, self._sql, self._failed = session, sql, failed
        self._schema = session.schema(sql)
        self._fetching = Lock()
        self._open: list[Iterator[pa.RecordBatch]] = []

    def __arrow_c_schema__(self) -> object:
        return self._schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        import pyarrow as pa

        reader = pa.RecordBatchReader.from_batches(self._schema, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def stop(self) -> None:
        """Read no further. The next batch may be on its way on another thread: it is waited for.

        A connection is not closed under somebody who reads from it; a query that has not come to
        its first row is cancelled.
        """
        if not self._fetching.acquire(timeout=_PATIENCE):
            self._session.cancel()
            self._fetching.acquire()
        try:
            while self._open:
                self._open.pop().close()  # type: ignore[attr-defined]
        finally:
            self._fetching.release()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from ahead(self._fetched())
            self._session.close()
        except ExportkitError as error:
            self._failed(error)
            raise

    def _fetched(self) -> Iterator[pa.RecordBatch]:
        """The batches, fetched one at a time and not after `stop`."""
        batches = self._session.stream(self._sql)
        self._open.append(batches)
        while True:
            with self._fetching:
                batch = next(batches, None) if batches in self._open else None
            if batch is None:
                return
            yield batch
