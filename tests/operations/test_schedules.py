"""Which jobs are due: once however often it was missed, and by one process at a time."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from exportkit.config.workspace import open_workspace
from exportkit.operations.schedules import (
    Due,
    Skip,
    due_jobs,
    in_order,
    looked_at,
    next_time,
    next_times,
)
from exportkit.records import Counts, Failure, Run
from exportkit.state.folder import StateFolder, open_state
from exportkit.state.locks import held

if TYPE_CHECKING:
    from pathlib import Path

    from exportkit.config.job import Job

HOUR = timedelta(hours=1)
MONDAY = datetime(2026, 6, 1, 2, 0, tzinfo=UTC)  # 05:00 in Athens
SIX = MONDAY + HOUR
JOB = """version: 1
name: {name}
source: people
segments: [all]
connection: files
map: {{email: email}}
schedule: "{schedule}"
timezone: Europe/Athens
"""


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return open_state(tmp_path, ".exportkit")


def job_of(folder: Path, name: str = "letter", schedule: str = "0 6 * * *", more: str = "") -> Job:
    (folder / "jobs").mkdir(exist_ok=True)
    (folder / "exportkit.yaml").write_text("version: 1\n")
    text = JOB.format(name=name, schedule=schedule) + more
    (folder / "jobs" / f"{name}.yaml").write_text(text)
    return open_workspace(folder).job(name)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return job_of(tmp_path)


def ended(status: str = "succeeded", error: Failure | None = None) -> Run:
    return Run("id", "letter", status, MONDAY, MONDAY, Counts(), error)  # type: ignore[arg-type]


SKIPPED = ended("deferred", Failure("busy", "skipped: job 'letter' is running"))


def due(state: StateFolder, job: Job, now: datetime, run: Run | None = None) -> list[datetime]:
    """The times that a call at `now` finds, in UTC; each is run, and ends as `run`."""
    with due_jobs(state, [job], now) as found:
        for each in found:
            assert isinstance(each, Due)
            each.ended(run or ended())
        return [each.at.astimezone(UTC) for each in found]


def test_first_seen_it_is_due_at_its_next_time(state: StateFolder, job: Job) -> None:
    assert due(state, job, MONDAY - 20 * HOUR) == []
    assert due(state, job, SIX - timedelta(seconds=1)) == []
    assert due(state, job, SIX) == [SIX]
    assert due(state, job, SIX + timedelta(seconds=30)) == []
    assert due(state, job, SIX + 24 * HOUR) == [SIX + 24 * HOUR]


def test_seen_in_the_very_minute_it_is_due(state: StateFolder, job: Job) -> None:
    """Where crontab itself says six o'clock, that is when a job is seen first."""
    assert due(state, job, SIX + timedelta(seconds=2)) == [SIX]


def test_what_was_missed_runs_once(state: StateFolder, job: Job) -> None:
    due(state, job, MONDAY)
    assert due(state, job, SIX + 100 * HOUR) == [SIX + 96 * HOUR]
    assert due(state, job, SIX + 101 * HOUR) == []


@pytest.mark.parametrize("status", ["succeeded", "partial", "failed", "blocked", "deferred"])
def test_however_it_ended_it_was_run(state: StateFolder, job: Job, status: str) -> None:
    due(state, job, MONDAY)
    assert due(state, job, SIX, ended(status)) == [SIX]
    assert due(state, job, SIX + HOUR) == []


def test_what_was_stopped_is_run_again(state: StateFolder, job: Job) -> None:
    due(state, job, MONDAY)
    stopped = ended("interrupted", Failure("interrupted", "asked to stop"))
    assert due(state, job, SIX, stopped) == [SIX]
    assert due(state, job, SIX + HOUR) == [SIX]
    assert due(state, job, SIX + 2 * HOUR) == []


def test_what_dies_each_time_is_given_up_and_said(state: StateFolder, job: Job) -> None:
    due(state, job, MONDAY)
    for minute in range(3):
        with due_jobs(state, [job], SIX + timedelta(minutes=minute)) as found:
            assert [each.error for each in found] == [None], "and then it is killed"
    with due_jobs(state, [job], SIX + timedelta(minutes=4)) as (last,):
        assert isinstance(last, Due)
        assert "given up for 2026-06-01 06:00" in str(last.error)
        last.ended(ended("interrupted"))
    assert due(state, job, SIX + HOUR) == []
    assert due(state, job, SIX + 24 * HOUR) == [SIX + 24 * HOUR]


@pytest.mark.parametrize(("before", "after"), [(SIX, SIX - HOUR), (SIX + HOUR / 2, SIX - HOUR / 2)])
def test_a_clock_that_is_set_back_doubles_nothing(
    state: StateFolder, job: Job, before: datetime, after: datetime
) -> None:
    due(state, job, MONDAY)
    assert due(state, job, before) == [SIX]
    for minutes in range(0, 120, 5):
        assert due(state, job, after + timedelta(minutes=minutes)) == []
    assert due(state, job, SIX + 24 * HOUR) == [SIX + 24 * HOUR]


def test_a_clock_that_was_years_ahead_stops_nothing_for_years(state: StateFolder, job: Job) -> None:
    due(state, job, SIX + 24 * HOUR * 3650)
    assert due(state, job, MONDAY) == []
    assert due(state, job, SIX) == [SIX]


