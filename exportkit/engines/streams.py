"""The rows of a database query as something that the engine reads when it computes a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exportkit.engines.parquet import ahead
from exportkit.errors import ExportkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from exportkit.engines.sessions import Session


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

    def __arrow_c_schema__(self) -> object:
        return self._schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        import pyarrow as pa

        reader = pa.RecordBatchReader.from_batches(self._schema, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from ahead(self._session.stream(self._sql))
            self._session.close()
        except ExportkitError as error:
            self._failed(error)
            raise
