"""Which bytes of a remote Parquet file have to be here so that some of its columns can be read.

The file gets its full size at once and is filled only where it will be read: the footer, and the
chunks of the columns that are asked for. The rest stays a hole, which takes no room on the disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

Span = tuple[int, int]
"""A first byte, and the one behind the last."""

HEAD = 64 * 1024
"""So much of the beginning is looked at to see what a file is."""
TAIL = 64 * 1024
"""So much of the end holds most footers."""
_GAP = 256 * 1024
"""A hole that is smaller costs less to fetch than to leave out."""


def footer_of(tail: bytes, size: int) -> Span | None:
    """Where the footer is, by the last bytes of a file of this size; None if there is none."""
    if len(tail) < 12 or tail[-4:] not in (b"PAR1", b"PARE"):
        return None
    length = int.from_bytes(tail[-8:-4], "little") + 8
    return (size - length, size) if length <= size else None


def spans(path: Path, size: int, columns: Collection[str]) -> list[Span]:
    """What to fetch of the file, whose footer is at its place already.

    Everything but the chunks of other columns: what else stands between them (indexes, filters)
    is small, and the engine may look at it.
    """
    footer = _footer(path)
    if footer is None:
        return [(0, size)]
    known = footer.schema.to_arrow_schema().names
    if not set(columns) <= set(known):  # the engine calls them otherwise
        return [(0, size)]
    skipped = []
    for group in map(footer.row_group, range(footer.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            path_there = chunk.path_in_schema
            if not any(path_there == name or path_there.startswith(f"{name}.") for name in columns):
                start = chunk.data_page_offset
                if chunk.dictionary_page_offset is not None:
                    start = min(start, chunk.dictionary_page_offset)
                skipped.append((start, start + chunk.total_compressed_size))
    return without([(0, size)], joined(skipped, 0), least=_GAP)


def rows_of(path: Path) -> int:
    """How many rows the file has, by its footer; 1 if that is damaged, since nobody knows."""
    footer = _footer(path)
    return int(footer.num_rows) if footer is not None else 1


def _footer(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return None


def joined(spans: Sequence[Span], gap: int) -> list[Span]:
    """The spans in order, with those as one that are not further apart than `gap`."""
    found: list[Span] = []
    for start, stop in sorted(spans):
        if found and start <= found[-1][1] + gap:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((start, stop))
    return found


def without(spans: Sequence[Span], holes: Sequence[Span], least: int = 0) -> list[Span]:
    """The spans without what lies in the holes; holes shorter than `least` do not count."""
    found = []
    for start, stop in spans:
        for hole_start, hole_stop in holes:
            if hole_stop - hole_start < least or hole_stop <= start or hole_start >= stop:
                continue
            if hole_start > start:
                found.append((start, hole_start))
            start = hole_stop
        if start < stop:
            found.append((start, stop))
    return found


def cut(spans: Sequence[Span], longest: int) -> Iterator[Span]:
    """The spans in pieces of at most so many bytes."""
    for start, stop in spans:
        for at in range(start, stop, longest):
            yield at, min(at + longest, stop)
