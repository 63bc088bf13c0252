"""What `run` is to do: jobs by name, all that have a schedule, or those that are due."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exportkit.errors import ConfigError, ExportkitError, UsageError
from exportkit.operations.schedules import Due, active, due_jobs, in_order, is_news
from exportkit.pipeline.prepare import prepare
from exportkit.pipeline.record import not_begun
from exportkit.records import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from exportkit.config.job import Job
    from exportkit.config.workspace import Workspace
    from exportkit.errors import Complaint
    from exportkit.host.loader import Host
    from exportkit.pipeline.prepare import Prepared
    from exportkit.records import Run
    from exportkit.state.house import House


@dataclass(frozen=True, slots=True)
class Task:
    """A job to run: with all that it names, or with the reason why it cannot be run."""

    job: Job
    prepared: Prepared | None = None
    error: ExportkitError | None = None
    due: Due | None = None

    def ended(self, run: Run) -> None:
        """Remember up to when the job's times have been run."""
        if self.due is not None:
            self.due.ended(run)


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks in their order, and files of jobs of which nobody can tell whether they are due.

    `news` is false where the last call for what is due said the same of these files.
    """

    tasks: tuple[Task, ...]
    unreadable: tuple[Complaint, ...] = ()
    news: bool = True


def named_tasks(workspace: Workspace, host: Host, names: Sequence[str]) -> Tasks:
    """These jobs. Raises one ConfigError with everything that is wrong, before the first begins."""
    prepared: dict[str, Prepared] = {}
    wrong: list[Complaint] = []
    for name in names:
        try:
            # A job that is named twice, by name and by file, is one.
            ready = _ready(workspace, host, workspace.job(name))
            prepared[ready.job.name] = ready
        except ConfigError as error:
            wrong += [complaint for complaint in error.complaints if complaint not in wrong]
    if wrong:
        raise ConfigError(complaints=wrong)
    return Tasks(tuple(Task(ready.job, ready) for ready in prepared.values()))


def all_tasks(workspace: Workspace, host: Host) -> Tasks:
    """Every job with a schedule and a connection; one that is wrong keeps no other from running.

    Raises UsageError if there is none.
    """
    listing = workspace.jobs()
    jobs = active(listing.items)
    if not jobs and not listing.complaints:
        raise UsageError(
            "no job has a schedule", hint="name the jobs to run, or add `schedule:` to them"
        )
    tasks = [_task(workspace, host, job) for job in in_order(jobs, datetime.now(UTC))]
    return Tasks(tuple(tasks), listing.complaints)


@contextmanager
def due_tasks(workspace: Workspace, plugins: Callable[[], Host], house: House) -> Iterator[Tasks]:
    """The jobs that are due now; no other process takes them while the block runs.

    Plugins are loaded only if there is one: most minutes nothing is due.
    """
    listing = workspace.jobs()
    with due_jobs(house.state, listing.items, datetime.now(UTC)) as found:
        tasks = [
            _task(workspace, plugins(), each.job, each)
            if isinstance(each, Due) and each.error is None
            else Task(each.job, error=each.error, due=each if isinstance(each, Due) else None)
            for each in found
        ]
        news = is_news(house.state, "\n".join(map(str, listing.complaints)))
        yield Tasks(tuple(tasks), listing.complaints, news)


def refused(task: Task, house: House, error: ExportkitError) -> Run:
    """The run of a job that could not begin, written down like any other."""
    return not_begun(house, task.job.name, Failure(error.kind, error.placed, error.hint))


def _task(workspace: Workspace, host: Host, job: Job, due: Due | None = None) -> Task:
    try:
        return Task(job, _ready(workspace, host, job), due=due)
    except ExportkitError as error:
        return Task(job, error=error, due=due)


def _ready(workspace: Workspace, host: Host, job: Job) -> Prepared:
    ready = prepare(workspace, host, job)
    ready.resolved_connection()  # an unset variable is found before the first job runs
    return ready
