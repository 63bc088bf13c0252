"""Parquet files of the state folder: private, durable, read and written as Arrow batches."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING

from exportkit.durable import Draft
from exportkit.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.dataset as ds

READ_ROWS = 65_536
SOON = 0.1
"""Seconds after which it is looked whether somebody still writes."""


def ahead(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches, the next one made on another thread while this one is worked on."""
    from concurrent.futures import ThreadPoolExecutor

    source, nothing = iter(batches), None
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, source, nothing)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, source, nothing)
            yield batch


def write_batches(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path) -> int:
    """Write the batches to a file of mode 0600, synced to disk; answers how many rows.

    A file that is there already is replaced whole or not at all. Raises JournalError where it
    cannot be written (a full disk).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 0
    try:
        with Draft(path) as draft:
            coming = iter(batches)
            begin = list(islice(coming, 1))
            # Nobody filters these files, and few stay: what is cheap to write and read is best.
            with pq.ParquetWriter(
                draft.file,
                schema,
                compression="none",
                use_dictionary=_repetitive(*begin) or False,
                write_statistics=False,
            ) as writer:
                for batch in chain(begin, coming):
                    writer.write_batch(batch)
                    rows += batch.num_rows
            draft.commit()
    except (OSError, pa.ArrowException) as error:
        raise JournalError(
            f"{path} cannot be written: {_reason(error)}",
            hint="free some space or change `state:` in exportkit.yaml, then run again",
        ) from None
    return rows


def _repetitive(*batches: pa.RecordBatch) -> list[str]:
    """Columns that say the same again and again, as names and cities do: each value stands in the
    file once then, which is a third faster to read."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return [
        name
        for batch in batches
        for name, cells in zip(batch.schema.names, batch.columns, strict=True)
        if pa.types.is_string(cells.type) and pc.count_distinct(cells).as_py() < len(cells) / 2
    ]


def passing(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path
) -> Iterator[pa.RecordBatch]:
    """The same batches, each written to a new file on the way, on another thread.

    The file is complete, and synced, when the batches are; one that is not is removed. Raises
    JournalError where it cannot be written.
    """
    from queue import Full, Queue
    from threading import Thread

    queue: Queue[pa.RecordBatch | None] = Queue(maxsize=2)
    failed: list[JournalError] = []

    def write() -> None:
        try:
            write_batches(iter(queue.get, None), schema, path)
        except JournalError as error:
            failed.append(error)

    def hand_over(batch: pa.RecordBatch | None) -> None:
        waiting = True
        while waiting and thread.is_alive():
            with suppress(Full):
                queue.put(batch, timeout=SOON)
                waiting = False

    thread = Thread(target=write, name="accepted rows")
    thread.start()
    complete = False
    try:
        for batch in batches:
            hand_over(batch)
            if failed:
                break
            yield batch
        complete = not failed
    finally:
        hand_over(None)
        thread.join()
        with suppress(Full):  # what was reading ahead must not wait for ever
            queue.put_nowait(None)
        if failed or not complete:
            with suppress(OSError):
                path.unlink()
    if failed:
        raise failed[0]


def read_batches(path: Path, rows: int = READ_ROWS) -> Iterator[pa.RecordBatch]:
    """The file's rows in batches of at most `rows`. Raises JournalError if it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield from ahead(file.iter_batches(rows))
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from None


def read_ranges(path: Path, ranges: Sequence[tuple[int, int]]) -> Iterator[pa.RecordBatch]:
    """The rows of the file that lie in the ranges (first row, number of rows)."""
    first = 0
    for batch in read_batches(path):
        for start, rows in ranges:
            low, high = max(start, first), min(start + rows, first + batch.num_rows)
            if low < high:
                yield batch.slice(low - first, high - low)
        first += batch.num_rows


def read_schema(path: Path) -> pa.Schema:
    """The file's columns. Raises JournalError if it is damaged or not there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from None


def as_dataset(path: Path) -> ds.Dataset:
    """The file as something that Arrow reads anew, on several threads, each time it is asked."""
    import pyarrow.dataset as ds

    return ds.dataset(path, format="parquet")


def read_rows(path: Path, first: int, rows: int) -> pa.RecordBatch:
    """So many rows of the file from this one on, as one batch. Raises JournalError."""
    import pyarrow as pa

    table = pa.Table.from_batches(list(read_ranges(path, [(first, rows)])))
    if table.num_rows != rows:
        raise JournalError(
            f"{path} is shorter than the journal says",
            hint=_RUN_AWAY,
        )
    return table.combine_chunks().to_batches()[0]


def count_rows(path: Path) -> int:
    """How many rows the file has, by its footer."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


SNAPSHOT_AWAY = (
    "move its folder away, out of the state folder (keep it), and run again: every row counts as "
    "new then, and who left the segments since is not taken out"
)
"""The way back from a damaged snapshot."""

_RUN_AWAY = (
    "it belongs to a run that did not end: move that folder and journal.sqlite away, out of the "
    "state folder (keep them), and run again: what that run sent is sent again then"
)


def unreadable(path: Path, error: Exception | None = None) -> JournalError:
    """The error for a file of the state folder that is damaged or not there."""
    hint = SNAPSHOT_AWAY if "snapshots" in path.parts[-4:] else _RUN_AWAY
    return JournalError(f"{path} cannot be read: {_reason(error)}", hint=hint)


def _reason(error: Exception | None) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return "it is damaged or not a Parquet file"
