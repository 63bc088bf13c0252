"""Cutting a stream of Arrow rows into pieces that one call can take, as few as limits permit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa


def pieces(
    batches: Iterable[pa.RecordBatch],
    most_rows: int,
    most_bytes: int | None = None,
    measure: Callable[[pa.RecordBatch], pa.Array] | None = None,
    *,
    glue: bool = True,
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows in pieces of at most so many rows and bytes, each with its first row's number.

    `measure` answers the bytes of each row; without it, or a limit, bytes do not count. A row
    that is too large for any piece is one of its own. Without `glue` no piece has rows of two
    batches: there are more pieces, and no row is copied.
    """
    first = 0
    rest: pa.RecordBatch | None = None
    for batch in batches:
        rest = batch if rest is None else _glued(rest, batch)
        while rest.num_rows >= most_rows or (rest.num_rows and not glue):
            size = _fitting(rest, most_rows, most_bytes, measure)
            yield first, rest.slice(0, size)
            first, rest = first + size, rest.slice(size)
        if not rest.num_rows:
            rest = None
    while rest is not None and rest.num_rows:
        size = _fitting(rest, most_rows, most_bytes, measure)
        yield first, rest.slice(0, size)
        first, rest = first + size, rest.slice(size)


def _fitting(
    rows: pa.RecordBatch,
    most_rows: int,
    most_bytes: int | None,
    measure: Callable[[pa.RecordBatch], pa.Array] | None,
) -> int:
    """How many of the rows one piece can hold; at least one."""
    import pyarrow.compute as pc

    most = min(int(rows.num_rows), most_rows)
    if most_bytes is None or measure is None:
        return most
    sizes = measure(rows.slice(0, most))
    over = int(pc.index(pc.greater(pc.cumulative_sum(sizes), most_bytes), True).as_py())
    return most if over < 0 else max(over, 1)


def _glued(one: pa.RecordBatch, other: pa.RecordBatch) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.Table.from_batches([one, other]).combine_chunks().to_batches()[0]
