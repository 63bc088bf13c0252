"""One run of a job at a time on all hosts: a lock belongs to a session of the database.

When the session's process or host dies, the server ends the session and frees its locks: no clock
of any host has a say. Who holds a lock stands in a table, under a token that nobody else has. What
must not be written by somebody who has lost his lock is written in that very session, in a
transaction that holds on to the token: the next holder cannot come before it is over.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import time
from contextlib import ExitStack, contextmanager, suppress
from threading import RLock
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from exportkit.errors import BusyError, JournalError
from exportkit.state.locks import busy
from exportkit.state.sharedtables import holders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exportkit.state.postgresql import Database

PATIENCE = 0.25
"""Seconds in which a session that has just ended gives its locks back."""
_PAUSE = 0.02


class Locks:
    """The locks that this process holds, in one session; it lasts from the first to the last."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._opened = ExitStack()
        self._session: sa.Connection | None = None
        self._tokens: dict[str, str] = {}
        self._lost = False

    @contextmanager
    def held(self, name: str, what: str, patience: float = PATIENCE) -> Iterator[None]:
        """Hold the lock while the block runs. Raises BusyError after `patience` seconds."""
        if name in self._tokens and not self._lost:
            raise busy(self.holder(name) or {}, what)
        token = self._acquire(name, what, patience)
        try:
            yield
        finally:
            self._release(name, token)

    def holder(self, name: str) -> dict[str, Any] | None:
        """Who holds the lock: pid, host, since. None if nobody does."""
        high, low = divmod(key_of(self._database.schema, name) % 2**64, 2**32)
        query = sa.text(
            "SELECT h.pid, h.host, h.since FROM pg_locks l"
            " LEFT JOIN holders h ON h.lock = :name AND h.session = l.pid"
            " WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted"
            " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND l.classid = CAST(:high AS bigint)::oid AND l.objid = CAST(:low AS bigint)::oid"
        )
        values = {"name": name, "high": high, "low": low}
        with self._database.explained(), self._database.engine.connect() as connection:
            row = connection.execute(query, values).first()
        if row is None:
            return None
        return {} if row.pid is None else {"pid": row.pid, "host": row.host, "since": row.since}

    def still_held(self) -> None:
        """Return if all that is held still is. Raises JournalError if it was lost."""
        if self._tokens:
            with self.fenced():
                pass

    @contextmanager
    def fenced(self) -> Iterator[sa.Connection]:
        """A transaction that is only if every lock is still held, or a plain one if none is.

        Raises JournalError if one was lost.
        """
        if not self._tokens:
            with self._database.begin() as connection:
                yield connection
            return
        if self._lost or self._session is None or self._session.invalidated:
            raise self._loss()
        mine = set(self._tokens.values())
        query = sa.select(holders.c.token).where(holders.c.token.in_(mine))
        with self._database.explained(self._loss), self._session.begin():
            found = set(self._session.scalars(query.with_for_update(read=True)))
            if found != mine:
                raise self._loss()
            yield self._session

    def _acquire(self, name: str, what: str, patience: float) -> str:
        if self._lost or self._session is None:
            self.close()
            self._session = self._opened.enter_context(self._database.session())
        session, until = self._session, time.monotonic() + patience
        key = key_of(self._database.schema, name)
        token = secrets.token_hex(16)
        while True:
            try:
                with self._database.explained(self._loss), session.begin():
                    if session.scalar(sa.select(sa.func.pg_try_advisory_lock(key))):
                        _write_down(session, name, token)
                        break
            except JournalError:
                self._end_if_idle()  # it may have the lock, and nothing to show for it
                raise
            if time.monotonic() >= until:
                self._end_if_idle()
                raise busy(self.holder(name) or {}, what)
            time.sleep(_PAUSE)
        self._tokens[name] = token
        return token

    def _release(self, name: str, token: str) -> None:
        if self._tokens.get(name) != token:
            return  # it was lost, and the session with it
        session = self._session
        with suppress(JournalError):  # then the session is gone, and the lock too
            if session is not None and not self._lost and not session.invalidated:
                with self._database.explained(self._loss), session.begin():
                    session.execute(sa.delete(holders).where(holders.c.token == token))
                    key = key_of(self._database.schema, name)
                    session.scalar(sa.select(sa.func.pg_advisory_unlock(key)))
        self._tokens.pop(name, None)
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if not self._tokens:
            self.close()

    def _loss(self) -> JournalError:
        self._lost = True
        return JournalError(
            f"the session that held the lock in {self._database.shown} is gone, so another runner "
            "may have taken over",
            hint="nothing was sent after that; run the job again: it asks first what became of the "
            "last call",
        )

    def close(self) -> None:
        """End the session, and so give back whatever it holds."""
        with suppress(sa.exc.SQLAlchemyError, JournalError):
            self._opened.close()
        self._opened = ExitStack()
        self._session, self._lost = None, False
        self._tokens.clear()


class SessionLock:
    """A lock to wait for, as `filelock` has it: one thread may take it again while it holds it."""

    def __init__(self, database: Database, name: str) -> None:
        self._database, self._name = database, name
        self._here = RLock()
        self._taken: list[ExitStack] = []

    def acquire(self, timeout: float) -> None:
        """Take it. Raises `filelock.Timeout` after so many seconds, JournalError."""
        from filelock import Timeout

        if not self._here.acquire(timeout=timeout):
            raise Timeout(self._name)
        stack = ExitStack()
        try:
            if not self._taken:
                lock = Locks(self._database).held(self._name, self._name, timeout)
                stack.enter_context(lock)
        except BusyError:
            self._here.release()
            raise Timeout(self._name) from None
        except BaseException:
            self._here.release()
            raise
        self._taken.append(stack)

    def release(self) -> None:
        """Give it back, once for each time that it was taken."""
        self._taken.pop().close()
        self._here.release()


def _write_down(session: sa.Connection, name: str, token: str) -> None:
    from sqlalchemy.dialects.postgresql import insert

    now = "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"+00:00\"')"
    row = {
        "token": token,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": sa.literal_column(now),
        "session": sa.func.pg_backend_pid(),
    }
    entry = insert(holders).values(lock=name, **row)
    session.execute(entry.on_conflict_do_update(index_elements=["lock"], set_=row))


def key_of(schema: str, name: str) -> int:
    """The number of a lock; two workspaces in one database have different ones."""
    digest = hashlib.sha256(f"exportkit\n{schema}\n{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
