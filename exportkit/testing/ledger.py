"""What the fault destination has taken: on the disk before it answers, so a killed process loses
none of it.

Times are seconds since the epoch. A *delivery* is one call that took rows; the same rows taken by
two calls are in the ledger twice, which is how tests find out.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

DeliveryState = Literal["half", "pending", "done", "failed"]
"""`half` of the batch was taken; `pending`: the receipt is not settled; `failed`: none of it was
taken after all."""

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS calls (
        call INTEGER PRIMARY KEY, hook TEXT NOT NULL, batch_id TEXT, rows INTEGER NOT NULL,
        pid INTEGER NOT NULL, at REAL NOT NULL);
    CREATE TABLE IF NOT EXISTS deliveries (
        call INTEGER PRIMARY KEY REFERENCES calls, batch_id TEXT NOT NULL, target TEXT NOT NULL,
        removes INTEGER NOT NULL, state TEXT NOT NULL, receipt TEXT UNIQUE,
        asked INTEGER NOT NULL DEFAULT 0, at REAL NOT NULL);
    CREATE INDEX IF NOT EXISTS deliveries_by_batch ON deliveries (batch_id);
    CREATE TABLE IF NOT EXISTS rows (
        call INTEGER NOT NULL REFERENCES deliveries, key TEXT NOT NULL, fields TEXT NOT NULL,
        refused INTEGER NOT NULL);
    CREATE INDEX IF NOT EXISTS rows_by_call ON rows (call);
    CREATE TABLE IF NOT EXISTS members (
        target TEXT NOT NULL, key TEXT NOT NULL, fields TEXT NOT NULL, PRIMARY KEY (target, key));
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a hook as it began: `number` counts all hooks, `rows` is the batch's length."""

    number: int
    hook: str
    batch_id: str | None
    rows: int
    pid: int
    at: float


