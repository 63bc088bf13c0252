"""The journal: runs, batches and the audit, in one SQLite file with a write-ahead log.

Or, where several runners share it, in their PostgreSQL: the same tables, the same statements.

It holds no personal data: ids, counts, times and receipts, never a key or a value. What a call is
about to do is durable here before the call leaves; its answer, after.
"""

# ruff: noqa: S608 - tables and columns are named by exportkit itself, and values are bound

from __future__ import annotations

import json
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from exportkit.errors import JournalError
from exportkit.state import audits, batches, runs
from exportkit.state.sqlite import FileTables
from exportkit.state.upgrades import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from exportkit.records import Operation, Run
    from exportkit.state.audits import AuditEntry
    from exportkit.state.batches import BatchState, JournaledBatch
    from exportkit.state.runs import JournaledRun
    from exportkit.state.shared import DatabaseShelf
    from exportkit.state.tables import Tables

    _Row = Mapping[str, Any]

_T = TypeVar("_T")
_RUNS = f"SELECT {runs.COLUMNS} FROM runs"
_OLD = (
    "SELECT run_id FROM runs"
    " WHERE job = :job AND started_at < :before AND folded AND run_id <> :latest"
)


class Journal:
    """An open journal. Every method is one transaction; writers on other processes wait.

    What writes batches is fenced: it fails once a lock is lost. `skew` is how far the clock of the
    journal's times is ahead of this host's. Every method raises JournalError.
    """

    def __init__(self, tables: Tables, *, skew: timedelta = timedelta(0)) -> None:
        self._tables = tables
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
        self._insert(
            "runs",
            run_id=run_id,
            job=job,
            target=target,
            status="running",
            started_at=_text(started_at),
            counts={},
            reasons=[],
            facts=dict(facts or {}),
            folded=folded,
        )

    def note_run(self, run_id: str, **columns: object) -> None:
        """Record what became known about a run: its counts, reasons or facts."""
        self._update("runs", "run_id", run_id, columns)

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
        these = {f"status{number}": status for number, status in enumerate(statuses)}
        query = f"{_RUNS} WHERE TRUE"
        if job is not None:
            query += " AND job = :job"
        if these:
            query += f" AND status IN ({', '.join(f':{name}' for name in these)})"
        # As they were written down, not by their times: a clock may have jumped between them.
        query += f" ORDER BY {self._tables.order} DESC{_limit(limit)}"
        return self._records(runs.run_of, query, job=job, **these)

    def open_runs(self, job: str, target: str) -> list[JournaledRun]:
        """Runs to this target whose answers are not in its snapshot yet, the earliest first."""
        query = f"{_RUNS} WHERE job = :job AND target = :target AND NOT folded"
        query += f" ORDER BY {self._tables.order}"
        return self._records(runs.run_of, query, job=job, target=target)

    def run(self, run_id: str) -> JournaledRun | None:
        """One run, or None."""
        found = self._records(runs.run_of, f"{_RUNS} WHERE run_id = :run_id", run_id=run_id)
        return found[0] if found else None

    def intend(
        self, batch_id: str, run_id: str, operation: Operation, first_row: int, rows: int
    ) -> None:
        """Record that a batch is about to be handed over."""
        self._insert(
            "batches",
            fenced=True,
            batch_id=batch_id,
            run_id=run_id,
            operation=operation,
            first_row=first_row,
            rows=rows,
            state="intended",
            refused=0,
            intended_at=_text(datetime.now(UTC) + self._skew),
        )

    def answer(
        self, batch_id: str, state: BatchState, *, receipt: str | None = None, refused: int = 0
    ) -> None:
        """Record what the destination said of a batch."""
        answered = {
            "state": state,
            "receipt": receipt,
            "refused": refused,
            "answered_at": _text(datetime.now(UTC)),
        }
        self._update("batches", "batch_id", batch_id, answered, fenced=True)

    def mark_folded(self, run_id: str) -> None:
        """Record that what is done of a run is in the snapshot, and whether anything is open."""
        with self._tables.transaction(fenced=True) as ask:
            ask(
                "UPDATE batches SET state = 'folded' WHERE run_id = :run_id AND state = 'done'",
                run_id=run_id,
            )
            ask(
                "UPDATE runs SET folded = TRUE WHERE run_id = :run_id AND NOT EXISTS (SELECT 1"
                " FROM batches b WHERE b.run_id = :run_id"
                " AND b.state IN ('intended', 'pending', 'unknown'))",
                run_id=run_id,
            )

    def dead_runs(self, job: str) -> list[str]:
        """Runs of the job without an end: whoever holds its lock knows that they are dead."""
        query = "SELECT run_id FROM runs WHERE job = :job AND finished_at IS NULL"
        return [row["run_id"] for row in self._read(query, job=job)]

    def interrupt(self, run_id: str) -> None:
        """Record that a run died: when, nobody knows; a later one has taken it up."""
        now = _text(datetime.now(UTC))
        self.note_run(run_id, status="interrupted", finished_at=now)

    def folded(self, job: str) -> dict[str, bool]:
        """Each run of the job: whether all that became of it is in the snapshot."""
        rows = self._read("SELECT run_id, folded FROM runs WHERE job = :job", job=job)
        return {row["run_id"]: bool(row["folded"]) for row in rows}

    def jobs(self) -> set[str]:
        """The jobs that ever ran, as far as it is remembered."""
        return {row["job"] for row in self._read("SELECT DISTINCT job FROM runs")}

    def forgettable(self, job: str, before: datetime, latest: str) -> int:
        """How many runs `forget` would remove."""
        return len(self._read(_OLD, job=job, before=_text(before), latest=latest))

    def forget(self, job: str, before: datetime, latest: str) -> None:
        """Remove the job's runs that began before, with their batches; not those still open."""
        if self.forgettable(job, before, latest):
            old = {"job": job, "before": _text(before), "latest": latest}
            with self._tables.transaction() as ask:
                ask(f"DELETE FROM batches WHERE run_id IN ({_OLD})", **old)
                ask(f"DELETE FROM runs WHERE run_id IN ({_OLD})", **old)

    def batches(self, run_id: str) -> list[JournaledBatch]:
        """The batches of a run, in the order in which they were handed over."""
        query = f"SELECT {batches.COLUMNS} FROM batches WHERE run_id = :run_id"
        query += " ORDER BY intended_at, batch_id"
        return self._records(partial(batches.batch_of, skew=self._skew), query, run_id=run_id)

    def audit(self, action: str, subject: str, user: str, host: str, **details: object) -> None:
        """Record who did what."""
        self._insert(
            "audit",
            at=_text(datetime.now(UTC)),
            user=user,
            host=host,
            action=action,
            subject=subject,
            details=details,
        )

    def audited(self, subject: str | None = None, limit: int | None = None) -> list[AuditEntry]:
        """Who did what, of one subject or of all, the latest first."""
        where = "" if subject is None else " WHERE subject = :subject"
        query = f"SELECT {audits.COLUMNS} FROM audit{where} ORDER BY entry DESC{_limit(limit)}"
        return self._records(audits.entry_of, query, subject=subject)

    def _insert(self, table: str, *, fenced: bool = False, **row: object) -> None:
        names = ", ".join(f'"{column}"' for column in row)
        values = ", ".join(f":{column}" for column in row)
        self._write(f"INSERT INTO {table} ({names}) VALUES ({values})", row, fenced=fenced)

    def _update(
        self, table: str, key: str, value: str, columns: Mapping[str, object], fenced: bool = False
    ) -> None:
        changes = ", ".join(f'"{column}" = :{column}' for column in columns)
        statement = f"UPDATE {table} SET {changes} WHERE {key} = :{key}"
        self._write(statement, {key: value, **columns}, fenced=fenced)

    def _write(self, statement: str, values: Mapping[str, object], *, fenced: bool) -> None:
        plain = {
            name: json.dumps(value) if isinstance(value, dict | list | tuple) else value
            for name, value in values.items()
        }
        with self._tables.transaction(fenced=fenced) as ask:
            ask(statement, **plain)

    def _records(self, made: Callable[[_Row], _T], statement: str, **values: object) -> list[_T]:
        rows = self._read(statement, **values)
        try:
            return [made(row) for row in rows]
        except (TypeError, ValueError):
            raise JournalError(
                f"the journal {self._tables.where} is damaged: a row says what exportkit never "
                "writes",
                hint=self._tables.remedy,
            ) from None

    def _read(self, statement: str, **values: object) -> Sequence[_Row]:
        with self._tables.transaction() as ask:
            return ask(statement, **values)


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """The journal, made or upgraded if need be.

    Raises JournalError where the file is damaged, newer than this version, or cannot be written.
    """
    with closing(FileTables(path)) as tables:
        tables.set_up()
        prepare(tables)
        yield Journal(tables)


@contextmanager
def open_shared_journal(shelf: DatabaseShelf) -> Iterator[Journal]:
    """The journal of a state in a database. Raises JournalError where it cannot be reached."""
    yield Journal(shelf.tables, skew=shelf.skew())


def _limit(limit: int | None) -> str:
    return "" if limit is None else f" LIMIT {limit:d}"


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
