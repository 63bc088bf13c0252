"""Rows are cut into as few pieces as the limits permit, and none is lost or comes twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from exportkit.engines.pieces import pieces

if TYPE_CHECKING:
    from collections.abc import Iterator


def batches(sizes: list[list[int]]) -> Iterator[pa.RecordBatch]:
    """Arrow batches, one a list; each row is a number and how many bytes it takes."""
    number = 0
    for rows in sizes:
        numbers = range(number, number + len(rows))
        number += len(rows)
        arrays = [pa.array(map(str, numbers), pa.string()), pa.array(rows, pa.int64())]
        yield pa.record_batch(arrays, names=["number", "bytes"])


def measure(piece: pa.RecordBatch) -> pa.Array:
    return piece.column("bytes")


def greedy(rows: list[int], most_rows: int, most_bytes: int | None) -> list[list[int]]:
    """The bytes of the rows of each piece, one row at a time."""
    found: list[list[int]] = []
    for row in rows:
        fits = found and len(found[-1]) < most_rows
        if fits and (most_bytes is None or sum(found[-1]) + row <= most_bytes):
            found[-1].append(row)
        else:
            found.append([row])
    return found


@given(
    sizes=st.lists(st.lists(st.integers(0, 12), max_size=9), max_size=6),
    most_rows=st.integers(1, 12),
    most_bytes=st.none() | st.integers(1, 40),
)
@settings(max_examples=300, deadline=None)
def test_pieces_are_greedy_and_complete(
    sizes: list[list[int]], most_rows: int, most_bytes: int | None
) -> None:
    found = list(pieces(batches(sizes), most_rows, most_bytes, measure))
    everything = [row for rows in sizes for row in rows]
    cut = [piece.column("bytes").to_pylist() for _, piece in found]
    assert cut == greedy(everything, most_rows, most_bytes)
    numbers = [n for _, piece in found for n in piece.column("number").to_pylist()]
    assert numbers == [str(number) for number in range(len(everything))]
    assert [first for first, _ in found] == [sum(map(len, cut[:n])) for n in range(len(cut))]


@given(
    sizes=st.lists(st.lists(st.integers(0, 12), max_size=9), max_size=6),
    most_rows=st.integers(1, 12),
    most_bytes=st.none() | st.integers(1, 40),
)
@settings(max_examples=100, deadline=None)
def test_without_glue_every_batch_is_cut_by_itself(
    sizes: list[list[int]], most_rows: int, most_bytes: int | None
) -> None:
    found = list(pieces(batches(sizes), most_rows, most_bytes, measure, glue=False))
    cut = [piece.column("bytes").to_pylist() for _, piece in found]
    assert cut == [piece for rows in sizes for piece in greedy(rows, most_rows, most_bytes)]
    assert [first for first, _ in found] == [sum(map(len, cut[:n])) for n in range(len(cut))]


def test_without_a_measure_bytes_do_not_count() -> None:
    found = list(pieces(batches([[9] * 5]), 3, 1))
    assert [piece.num_rows for _, piece in found] == [3, 2]


def test_a_row_that_is_too_large_is_a_piece_of_its_own() -> None:
    found = list(pieces(batches([[1, 99, 1, 1]]), 10, 5, measure))
    assert [piece.column("bytes").to_pylist() for _, piece in found] == [[1], [99], [1, 1]]


def test_pieces_come_before_all_rows_are_read() -> None:
    def endless() -> Iterator[pa.RecordBatch]:
        while True:
            yield next(batches([[1] * 4]))

    cut = pieces(endless(), 6)
    assert [next(cut)[0] for _ in range(4)] == [0, 6, 12, 18]
