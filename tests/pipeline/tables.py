"""Small frames of profiles for tests, and what stands in the Parquet files of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from exportkit.engines.parquet import read_batches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import narwhals as nw

    from exportkit.engines.duckdb import DuckEngine


def table(
    engine: DuckEngine, columns: Mapping[str, pa.DataType], rows: Sequence[Mapping[str, Any]]
) -> nw.LazyFrame[Any]:
    """A frame of these rows."""
    return engine.table(pa.Table.from_pylist([dict(row) for row in rows], pa.schema(columns)))


def file_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a Parquet file; none where there is no file."""
    if not path.exists():
        return []
    return [row for batch in read_batches(path) for row in batch.to_pylist()]
