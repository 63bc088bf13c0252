"""What is written down of a run while it goes on, and how its end is told."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from exportkit.access.audit import note
from exportkit.errors import ExportkitError
from exportkit.records import Counts, Failure, Run, RunStatus
from exportkit.redaction import describe, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exportkit.pipeline.handover import ReasonCount
    from exportkit.state.house import House

STATUSES: dict[str, RunStatus] = {
    "guard": "blocked",
    "permission": "blocked",
    "access_denied": "blocked",
    "busy": "deferred",
    "quota_spent": "deferred",
    "interrupted": "interrupted",
}
"""The status of a run that ended with an error of this kind; of any other it is `failed`."""

current_run: ContextVar[str | None] = ContextVar("current_run", default=None)
"""The id of the run that is on here, for who writes a line about it."""


def new_run_id(job: str) -> str:
    """A name for a run: sorts by time, says the job, and is not taken."""
    return f"{_now():%Y%m%dT%H%M%S}-{job}-{secrets.token_hex(3)}"


class Record:
    """One run in the journal: begun before anything of it can show, ended however it ends."""

    def __init__(self, house: House, job: str, run_id: str | None = None) -> None:
        self.run_id = run_id or new_run_id(job)
        self._planned = run_id is not None
        self.counts = Counts()
        self._house = house
        self._job = job
        self._started_at = _now()
        self._reasons: Sequence[ReasonCount] = ()
        self._failure: Failure | None = None
        self._begun = False
        self._columns: dict[str, Any] = {}

    def learn(self, counts: Counts, reasons: Sequence[ReasonCount]) -> None:
        """Take note of a plan: nothing of it has been sent yet."""
        self._reasons = reasons
        self.counts = counts_before_sending(counts)

    def begin(
        self,
        target: str = "",
        facts: Mapping[str, Any] | None = None,
        *,
        folded: bool = True,
    ) -> None:
        """Write the run into the journal, once. `folded` False: a later run has to take it up."""
        if not self._begun:
            self._house.journal.begin_run(
                self.run_id,
                self._job,
                self._started_at,
                target=target,
                facts=facts,
                folded=folded,
            )
            self._begun = True

    def note(self, **columns: object) -> None:
        """Add to what the journal will say of the run, together with its end."""
        self._columns.update(columns)

    @contextmanager
    def outcome(self) -> Iterator[None]:
        """Turn whatever the block raises into how the run ended."""
        token = current_run.set(self.run_id)
        try:
            yield
        except ExportkitError as error:
            hint = without_secrets(error.hint) if error.hint else None
            self._failure = Failure(error.kind, without_secrets(error.placed), hint)
        except Exception as error:  # noqa: BLE001 - the run fails, the host does not
            self._failure = Failure(
                "internal",
                f"exportkit has a defect: {describe(error)}",
                "please report this line; nothing personal is in it",
            )
        finally:
            current_run.reset(token)

    def fail(self, why: Failure) -> None:
        """Take note of why the run cannot begin."""
        self._failure = why

    def close(self) -> Run:
        """Write down how the run ended. Raises JournalError where that cannot be."""
        if self._planned and not self._begun:
            # Nothing of the plan was sent, so it can still be applied: its name stays free.
            self.run_id = new_run_id(self._job)
        run = Run(
            self.run_id,
            self._job,
            self._status(),
            self._started_at,
            _now(),
            self.counts,
            self._failure,
        )
        self.begin()
        reasons = [{"column": r.column, "reason": r.reason, "rows": r.rows} for r in self._reasons]
        self._house.journal.end_run(run, reasons=reasons, **self._columns)
        note(self._house.journal, "run", self._job, run_id=run.run_id, status=run.status)
        return run

    def _status(self) -> RunStatus:
        if self._failure is not None:
            return STATUSES.get(self._failure.kind, "failed")
        if self.counts.unsettled:
            return "failed"
        return "partial" if self.counts.rejected or self.counts.refused else "succeeded"


def not_begun(house: House, job: str, why: Failure) -> Run:
    """Write down a run that could not begin; answers it."""
    record = Record(house, job)
    record.fail(why)
    return record.close()


def counts_before_sending(planned: Counts) -> Counts:
    """A plan's counts as long as nothing was sent: what would go out has no answer yet."""
    from dataclasses import replace

    waiting = planned.added + planned.updated
    return replace(
        planned,
        added=0,
        updated=0,
        removed=0,
        sent=0,
        unsettled=planned.unsettled + waiting,
    )


def _now() -> datetime:
    return datetime.now(UTC)
