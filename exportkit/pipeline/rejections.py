"""The rows that a run did not deliver, and why: rejected before it was sent, or refused after."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from exportkit.engines.parquet import count_rows, read_batches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

_READ_ROWS = 10_000


def rejected_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Each row that was not delivered: by, key, column, reason, value. All of it is personal.

    `by` is exportkit (the row failed a check) or destination (it was refused there).
    """
    for path, by in _files(folder):
        for batch in read_batches(path, _READ_ROWS):
            yield from (_row(by, row) for row in _plain(batch))


def count_rejected(folder: Path) -> int:
    """How many rows `rejected_rows` has."""
    return sum(count_rows(path) for path, _ in _files(folder))


def refused_because(folder: Path) -> Counter[tuple[str | None, str]]:
    """How many rows the destination refused, by column and reason; a reason may quote a person."""
    found: Counter[tuple[str | None, str]] = Counter()
    for path in sorted((folder / "refused").glob("*.parquet")):
        for batch in read_batches(path, _READ_ROWS):
            columns = (batch[name].to_pylist() for name in ("column", "reason"))
            found.update(zip(*columns, strict=True))
    return found


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    rejections = folder / "rejections.parquet"
    if rejections.exists():
        yield rejections, "exportkit"
    for path in sorted((folder / "refused").glob("*.parquet")):
        yield path, "destination"


def _plain(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = batch.to_pylist()
    return rows


def _row(by: str, row: dict[str, Any]) -> dict[str, Any]:
    column = row.get("column")
    carried = column is None or column.startswith("exportkit_")
    return {
        "by": by,
        "key": row.get("exportkit_key", row.get("key")) or row.get("exportkit_source_key"),
        "source_key": row.get("exportkit_source_key"),
        "column": None if carried else column,
        "reason": row["reason"],
        "value": row.get("value"),
    }
