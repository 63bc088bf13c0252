"""All that the report shows, gathered once: jobs with their runs, connections, calls by day."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from exportkit.config.cron import times_of
from exportkit.operations.connections import facts_of
from exportkit.operations.measuring import usage_here
from exportkit.operations.schedules import is_skip
from exportkit.pipeline.rejections import refused_because
from exportkit.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exportkit.config.job import Job
    from exportkit.config.workspace import Workspace
    from exportkit.errors import Complaint
    from exportkit.operations.connections import ConnectionFacts
    from exportkit.state.house import House
    from exportkit.state.runs import JournaledRun
    from exportkit.state.usage import KeyUsage

RUNS_SHOWN = 60
GRACE = timedelta(hours=1)
"""How long after its time a run may begin before it counts as missing."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why rows were not delivered. `by` is exportkit (a check) or destination (it said no)."""

    by: str
    column: str
    reason: str
    rows: int


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with its last runs that are over, the earliest first.

    `next_at` is when it falls due; `missed_at` a time at which it should have run and did not.
    """

    job: Job
    runs: tuple[JournaledRun, ...]
    reasons: tuple[Reason, ...] = ()
    running: Mapping[str, Any] | None = None
    next_at: datetime | None = None
    missed_at: datetime | None = None

    @property
    def last(self) -> JournaledRun | None:
        """The last run that is over."""
        return self.runs[-1] if self.runs else None

    @property
    def running_since(self) -> datetime | None:
        """When the run that is on began, if whoever holds the lock said so."""
        return datetime.fromisoformat(self.running["since"]) if self.running else None

    @property
    def active(self) -> bool:
        """Whether the job has a connection, so that it can run."""
        return self.job.connection is not None


@dataclass(frozen=True, slots=True)
class Overview:
    """A workspace at one moment; `now` is in the zone that times are shown in."""

    name: str
    now: datetime
    jobs: tuple[JobView, ...] = ()
    connections: tuple[ConnectionFacts, ...] = ()
    usage: tuple[KeyUsage, ...] = ()
    broken: tuple[Complaint, ...] = ()
    people: Mapping[str, tuple[str, ...]] | None = None
    refresh: str = field(default="exportkit report")


def overview_of(workspace: Workspace, house: House, now: datetime) -> Overview:
    """Gather it. Raises JournalError where the journal cannot be read."""
    jobs, connections = workspace.jobs(), workspace.connections()
    roles = workspace.roles
    people = {"admin": roles.admin, "contributor": roles.contributor} if roles else None
    return Overview(
        name=workspace.root.name or str(workspace.root),
        now=now,
        jobs=tuple(_view(house, job, now) for job in jobs.items),
        connections=tuple(facts_of(workspace, house, each) for each in connections.items),
        usage=tuple(usage_here(workspace)),
        broken=(*jobs.complaints, *workspace.sources().complaints, *connections.complaints),
        people=people,
    )


def _view(house: House, job: Job, now: datetime) -> JobView:
    running = house.runner(job.name)
    latest = house.journal.runs(job.name, limit=2 * RUNS_SHOWN)
    over = [run for run in latest if run.finished_at or running is None]
    results = tuple(reversed([run for run in over if not is_skip(run.run)][:RUNS_SHOWN]))
    times = times_of(job.schedule, job.timezone) if job.connection else None
    due = times.latest(now - GRACE) if times and results and running is None else None
    began = max((run.started_at for run in latest), default=None)
    return JobView(
        job,
        results,
        _reasons(house, results[-1]) if results else (),
        running,
        times.after(now) if times else None,
        due if due and began and began < due else None,
    )


def _reasons(house: House, run: JournaledRun) -> tuple[Reason, ...]:
    """Why rows of a run were not delivered, the most frequent first; nothing personal."""
    found: Counter[tuple[str, str, str]] = Counter()
    for entry in run.reasons:
        found["exportkit", field_name(entry["column"]), entry["reason"]] += entry["rows"]
    folder = house.state.run(run.run_id)
    if run.counts.refused:
        house.shelf.bring(folder / "refused")
    for (column, reason), rows in refused_because(folder).items():
        # Redacted, many that quoted a person each may become one.
        found["destination", field_name(column), redact(reason)] += rows
    return tuple(Reason(*why, rows) for why, rows in found.most_common())


def field_name(column: str | None) -> str:
    """A field as people know it: a key that is carried along has no name of its own."""
    return "key" if column is None or column.startswith("exportkit_") else column