@dataclass(frozen=True, slots=True)
class Given:
    """What came with one batch: the rows by key, and those of them that are refused."""

    batch_id: str
    target: str
    removes: bool
    rows: Mapping[str, Mapping[str, str | None]]
    refused: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Taken:
    """A call that took a batch, and how far it got. `refused` are keys of the batch."""

    call: int
    batch_id: str
    removes: bool
    state: DeliveryState
    receipt: str | None
    asked: int
    at: float
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row that was taken (or taken out): `fields` is its JSON, the same for the same values."""

    target: str
    key: str
    removes: bool
    fields: str


class Ledger:
    """An open ledger. Every method is one transaction, synced before it answers."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def begin(self, hook: str, batch_id: str | None = None, rows: int = 0) -> tuple[int, int]:
        """Write down that a call has begun: its number, and its number among those of its hook."""
        with self._connection as db:
            called = (hook, batch_id, rows, os.getpid(), time.time())
            cursor = db.execute(
                "INSERT INTO calls (hook, batch_id, rows, pid, at) VALUES (?, ?, ?, ?, ?)", called
            )
            (count,) = db.execute("SELECT count(*) FROM calls WHERE hook = ?", (hook,)).fetchone()
        return int(cursor.lastrowid or 0), int(count)

    def take(
        self, call: int, given: Given, state: DeliveryState, receipt: str | None = None
    ) -> None:
        """Record the rows of a batch; unless they are pending, the members change at once."""
        with self._connection as db:
            db.execute(
                "INSERT INTO deliveries (call, batch_id, target, removes, state, receipt, at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (call, given.batch_id, given.target, given.removes, state, receipt, time.time()),
            )
            db.executemany(
                "INSERT INTO rows (call, key, fields, refused) VALUES (?, ?, ?, ?)",
                (
                    (call, key, _json(fields), key in given.refused)
                    for key, fields in given.rows.items()
                ),
            )
            if state != "pending":
                self._enrol(call)

    def asked(self, receipt: str) -> Taken | None:
        """Count one more question about a receipt. None if there is no such receipt."""
        with self._connection as db:
            db.execute("UPDATE deliveries SET asked = asked + 1 WHERE receipt = ?", (receipt,))
        return next(iter(self._deliveries(receipt=receipt)), None)

    def settle(self, call: int, state: Literal["done", "failed"]) -> None:
        """Say for good what became of a pending delivery."""
        with self._connection as db:
            db.execute("UPDATE deliveries SET state = ? WHERE call = ?", (state, call))
            if state == "done":
                self._enrol(call)

    def find(self, batch_id: str) -> Taken | None:
        """The latest delivery that took the whole batch and has not failed."""
        found = self._deliveries(batch_id=batch_id)
        whole = [taken for taken in found if taken.state in ("pending", "done")]
        return whole[-1] if whole else None

    def calls(self, hook: str | None = None, after: int = 0) -> list[Call]:
        """The calls of a hook, or of all, later than number `after`, in order."""
        return [
            Call(*row)
            for row in self._connection.execute(
                "SELECT call, hook, batch_id, rows, pid, at FROM calls "
                "WHERE call > ? AND hook = coalesce(?, hook) ORDER BY call",
                (after, hook),
            )
        ]

    def deliveries(self) -> list[Taken]:
        """Every call that took rows, in order, failed ones too."""
        return self._deliveries()

    def rows(self, calls: Iterable[int] | None = None) -> list[Row]:
        """The rows that were taken, as often as they were; of some deliveries, or of all.

        Rows of pending deliveries count, refused ones and those of failed deliveries do not.
        """
        wanted = None if calls is None else set(calls)
        return [
            Row(target, key, bool(removes), fields)
            for call, target, key, removes, fields in self._connection.execute(
                "SELECT call, target, key, removes, fields FROM rows JOIN deliveries USING (call) "
                "WHERE state <> 'failed' AND NOT refused ORDER BY rows.rowid"
            )
            if wanted is None or call in wanted
        ]

    def members(self, target: str) -> dict[str, dict[str, str | None]]:
        """Who is on the list now, by key, with the values that were last taken."""
        found = self._connection.execute(
            "SELECT key, fields FROM members WHERE target = ? ORDER BY key", (target,)
        )
        return {key: json.loads(fields) for key, fields in found}

    def size(self, target: str) -> int:
        """How many are on the list now."""
        count = "SELECT count(*) FROM members WHERE target = ?"
        return int(self._connection.execute(count, (target,)).fetchone()[0])

    def _enrol(self, call: int) -> None:
        self._connection.execute(
            "DELETE FROM members WHERE (target, key) IN (SELECT target, key "
            "FROM rows JOIN deliveries USING (call) WHERE call = ? AND removes AND NOT refused)",
            (call,),
        )
        self._connection.execute(
            "INSERT OR REPLACE INTO members (target, key, fields) SELECT target, key, fields "
            "FROM rows JOIN deliveries USING (call) WHERE call = ? AND NOT removes AND NOT refused",
            (call,),
        )

    def _deliveries(self, batch_id: str | None = None, receipt: str | None = None) -> list[Taken]:
        found = self._connection.execute(
            "SELECT call, batch_id, removes, state, receipt, asked, at FROM deliveries "
            "WHERE batch_id = coalesce(?, batch_id) AND receipt IS coalesce(?, receipt) "
            "ORDER BY call",
            (batch_id, receipt),
        ).fetchall()
        refused = "SELECT key FROM rows WHERE call = ? AND refused ORDER BY rowid"
        return [
            Taken(
                call, batch_id, bool(removes), state, receipt, asked, at,
                tuple(key for (key,) in self._connection.execute(refused, (call,))),
            )
            for call, batch_id, removes, state, receipt, asked, at in found
        ]  # fmt: skip


@contextmanager
def open_ledger(folder: Path) -> Iterator[Ledger]:
    """The ledger in this folder, made if it is not there yet. Readers and a writer may meet."""
    folder.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(folder / "ledger.sqlite", timeout=30)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # in WAL mode only this syncs each commit
        connection.executescript(_SCHEMA)
        yield Ledger(connection)
    finally:
        connection.close()


def _json(fields: Mapping[str, str | None]) -> str:
    return json.dumps(fields, ensure_ascii=False, sort_keys=True)