def test_a_new_schedule_is_seen_for_the_first_time(
    state: StateFolder, job: Job, tmp_path: Path
) -> None:
    due(state, job, MONDAY)
    later = job_of(tmp_path, schedule="0 9 * * *")
    assert due(state, later, SIX + 4 * HOUR) == []
    assert due(state, later, SIX + 27 * HOUR) == [SIX + 27 * HOUR]
    assert due(state, replace(later, timezone="Europe/Berlin"), SIX + 28 * HOUR + HOUR / 2) == []


def test_a_job_that_was_inactive_catches_up_with_nothing(state: StateFolder, job: Job) -> None:
    due(state, job, MONDAY)
    assert due(state, replace(job, connection=None), SIX + 2 * HOUR) == []
    assert due(state, job, SIX + 3 * HOUR) == []
    assert due(state, job, SIX + 24 * HOUR) == [SIX + 24 * HOUR]


def test_only_jobs_with_a_schedule_are_due(state: StateFolder, job: Job) -> None:
    assert due(state, replace(job, schedule=None), SIX) == []
    assert next_time(replace(job, schedule=None), MONDAY) is None
    assert next_time(replace(job, connection=None), MONDAY) is None


def test_another_process_takes_the_job_once(state: StateFolder, job: Job) -> None:
    due(state, job, MONDAY)
    with due_jobs(state, [job], SIX) as first:
        assert len(first) == 1
        with due_jobs(state, [job], SIX + timedelta(minutes=1)) as second:
            assert second == [], "it is being run: there is nothing to say"


def test_a_time_that_comes_while_the_last_runs_is_said_once(
    state: StateFolder, tmp_path: Path
) -> None:
    job = job_of(tmp_path, schedule="0 * * * *")
    due(state, job, MONDAY)
    with due_jobs(state, [job], SIX) as (first,):
        with due_jobs(state, [job], SIX + HOUR) as (skip,):
            assert isinstance(skip, Skip)
            assert "skipped: job 'letter' is running since" in str(skip.error)
            assert f"as pid {os.getpid()}" in str(skip.error)
        with due_jobs(state, [job], SIX + HOUR + timedelta(minutes=1)) as again:
            assert again == []
        with due_jobs(state, [job], SIX + 2 * HOUR) as later:
            assert len(later) == 1
        assert isinstance(first, Due)
        first.ended(ended())
    assert due(state, job, SIX + 2 * HOUR + timedelta(minutes=1)) == [SIX + 2 * HOUR], "made up for"
    assert due(state, job, SIX + 2 * HOUR + timedelta(minutes=2)) == []


def test_a_run_by_hand_that_is_on_is_said_once_and_waited_for(state: StateFolder, job: Job) -> None:
    due(state, job, MONDAY)
    with held(state.locks / "letter.lock", "job 'letter'"):
        assert due(state, job, SIX, SKIPPED) == [SIX]
        for minute in range(1, 10):
            assert due(state, job, SIX + timedelta(minutes=minute), SKIPPED) == []
    assert due(state, job, SIX + timedelta(minutes=10)) == [SIX]
    assert due(state, job, SIX + timedelta(minutes=11)) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schedule": 1}', '{"since": "never"}'])
def test_a_damaged_mark_is_none(state: StateFolder, job: Job, content: str) -> None:
    due(state, job, MONDAY)
    (state.schedules / "letter.json").write_text(content)
    assert due(state, job, MONDAY + HOUR / 2) == []
    assert due(state, job, SIX) == [SIX]


def test_a_mark_says_nothing_of_people_and_is_private(state: StateFolder, job: Job) -> None:
    due(state, job, SIX)
    mark = state.schedules / "letter.json"
    assert list(json.loads(mark.read_text())) == ["schedule", "since", "begun", "tries", "skipped"]
    assert mark.stat().st_mode & 0o777 == 0o600
    assert state.schedules.stat().st_mode & 0o777 == 0o700


def test_the_longest_due_first(state: StateFolder, tmp_path: Path) -> None:
    jobs = [
        job_of(tmp_path, "c", "0 6 * * *"),
        job_of(tmp_path, "b", "0 6 * * *"),
        job_of(tmp_path, "a", "30 6 * * *"),
        job_of(tmp_path, "d", "0 5 * * *"),
    ]
    with due_jobs(state, jobs, MONDAY - HOUR):
        pass
    with due_jobs(state, jobs, SIX + HOUR) as found:
        assert [each.job.name for each in found] == ["d", "b", "c", "a"]
    assert [job.name for job in in_order(jobs, SIX + HOUR)] == ["d", "b", "c", "a"]


def test_the_next_times_are_in_the_zone_of_the_job(job: Job) -> None:
    told = [f"{at:%m-%d %H:%M}" for at in next_times(job, SIX, 3)]
    assert told == ["06-02 06:00", "06-03 06:00", "06-04 06:00"]


def test_when_it_was_last_looked_is_known(state: StateFolder, job: Job) -> None:
    assert looked_at(state) is None
    due(state, job, MONDAY)
    looked = looked_at(state)
    assert looked
    assert abs(datetime.now(UTC) - looked) < timedelta(minutes=1)
