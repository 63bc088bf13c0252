"""`run --due`: which jobs fell due since their last scheduled run, each taken by one process.

What is remembered of a job is its mark: up to when its times have been run. Many missed times are
one time, the latest. A job is seen for the first time when `run --due` meets its schedule, and is
due at the next time after that; the minute in which it is seen counts.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from exportkit.config.cron import times_of
from exportkit.errors import BusyError, InterruptedRun, JournalError
from exportkit.state.folder import fingerprint, write_durably
from exportkit.state.locks import SKIPPED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from exportkit.config.job import Job
    from exportkit.errors import ExportkitError
    from exportkit.records import Run
    from exportkit.state.folder import StateFolder

MOST_TRIES = 3
"""How often a time is begun whose runs are stopped or killed before they end."""
CLOCK_WAS_WRONG = timedelta(days=1)
"""A mark further in the future than this was written by a clock that was wrong."""

_LOOKED, _SAID = "looked", "said"


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to when the times of a job have been run.

    `begun` is the time that a run was begun for last, `tries` how often; `skipped` is the time
    that was said to be skipped because a run was on. Times are texts, in UTC.
    """

    schedule: str
    since: str
    begun: str = ""
    tries: int = 0
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Due:
    """A job that fell due at `at`. `error` says why it cannot run even so."""

    job: Job
    at: datetime
    state: StateFolder
    mark: Mark
    error: ExportkitError | None = None

    def ended(self, run: Run) -> None:
        """Remember how it went. What was stopped, or did not begin, stays due."""
        if is_skip(run):
            self._write(replace(self.mark, skipped=_text(self.at), tries=0, begun=""))
        elif run.status != "interrupted" or self.error is not None:
            self._write(replace(self.mark, since=_text(self.at), tries=0, begun=""))

    def _write(self, mark: Mark) -> None:
        _write(self.state, _file(self.state, self.job), mark)


@dataclass(frozen=True, slots=True)
class Skip:
    """A job that fell due at `at` while a run of it was on; said once for each time."""

    job: Job
    at: datetime
    error: ExportkitError


def is_skip(run: Run) -> bool:
    """Whether nothing of the run was begun because another one was on: no result of the job."""
    error = run.error
    return error is not None and error.kind == "busy" and error.message.startswith(SKIPPED)


def active(jobs: Sequence[Job]) -> list[Job]:
    """The jobs that `run --due` and `run --all` take: with a schedule and a connection."""
    return [job for job in jobs if job.schedule and job.connection]


def next_time(job: Job, now: datetime) -> datetime | None:
    """When an active job falls due next, in its own zone; None if it runs only by name."""
    if not active([job]):
        return None
    times = times_of(job.schedule, job.timezone)
    return times.after(now) if times else None


def next_times(job: Job, now: datetime, number: int) -> list[datetime]:
    """The next times of an active job, in its own zone."""
    found: list[datetime] = []
    while len(found) < number and (following := next_time(job, found[-1] if found else now)):
        found.append(following)
    return found


def in_order(jobs: Sequence[Job], now: datetime) -> list[Job]:
    """The jobs in the order in which they last fell due, as they would have run by themselves."""
    first = datetime.min.replace(tzinfo=UTC)

    def due(job: Job) -> tuple[datetime, str]:
        times = times_of(job.schedule, job.timezone)
        return (times and times.latest(now)) or first, job.name

    return sorted(jobs, key=due)


@contextmanager
def due_jobs(state: StateFolder, jobs: Sequence[Job], now: datetime) -> Iterator[list[Due | Skip]]:
    """The active jobs that are due, the longest due first; no other process takes them meanwhile.

    Nothing is held while nothing is due. Jobs that are not active any more are forgotten.
    """
    _look(state)
    with ExitStack() as taken:
        found = [due for job in active(jobs) if (due := _take(state, job, now, taken))]
        for job in jobs:
            if job not in active([job]):
                _file(state, job).unlink(missing_ok=True)
                state.shelf.share(_file(state, job))
        yield sorted(found, key=lambda due: (due.at, due.job.name))


def looked_at(state: StateFolder) -> datetime | None:
    """When `run --due` was last called; None if it never was."""
    file = state.schedules / _LOOKED
    state.shelf.bring(file)
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except OSError:
        return None


