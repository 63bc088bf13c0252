"""The state of all jobs as a Prometheus text file: `metrics.prom` in the state folder.

Written by hand, not by prometheus_client: that library counts events in a process that lives on,
and takes longer to import than the file takes to write. Tests read the file with its parser.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exportkit.operations.notices import GOOD
from exportkit.operations.schedules import is_skip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from exportkit.state.journal import Journal
    from exportkit.state.runs import JournaledRun
    from exportkit.state.usage import KeyUsage

FILE_NAME = "metrics.prom"
SKIPS = 20
"""So many runs that found another one on are looked past; they are no result of a job."""
STATUSES = ("succeeded", "partial", "failed", "blocked", "interrupted", "deferred")


@dataclass(frozen=True, slots=True)
class Sample:
    """One number with its labels."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Gauge:
    """A number that goes up and down, for each job or connection."""

    name: str
    says: str
    samples: Sequence[Sample] = field(default=())


@dataclass(frozen=True, slots=True)
class JobState:
    """What metrics say of one job: its last run that ended, and its last good one."""

    job: str
    last: JournaledRun | None = None
    good: JournaledRun | None = None


def job_states(journal: Journal, jobs: Iterable[str]) -> list[JobState]:
    """The state of each of these jobs. What is on right now is not over, so it does not count."""
    return [_job_state(journal, job) for job in jobs]


def _job_state(journal: Journal, job: str) -> JobState:
    ended = journal.runs(job, limit=SKIPS, statuses=STATUSES)
    last = next((run for run in ended if not is_skip(run.run)), None)
    good = next((run for run in ended if run.run.status in GOOD), None)
    if good is None and len(ended) == SKIPS:
        good = next(iter(journal.runs(job, limit=1, statuses=GOOD)), None)
    return JobState(job, last, good)


def gauges_of(
    states: Sequence[JobState], usage: Sequence[KeyUsage], now: datetime
) -> tuple[Gauge, ...]:
    """Everything there is to measure, in the order of the file."""
    written = Gauge(
        "exportkit_metrics_written_timestamp_seconds",
        "When these metrics were written.",
        [Sample({}, int(now.timestamp()))],
    )
    today = f"{now.astimezone(UTC):%Y-%m-%d}"
    return (*_of_jobs(states), *_of_calls(usage, today), written)


def _of_jobs(states: Sequence[JobState]) -> tuple[Gauge, ...]:
    ended = [(state.job, state.last) for state in states if state.last is not None]
    good = [(state.job, state.good) for state in states if state.good is not None]
    return (
        Gauge(
            "exportkit_job_last_run_status",
            "1 for the status that the job's last run ended with, 0 for the others.",
            [
                Sample({"job": job, "status": status}, float(run.status == status))
                for job, run in ended
                for status in STATUSES
            ],
        ),
        Gauge(
            "exportkit_job_last_run_timestamp_seconds",
            "When the job's last run ended.",
            [Sample({"job": job}, _seconds(run)) for job, run in ended],
        ),
        Gauge(
            "exportkit_job_last_success_timestamp_seconds",
            "When the job's last run that succeeded, wholly or in part, ended.",
            [Sample({"job": job}, _seconds(run)) for job, run in good],
        ),
        Gauge(
            "exportkit_job_last_run_duration_seconds",
            "How long the job's last run took.",
            [Sample({"job": job}, round(_took(run), 3)) for job, run in ended],
        ),
        Gauge(
            "exportkit_job_last_run_rows",
            "Where the rows of the job's last run went.",
            [
                Sample({"job": job, "outcome": name}, number)
                for job, run in ended
                for name, number in run.counts.as_dict().items()
            ],
        ),
    )


def _of_calls(usage: Sequence[KeyUsage], today: str) -> tuple[Gauge, ...]:
    limits = [(key, key.per_day) for key in usage if key.per_day is not None]
    return (
        Gauge(
            "exportkit_calls_today",
            "Calls under the API key of these connections since midnight UTC.",
            [Sample(_label(key), key.days.get(today, 0)) for key in usage],
        ),
        Gauge(
            "exportkit_calls_per_day_limit",
            "Calls a day that the destination allows under the API key of these connections.",
            [Sample(_label(key), limit) for key, limit in limits],
        ),
    )


def text_of(gauges: Iterable[Gauge]) -> str:
    """The gauges in Prometheus's text format. One without samples is left out."""
    return "".join(line for gauge in gauges if gauge.samples for line in _lines(gauge))


def _lines(gauge: Gauge) -> Iterator[str]:
    yield f"# HELP {gauge.name} {gauge.says}\n# TYPE {gauge.name} gauge\n"
    for sample in gauge.samples:
        labels = ",".join(f'{name}="{_quoted(text)}"' for name, text in sample.labels.items())
        number = f"{sample.value:.3f}".rstrip("0").rstrip(".")
        yield f"{gauge.name}{{{labels}}} {number}\n" if labels else f"{gauge.name} {number}\n"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _label(usage: KeyUsage) -> dict[str, str]:
    return {"connection": ",".join(usage.connections)}


def _took(run: JournaledRun) -> float:
    return (run.run.finished_at - run.started_at).total_seconds()


def _seconds(run: JournaledRun) -> float:
    return round(run.run.finished_at.timestamp(), 3)
