"""Iceberg tables, through PyIceberg: by the metadata in their folder, or by a catalog."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from exportkit.engines.lakes.lake import explained
from exportkit.engines.stores.buckets import endpoint_of, is_loopback, lent_keys
from exportkit.engines.stores.store import scheme_of
from exportkit.errors import Location, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa


_NAMES = {
    "AWS_ACCESS_KEY_ID": "s3.access-key-id",
    "AWS_SECRET_ACCESS_KEY": "s3.secret-access-key",
    "AWS_SESSION_TOKEN": "s3.session-token",
    "AWS_REGION": "s3.region",
}


class IcebergLake:
    """The current snapshot of an Iceberg table."""

    kind = "Iceberg"

    def __init__(self, table: Any) -> None:
        self._table = table
        snapshot = table.current_snapshot()
        self._snapshot = snapshot.snapshot_id if snapshot else None
        self.mark = f"{table.metadata.table_uuid} snapshot {self._snapshot}"
        written = snapshot.timestamp_ms if snapshot else table.metadata.last_updated_ms
        self.modified_at: datetime | None = datetime.fromtimestamp(written / 1000, tz=UTC)
        total = snapshot.summary.get("total-records") if snapshot and snapshot.summary else None
        self.is_empty = snapshot is None or total == "0"

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return self._table.schema().as_arrow()

    def read(self, columns: Sequence[str]) -> pa.RecordBatchReader:
        """The rows, with these columns, as a stream."""
        import pyarrow as pa
        from pyiceberg.io.pyarrow import ArrowScan, schema_to_pyarrow

        scan = self._table.scan(selected_fields=tuple(columns), snapshot_id=self._snapshot)
        wanted = schema_to_pyarrow(scan.projection(), include_field_ids=False)

        def batches() -> Iterator[pa.RecordBatch]:
            if self._snapshot is None:
                return
            parts = ArrowScan(scan.table_metadata, scan.io, scan.projection(), scan.row_filter)
            for task in scan.plan_files():  # all at once, they would be in memory all at once
                for batch in parts.to_record_batches([task]):
                    yield batch.select(wanted.names).cast(wanted)

        return pa.RecordBatchReader.from_batches(wanted, batches())


def open_metadata(address: str, shown: str, at: Location) -> IcebergLake:
    """The table of a metadata file, or of a folder that says which one counts.

    Raises SourceError if it cannot be read, or not here.
    """
    _require(shown, at)
    from pyiceberg.table import StaticTable

    with explained("Iceberg", shown, at):
        return IcebergLake(StaticTable.from_metadata(address, _properties(address, at)))


def open_in_catalog(address: str, at: Location) -> IcebergLake:
    """The table that a catalog knows: iceberg://CATALOG/namespace.table.

    The catalog is one of PyIceberg's own configuration. Raises SourceError if it cannot be read.
    """
    _require(address, at)
    name, separator, table = address.partition("://")[2].partition("/")
    if not name or not separator or "." not in table:
        raise SourceError(
            "a table in a catalog is named iceberg://CATALOG/namespace.table", location=at
        )
    from pyiceberg.catalog import load_catalog
    from pyiceberg.exceptions import NoSuchTableError

    with explained("Iceberg", address, at):
        try:
            catalog = load_catalog(name, **_place(at))
        except ValueError:
            raise SourceError(
                f"the catalog {name!r} is not configured",
                hint=f"PYICEBERG_CATALOG__{name.upper()}__URI says where it is, "
                "or ~/.pyiceberg.yaml",
                location=at,
            ) from None
        try:
            found = catalog.load_table(table)
        except NoSuchTableError:
            raise SourceError(
                f"the catalog {name!r} has no table {table!r}",
                hint="a namespace goes before the name, with a dot: crm.customers",
                location=at,
            ) from None
        return IcebergLake(found)


def _require(shown: str, at: Location) -> None:
    try:
        import pyiceberg  # noqa: F401
    except ImportError:
        raise SourceError(
            f"{shown} is an Iceberg table, and the package pyiceberg is not installed",
            hint="pip install 'exportkit[iceberg]'",
            location=at,
        ) from None


def _properties(address: str, at: Location) -> dict[str, str]:
    """What the library does not find in the environment itself."""
    if scheme_of(address) != "s3":
        return {}
    return _place(at) | {_NAMES[name]: value for name, value in lent_keys(at).items()}


def _place(at: Location) -> dict[str, str]:
    """Where s3:// is. A catalog brings its own keys, or the environment does."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    found = {"s3.region": region} if region else {}
    if endpoint := endpoint_of("s3"):
        is_loopback("s3", at)
        found["s3.endpoint"] = endpoint
    return found
