"""Delta tables, through delta-rs, which knows deletion vectors, column mapping and partitions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from exportkit.engines.lakes.lake import explained
from exportkit.engines.stores.buckets import endpoint_of, is_loopback, lent_keys
from exportkit.engines.stores.store import scheme_of
from exportkit.errors import Location, SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa


class DeltaLake:
    """The latest version of a Delta table."""

    kind = "Delta"

    def __init__(self, table: Any) -> None:
        self._table = table
        self.mark = f"{table.metadata().id} version {table.version()}"
        # Old commits are cleaned up once a checkpoint stands for them; then nobody knows the time.
        commits = [commit["timestamp"] for commit in table.history(1) if "timestamp" in commit]
        self.modified_at = datetime.fromtimestamp(commits[0] / 1000, tz=UTC) if commits else None
        self.is_empty = not table.file_uris()

    @property
    def schema(self) -> pa.Schema:
        """The columns, those of partitions among them."""
        import pyarrow as pa

        return pa.schema(self._table.schema().to_arrow())

    def read(self, columns: Sequence[str]) -> pa.RecordBatchReader:
        """The rows, with these columns, as a stream."""
        import pyarrow as pa

        return pa.RecordBatchReader.from_stream(self._table.scan(columns=list(columns)))


def open_delta(address: str, shown: str, at: Location) -> DeltaLake:
    """The table in that folder. Raises SourceError if it cannot be read, or not here."""
    try:
        from deltalake import DeltaTable
    except ImportError:
        raise SourceError(
            f"{shown} is a Delta table, and the package deltalake is not installed",
            hint="pip install 'exportkit[delta]'",
            location=at,
        ) from None
    scheme = scheme_of(address)
    options = lent_keys(at) if scheme == "s3" else {}
    if scheme == "s3" and (endpoint := endpoint_of(scheme)):
        options["AWS_ENDPOINT_URL"] = endpoint
        options["AWS_ALLOW_HTTP"] = str(is_loopback(scheme, at)).lower()
    with explained("Delta", shown, at):
        return DeltaLake(DeltaTable(address, storage_options=options or None))
