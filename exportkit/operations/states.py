"""How each job is: when it runs, how it went, how old its data are, and why it may not run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exportkit.engines.files.located import modified_at
from exportkit.errors import ExportkitError
from exportkit.operations.schedules import is_skip, next_time
from exportkit.pipeline.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from exportkit.config.job import Job
    from exportkit.config.workspace import Workspace
    from exportkit.host.loader import Host
    from exportkit.records import Run
    from exportkit.state.house import House

_LOOKED_AT = 20
"""How many runs back a result is looked for among those that were skipped."""


@dataclass(frozen=True, slots=True)
class JobState:
    """A job at one moment.

    `inactive` says why it cannot run. `running` is who runs it: pid, host, since. `last` is the
    last run that came to something. `next_at` is in the job's zone; None if it runs only by name.
    `refreshed_at` is when the source's newest file was written; None where that cannot be told.
    """

    job: Job
    inactive: str | None
    running: Mapping[str, Any] | None
    last: Run | None
    next_at: datetime | None
    refreshed_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """One entry of `status --json`."""
        return {
            "job": self.job.name,
            "active": self.inactive is None,
            "inactive": self.inactive,
            "schedule": self.job.schedule,
            "timezone": self.job.timezone,
            "next": self.next_at.isoformat() if self.next_at else None,
            "refreshed_at": self.refreshed_at.isoformat() if self.refreshed_at else None,
            "running": self.running,
            "last": self.last.as_dict() if self.last else None,
        }


def state_of(workspace: Workspace, host: Host, house: House, job: Job, now: datetime) -> JobState:
    """How a job is now, without asking its destination. Raises JournalError."""
    running = house.runner(job.name)
    latest = house.journal.runs(job.name, limit=_LOOKED_AT)
    # While a run is on, what it will come to is not known: the one before it is the last.
    over = [past.run for past in latest if past.finished_at or running is None]
    return JobState(
        job,
        _why_inactive(workspace, host, job),
        running,
        next((run for run in over if not is_skip(run)), None),
        next_time(job, now),
        _refreshed_at(workspace, job),
    )


def _why_inactive(workspace: Workspace, host: Host, job: Job) -> str | None:
    if job.connection is None:
        return "it has no connection"
    try:
        prepared = prepare(workspace, host, job)
    except ExportkitError as error:
        return error.complaints[0].placed
    if prepared.description.third_party and prepared.connection.consent is None:
        return f"nobody has agreed yet: exportkit connection authorize {job.connection}"
    return None


def _refreshed_at(workspace: Workspace, job: Job) -> datetime | None:
    try:
        return modified_at(workspace.source(job.source), workspace.root)
    except ExportkitError:
        return None
