"""Where a run's own files are compared: DuckDB again, but nobody's SQL runs on it.

The jailed engine sees the source and no file of the state; this one sees the files of the state
and never the source. What has to pass between the two is written down in the run's folder anyway.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from exportkit.durable import synced
from exportkit.engines.duckdb import DuckEngine, refuse_kept
from exportkit.engines.jail import open_connection
from exportkit.engines.parquet import SNAPSHOT_AWAY, read_batches
from exportkit.engines.sql import literal
from exportkit.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import duckdb
    import narwhals as nw

_GLOB = set("*?[")
_FULL = ("no space left", "quota exceeded", "file too large", "enough disk space")


@contextmanager
def open_desk(spill: Path) -> Iterator[Desk]:
    """A desk for one run; `spill` is a private folder for what memory cannot hold.

    Files are read late, so one that is damaged shows anywhere below: JournalError is raised then.
    """
    import duckdb

    desk = Desk(spill)
    try:
        yield desk
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise desk.blame(error) from None
    finally:
        desk.close()


class Desk(DuckEngine):
    """An engine that reads and writes Parquet by itself, on all cores; opened when it is used."""

    def __init__(self, spill: Path) -> None:
        super().__init__(lambda: open_connection(spill), self.blame)
        self._files: list[Path] = []

    def close(self) -> None:
        """Close what was opened."""
        if "_connection" in self.__dict__:
            self._connection.close()

    def load(
        self, path: Path, ranges: Sequence[tuple[int, int]] | None = None
    ) -> nw.LazyFrame[Any]:
        """A Parquet file, read anew each time it is used; or some of its rows, held."""
        import duckdb
        import narwhals as nw

        refuse_kept(path)
        self._files.append(path)
        if ranges is not None or _GLOB & set(str(path)):
            return super().load(path, ranges)
        try:
            return nw.from_native(self._connection.read_parquet(str(path))).lazy()
        except duckdb.Error as error:
            raise self.blame(error) from None

    def write(self, frame: nw.LazyFrame[Any], path: Path) -> int:
        """Write the frame as Parquet, replacing a file whole or not at all; answers its rows."""
        import duckdb

        draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
        query = frame.to_native().sql_query()
        try:
            os.close(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
            ((rows,),) = self._connection.execute(
                f"COPY ({query}) TO {literal(str(draft))}"
                " (FORMAT parquet, COMPRESSION lz4, USE_TMP_FILE false)"
            ).fetchall()
            synced(draft)
            draft.replace(path)
            synced(path.parent)
        except duckdb.Error as error:
            draft.unlink(missing_ok=True)
            raise self._explained(error) from None
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise JournalError(
                f"{path} cannot be written: {(error.strerror or 'failed').lower()}",
                hint="free some space or change `state:` in exportkit.yaml, then run again",
            ) from None
        return int(rows)

    def blame(self, error: duckdb.Error) -> JournalError:
        """What went wrong with the run's own files, without what the engine says of their rows."""
        said = str(error).lower()
        if any(words in said for words in _FULL):
            return JournalError(
                "the disk of the state folder is full",
                hint="free some space, then run again; nothing is lost",
            )
        # The engine reads many files at once and seldom says which of them it stumbled over.
        for path in self._files:
            try:
                for _ in read_batches(path):
                    pass
            except JournalError as found:
                return found
        return JournalError(
            f"a file of the state folder cannot be read or written ({type(error).__name__})",
            hint=f"look at the disk; if a snapshot is damaged, {SNAPSHOT_AWAY}",
        )
