"""The journal's tables in a file: SQLite with a write-ahead log, and what to do when it fails."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import contextmanager
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any

from exportkit.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from exportkit.state.tables import Ask

_UNWRITABLE = "the user who runs exportkit has to be able to write to the state folder"
_REMEDY = (
    "move the file away (keep it), then run again: exportkit starts a new one. The snapshots still "
    "say what was delivered; what a run that died had sent is sent again"
)
_PATIENCE = 60
"""Seconds that a transaction waits for those of other processes."""
_LITTLE = 100_000
"""So few free bytes that SQLite, which can say no more than that I/O failed, found none."""
_DAMAGED = ("malformed", "not a database", "no such", "no column", "already exists")


class FileTables:
    """The tables in a file, which is made if need be; see `Tables`. Threads take turns.

    Raises JournalError where it cannot be opened.
    """

    remedy = _REMEDY
    order = "rowid"
    counter = "INTEGER"
    known = "SELECT 1 FROM sqlite_master WHERE name = 'schema'"

    def __init__(self, path: Path) -> None:
        self._path, self.where = path, str(path)
        self._turn = RLock()
        _make(path)
        with self._explained():
            # Left to itself sqlite3 would commit each CREATE TABLE at once.
            self._connection = sqlite3.connect(
                path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )

    def set_up(self) -> None:
        """Make every commit of this connection last. Raises JournalError where the file is none."""
        with self._explained():
            self._log_ahead()
            # In WAL mode only FULL syncs every commit, and intent has to survive a power loss.
            self._connection.execute("PRAGMA synchronous=FULL")

    def further(self) -> Sequence[str]:
        """Nothing: rows are numbered, and what runners share are files."""
        return ()

    @contextmanager
    def transaction(
        self,
        *,
        fenced: bool = False,  # noqa: ARG002 - the lock is the kernel's: no process that lives loses it
        alone: bool = False,
    ) -> Iterator[Ask]:
        """One transaction; those of other processes are waited for."""
        with self._turn, self._explained():
            self._connection.execute("BEGIN IMMEDIATE" if alone else "BEGIN")
            with self._connection:
                yield partial(_ask, self._connection)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _log_ahead(self) -> None:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                # While another process makes the file this fails at once, however patient.
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.01)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _failure(self._path, error) from None


def _ask(
    connection: sqlite3.Connection, statement: str, /, **values: object
) -> Sequence[Mapping[str, Any]]:
    cursor = connection.execute(statement, values)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _make(path: Path) -> None:
    try:
        # SQLite would make the file readable to all.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise JournalError(
            f"the journal {path} cannot be opened: {(error.strerror or 'failed').lower()}",
            hint=_REMEDY if path.is_dir() else _UNWRITABLE,
        ) from None


def _failure(path: Path, error: sqlite3.Error) -> JournalError:
    """What SQLite says of the journal, with what to do about it."""
    reason = str(error) or type(error).__name__
    if any(words in reason for words in _DAMAGED):
        return JournalError(f"the journal {path} is damaged: {reason}", hint=_REMEDY)
    if "I/O" in reason and shutil.disk_usage(path.parent).free < _LITTLE:
        reason = "the disk is full"
    hint = "look at the disk and the rights of the state folder, then run again: nothing is lost"
    return JournalError(f"the journal {path} does not work: {reason}", hint=hint)