def is_news(state: StateFolder, text: str) -> bool:
    """Whether this was not said the last time that somebody asked; said each minute, it is spam."""
    file = state.schedules / _SAID
    state.shelf.bring(file)
    digest = fingerprint(text) if text else ""
    try:
        before = file.read_text("utf-8")
    except OSError:
        before = ""
    if digest != before:
        _replace(state, file, digest.encode())
    return bool(digest) and digest != before


def _look(state: StateFolder) -> None:
    try:
        state.schedules.mkdir(mode=0o700, exist_ok=True)
        (state.schedules / _LOOKED).touch(mode=0o600)
    except OSError as error:
        raise JournalError(
            f"{state.schedules} cannot be written: {(error.strerror or 'failed').lower()}",
            hint="the user who runs exportkit has to be able to write to the state folder",
        ) from None
    state.shelf.share(state.schedules / _LOOKED)


def _take(state: StateFolder, job: Job, now: datetime, taken: ExitStack) -> Due | Skip | None:
    times = times_of(job.schedule, job.timezone)
    at = times.latest(now) if times else None
    if at is None or not _is_due(state, job, at, now):
        return None
    try:
        taken.enter_context(state.shelf.held(_lock(state, job), f"job '{job.name}'"))
    except BusyError as busy:
        return _overlapping(state, job, at, busy)
    # Whoever held the lock until now may have run it.
    if not _is_due(state, job, at, now):
        return None
    return _begin(state, job, at)


def _begin(state: StateFolder, job: Job, at: datetime) -> Due | None:
    file, mark, text = _file(state, job), _read(state, job), _text(at)
    assert mark is not None
    if mark.skipped == text and state.shelf.holder(state.locks / f"{job.name}.lock"):
        return None  # it was said, and is still so
    tries = mark.tries + 1 if mark.begun == text else 1
    mark = replace(mark, begun=text, tries=tries)
    _write(state, file, mark)
    if tries <= MOST_TRIES:
        return Due(job, at, state, mark)
    error = InterruptedRun(
        f"given up for {at:%Y-%m-%d %H:%M}: the run was stopped {MOST_TRIES} times before it ended",
        hint=f"the next time is tried again; to run it now: exportkit run {job.name}",
    )
    return Due(job, at, state, mark, error)


def _overlapping(state: StateFolder, job: Job, at: datetime, busy: BusyError) -> Skip | None:
    """What to say of a time that came while the one before it is being run; None if it was said."""
    mark, file = _read(state, job), _file(state, job).with_suffix(".skipped")
    state.shelf.bring(file)
    said = file.read_text("utf-8") if file.exists() else ""
    if mark is None or not mark.begun or _moment(mark.begun) >= at or said == _text(at):
        return None
    _replace(state, file, _text(at).encode())
    return Skip(job, at, busy)


def _is_due(state: StateFolder, job: Job, at: datetime, now: datetime) -> bool:
    mark = _read(state, job)
    if mark is None or _moment(mark.since) > now + CLOCK_WAS_WRONG:
        # As of the moment before this minute: cron begins within it.
        begun = now.replace(second=0, microsecond=0) - timedelta(seconds=1)
        mark = Mark(_schedule(job), _text(begun))
        _write(state, _file(state, job), mark)
    return at > _moment(mark.since)


def _read(state: StateFolder, job: Job) -> Mark | None:
    """The job's mark, if it is of the schedule that the job has now. A damaged one is none."""
    state.shelf.bring(_file(state, job))
    try:
        known: dict[str, Any] = json.loads(_file(state, job).read_bytes())
        mark = Mark(**known)
        for moment in filter(None, (mark.since, mark.begun, mark.skipped)):
            _moment(moment)
    except (OSError, ValueError, TypeError):
        return None
    return mark if mark.schedule == _schedule(job) else None


def _write(state: StateFolder, file: Path, mark: Mark) -> None:
    _replace(state, file, json.dumps(asdict(mark)).encode())


def _replace(state: StateFolder, file: Path, content: bytes) -> None:
    write_durably(file, content)
    state.shelf.share(file)


def _file(state: StateFolder, job: Job) -> Path:
    return state.schedules / f"{job.name}.json"


def _lock(state: StateFolder, job: Job) -> Path:
    # No job's own lock: there is no dot in the name of a job.
    return state.locks / f"{job.name}.due.lock"


def _schedule(job: Job) -> str:
    return f"{job.schedule} {job.timezone or ''}".strip()


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment
