"""What every engine can do with a frame, and the names of the columns that the host carries along.

A frame is a lazy narwhals frame; where its rows live is the engine's affair. What leaves an engine
does so as Arrow, and what comes in does too, so the engine itself needs no file but its source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    import narwhals as nw
    import pyarrow as pa

KEY = "exportkit_key"
"""Who the row is about, as text: what two spellings of one key have in common."""
SOURCE_KEY = "exportkit_source_key"
"""The source's own key, as text; it decides ties."""
PREFER = "exportkit_prefer"
"""The column of `on_duplicate.prefer`, in its own type."""
SUPPRESSED = "exportkit_suppressed"
"""True for a person whom the job's `suppress:` names."""
KEPT = ".cluster"
"""The ending of a file that only says where on a cluster its rows are kept."""
FAULT = "exportkit_fault"
"""Which check the row fails: an index into the mapping's checks, null where none."""


class Engine(Protocol):
    """Where frames live during one run.

    `here` says that this is the process itself, so that rows can wait in the engine until they are
    sent; another engine computes elsewhere, and what comes back is written down first. `keeps`
    says that what was delivered lies with the engine too, so that it is compared there.
    """

    @property
    def here(self) -> bool: ...
    @property
    def keeps(self) -> bool: ...

    def hold(self, frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """The frame computed once and kept until the run ends; on disk if memory is short."""

    def table(self, rows: pa.Table) -> nw.LazyFrame[Any]:
        """A small Arrow table as a frame."""

    def load(
        self, path: Path, ranges: Sequence[tuple[int, int]] | None = None
    ) -> nw.LazyFrame[Any]:
        """A Parquet file that `write` made, or (first row, rows) of it, as a frame."""

    def write(self, frame: nw.LazyFrame[Any], path: Path) -> int:
        """Write the frame as a Parquet file, mode 0600 and synced to disk; answers its rows."""

    def passing(
        self, frame: nw.LazyFrame[Any], path: Path
    ) -> Generator[pa.RecordBatch, None, None]:
        """The frame's rows in batches, written as such a file on the way."""

    def keep(self, frame: nw.LazyFrame[Any], path: Path) -> int:
        """Keep the frame beyond the run, where `load` finds it by this path; answers its rows.

        `path` is a file of this machine: one that `write` made, or with the ending KEPT a few words
        that say where on the cluster the rows are.
        """

    def forget(self, path: Path) -> None:
        """Remove what `keep` kept under this path."""

    def clear(self) -> None:
        """Forget every held frame: what was taken out of them is in files now."""


def collect(frame: nw.LazyFrame[Any]) -> pa.Table:
    """The frame as an Arrow table: for counts and small answers, never for profiles."""
    table: pa.Table = frame.collect("pyarrow").to_native()
    return table


def aligned(frame: nw.LazyFrame[Any], columns: Sequence[str]) -> nw.LazyFrame[Any]:
    """The key and these text columns; one that the frame does not have is null."""
    import narwhals as nw

    known = set(frame.collect_schema().names())
    missing = nw.lit(None, dtype=nw.String)
    return frame.select(
        KEY, *(nw.col(name) if name in known else missing.alias(name) for name in columns)
    )


def count_rows(frame: nw.LazyFrame[Any]) -> int:
    """How many rows the frame has."""
    import narwhals as nw

    return int(collect(frame.select(nw.len().alias("rows")))["rows"][0].as_py())
