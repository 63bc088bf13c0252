"""The journal: runs, batches and the audit, in one SQLite file with a write-ahead log.

Or, where several runners share it, in their PostgreSQL: the same tables, the same statements.

It holds no personal data: ids, counts, times and receipts, never a key or a value. What a call is
about to do is durable here before the call leaves; its answer, after.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from exportkit.errors import JournalError
from exportkit.state.audits import AuditEntry, entry_of
from exportkit.state.batches import BatchState, JournaledBatch
from exportkit.state.failures import AWAY, UNWRITABLE, journal_error
from exportkit.state.runs import run_of
from exportkit.state.tables import audit as _audit
from exportkit.state.tables import batches as _batches
from exportkit.state.tables import old_runs
from exportkit.state.tables import runs as _runs
from exportkit.state.upgrades import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy.exc import SQLAlchemyError

    from exportkit.errors import ExportkitError
    from exportkit.records import Operation, Run
    from exportkit.state.runs import JournaledRun
    from exportkit.state.shared import DatabaseShelf


class Journal:
    """An open journal. Every method is one transaction; writers on other processes wait.

    `fenced` opens the transactions in which batches are written, if they are to fail once a lock is
    lost; `skew` is how far the clock of the journal's times is ahead of this host's.
    """

    def __init__(
        self,
        engine: sa.Engine,
        explain: Callable[[SQLAlchemyError], ExportkitError],
        *,
        order: sa.ColumnElement[Any] | None = None,
        fenced: Callable[[], AbstractContextManager[sa.Connection]] | None = None,
        skew: timedelta = timedelta(0),
    ) -> None:
        self._engine = engine
        self._explain = explain
        # As they were written down, not by their times: a clock may have jumped between them.
        self._order = sa.literal_column("runs.rowid") if order is None else order
        self._fenced = fenced or engine.begin
        self._skew = skew

    def begin_run(
        self,
        run_id: str,
        job: str,
        started_at: datetime,
        *,
        target: str = "",
        facts: Mapping[str, Any] | None = None,
        folded: bool = True,
    ) -> None:
        """Record that a run has begun. One that is not `folded` has to be taken up if it dies."""
        row = {
            "run_id": run_id,
            "job": job,
            "target": target,
            "status": "running",
            "started_at": _text(started_at),
            "counts": {},
            "reasons": [],
            "facts": dict(facts or {}),
            "folded": folded,
        }
        self._write(sa.insert(_runs).values(**row))

    def note_run(self, run_id: str, **columns: object) -> None:
        """Record what became known about a run: its counts, reasons or facts."""
        self._write(sa.update(_runs).where(_runs.c.run_id == run_id).values(**columns))

    def end_run(self, run: Run, **columns: object) -> None:
        """Record how a run ended, and what else is to be noted of it."""
        self.note_run(
            run.run_id,
            status=run.status,
            finished_at=_text(run.finished_at),
            counts=run.counts.as_dict(),
            error=run.as_dict()["error"],
            **columns,
        )

    def runs(
        self,
        job: str | None = None,
        limit: int | None = None,
        statuses: Sequence[str] = (),
    ) -> list[JournaledRun]:
        """The runs of a job, or of all, the latest first; only those of these statuses, if any."""
        query = sa.select(_runs).order_by(self._order.desc())
        if job is not None:
            query = query.where(_runs.c.job == job)
        if statuses:
            query = query.where(_runs.c.status.in_(statuses))
        return [run_of(row) for row in self._read(query.limit(limit))]

    def open_runs(self, job: str, target: str) -> list[JournaledRun]:
        """Runs to this target whose answers are not in its snapshot yet, the earliest first."""
        query = sa.select(_runs).where(
            _runs.c.job == job,
            _runs.c.target == target,
            _runs.c.folded.is_(False),
        )
        return [run_of(row) for row in self._read(query.order_by(self._order))]

    def run(self, run_id: str) -> JournaledRun | None:
        """One run, or None."""
        rows = self._read(sa.select(_runs).where(_runs.c.run_id == run_id))
        return run_of(rows[0]) if rows else None

    def intend(
        self, batch_id: str, run_id: str, operation: Operation, first_row: int, rows: int
    ) -> None:
        """Record that a batch is about to be handed over."""
        self._write_fenced(
            sa.insert(_batches).values(
                batch_id=batch_id,
                run_id=run_id,
                operation=operation,
                first_row=first_row,
                rows=rows,
                state="intended",
                refused=0,
                intended_at=_text(datetime.now(UTC) + self._skew),
            )
        )

    def answer(
        self, batch_id: str, state: BatchState, *, receipt: str | None = None, refused: int = 0
    ) -> None:
        """Record what the destination said of a batch."""
        self._write_fenced(
            sa.update(_batches)
            .where(_batches.c.batch_id == batch_id)
            .values(
                state=state,
                receipt=receipt,
                refused=refused,
                answered_at=_text(datetime.now(UTC)),
            )
        )

    def mark_folded(self, run_id: str) -> None:
        """Record that what is done of a run is in the snapshot, and whether anything is open."""
        mine = _batches.c.run_id == run_id
        still = sa.select(_batches.c.batch_id).where(
            mine, _batches.c.state.in_(("intended", "pending", "unknown"))
        )
        fold = sa.update(_batches).where(mine, _batches.c.state == "done").values(state="folded")
        close = sa.update(_runs).where(_runs.c.run_id == run_id, ~sa.exists(still))
        with self._explained(), self._fenced() as connection:
            connection.execute(fold)
            connection.execute(close.values(folded=True))

    def dead_runs(self, job: str) -> list[str]:
        """Runs of the job without an end: whoever holds its lock knows that they are dead."""
        query = sa.select(_runs.c.run_id).where(_runs.c.job == job, _runs.c.finished_at.is_(None))
        return [row.run_id for row in self._read(query)]

    def interrupt(self, run_id: str) -> None:
        """Record that a run died: when, nobody knows; a later one has taken it up."""
        now = _text(datetime.now(UTC))
        self.note_run(run_id, status="interrupted", finished_at=now)

    def folded(self, job: str) -> dict[str, bool]:
        """Each run of the job: whether all that became of it is in the snapshot."""
        query = sa.select(_runs.c.run_id, _runs.c.folded).where(_runs.c.job == job)
        return {row.run_id: row.folded for row in self._read(query)}

    def jobs(self) -> set[str]:
        """The jobs that ever ran, as far as it is remembered."""
        return {row.job for row in self._read(sa.select(_runs.c.job).distinct())}

    def forgettable(self, job: str, before: datetime, latest: str) -> int:
        """How many runs `forget` would remove."""
        return len(self._read(old_runs(job, _text(before), latest)))

    def forget(self, job: str, before: datetime, latest: str) -> None:
        """Remove the job's runs that began before, with their batches; not those still open."""
        old = old_runs(job, _text(before), latest)
        if self._read(old.limit(1)):
            with self._explained(), self._engine.begin() as connection:
                connection.execute(sa.delete(_batches).where(_batches.c.run_id.in_(old)))
                connection.execute(sa.delete(_runs).where(_runs.c.run_id.in_(old)))

    def batches(self, run_id: str) -> list[JournaledBatch]:
        """The batches of a run, in the order in which they were handed over."""
        query = sa.select(_batches).where(_batches.c.run_id == run_id)
        query = query.order_by(_batches.c.intended_at, _batches.c.batch_id)
        return [
            JournaledBatch(
                row.batch_id,
                row.run_id,
                row.operation,
                row.first_row,
                row.rows,
                row.state,
                row.receipt,
                row.refused,
                _text(datetime.fromisoformat(row.intended_at) - self._skew),
            )
            for row in self._read(query)
        ]

    def audit(self, action: str, subject: str, user: str, host: str, **details: object) -> None:
        """Record who did what."""
        self._write(
            sa.insert(_audit).values(
                at=_text(datetime.now(UTC)),
                user=user,
                host=host,
                action=action,
                subject=subject,
                details=details,
            )
        )

    def audited(self, subject: str | None = None, limit: int | None = None) -> list[AuditEntry]:
        """Who did what, of one subject or of all, the latest first."""
        query = sa.select(_audit).order_by(_audit.c.entry.desc()).limit(limit)
        if subject is not None:
            query = query.where(_audit.c.subject == subject)
        return [entry_of(row) for row in self._read(query)]

    def _write(self, statement: sa.Executable) -> None:
        with self._explained(), self._engine.begin() as connection:
            connection.execute(statement)

    def _write_fenced(self, statement: sa.Executable) -> None:
        with self._explained(), self._fenced() as connection:
            connection.execute(statement)

    def _read(self, statement: sa.Executable) -> list[Any]:
        with self._explained(), self._engine.connect() as connection:
            return list(connection.execute(statement))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            raise self._explain(error) from None


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """The journal, made or upgraded if need be.

    Raises JournalError where the file is damaged, newer than this version, or cannot be written.
    """
    try:
        # SQLite would make the file readable to all.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise JournalError(
            f"the journal {path} cannot be opened: {(error.strerror or 'failed').lower()}",
            hint=AWAY if path.is_dir() else UNWRITABLE,
        ) from None
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 60})
    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", _begin)
    explain = partial(journal_error, path)
    try:
        try:
            prepare(engine, path)
        except sa.exc.SQLAlchemyError as error:
            raise explain(error) from None
        yield Journal(engine, explain)
    finally:
        engine.dispose()


@contextmanager
def open_shared_journal(shelf: DatabaseShelf) -> Iterator[Journal]:
    """The journal of a state in a database. Raises JournalError where it cannot be reached."""
    database = shelf.database
    yield Journal(
        database.engine,
        database.failure,
        order=sa.literal_column("runs.number"),
        fenced=shelf.fenced,
        skew=shelf.skew(),
    )


def _configure(connection: Any, _record: object) -> None:
    # Left to itself sqlite3 would commit each CREATE TABLE at once; `_begin` begins transactions.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    # In WAL mode only FULL syncs every commit, and intent has to survive a power loss.
    connection.execute("PRAGMA synchronous=FULL")


def _begin(connection: sa.Connection) -> None:
    alone = connection.get_execution_options().get("alone", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if alone else "BEGIN")


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
