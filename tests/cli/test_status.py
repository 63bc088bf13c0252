"""`exportkit status`: the last result of each job, and what is on right now."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from exportkit.state.journal import open_journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Command

JOB = "vip-newsletter"
HOLD = """
import sys
from pathlib import Path
from exportkit.state.locks import held
with held(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def running(workspace: Path) -> Iterator[int]:
    """Another process that holds the job's lock, as one that runs it does. Its pid."""
    lock = workspace / ".exportkit" / "locks" / f"{JOB}.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process.pid
        process.communicate()


def begin_run(workspace: Path) -> None:
    """A run that has begun and not ended."""
    (place,) = (workspace / ".exportkit").glob("journal.sqlite")
    with open_journal(place) as journal:
        journal.begin_run("begun", JOB, datetime.now(UTC))


def test_before_the_first_run(exportkit: Command) -> None:
    said = exportkit("status")
    assert said.code == 0
    head, *jobs, state, _permissions = said.out.splitlines()
    assert head.split() == ["job", "last", "run", "at", "next", "run", "data", "of"]
    assert [line.split()[:4] for line in jobs] == [
        ["birthday-cards", "never", "by", "name"],
        ["call-list", "never", "by", "name"],
        [JOB, "never", "by", "name"],
    ]
    assert state.startswith("state: ")


def test_afterwards(exportkit: Command) -> None:
    exportkit("run", JOB)
    said = exportkit("status", JOB)
    today = f"{datetime.now().astimezone():%Y-%m-%d}"
    assert said.out.splitlines()[1].split()[:3] == [JOB, "partial", today]
    assert "74 added, 16 rejected" in said.out


def test_a_failure_is_told_in_its_first_line(exportkit: Command, workspace: Path) -> None:
    (workspace / "data" / "profiles.csv").unlink()
    assert exportkit("run", JOB).code == 2
    said = exportkit("status", JOB)
    assert "failed" in said.out
    assert "there is no file data/profiles.csv" in said.out
    assert len(said.out.splitlines()) == 2


def test_what_runs_says_since_when_and_as_which_process(
    exportkit: Command, workspace: Path
) -> None:
    run = exportkit("run", JOB, "--json").json["runs"][0]
    with running(workspace) as pid:
        (state,) = exportkit("status", JOB, "--json").json["jobs"]
        assert state["running"]["pid"] == pid
        since = datetime.fromisoformat(state["running"]["since"])
        assert abs(datetime.now(UTC) - since) < timedelta(minutes=1)
        assert state["last"] == run
        assert f"as pid {pid}" in exportkit("status", JOB).out
        busy = exportkit("run", JOB, "--json")
        assert busy.code == 75
        assert busy.json["runs"][0]["status"] == "deferred"
    assert exportkit("status", JOB, "--json").json["jobs"][0]["running"] is None


def test_while_it_runs_the_last_is_the_one_before(exportkit: Command, workspace: Path) -> None:
    run = exportkit("run", JOB, "--json").json["runs"][0]
    begin_run(workspace)
    with running(workspace):
        assert exportkit("status", JOB, "--json").json["jobs"][0]["last"] == run


def test_one_that_died_was_interrupted(exportkit: Command, workspace: Path) -> None:
    exportkit("run", JOB)
    begin_run(workspace)
    assert exportkit("status", JOB, "--json").json["jobs"][0]["last"]["status"] == "interrupted"


def test_who_holds_the_lock_need_not_be_readable(exportkit: Command, workspace: Path) -> None:
    exportkit("status")
    with running(workspace):
        (workspace / ".exportkit" / "locks" / f"{JOB}.json").write_text("{")
        assert exportkit("status", JOB).out.splitlines()[1].split()[:2] == [JOB, "running"]


def test_a_broken_file_hides_no_other_job(exportkit: Command, workspace: Path) -> None:
    (workspace / "jobs" / "call-list.yaml").write_text("version: 1\nname: [\n")
    said = exportkit("status")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()[1:3]] == ["birthday-cards", JOB]
    assert "jobs/call-list.yaml:" in said.err


def test_a_detached_job_is_inactive(exportkit: Command, workspace: Path) -> None:
    job = workspace / "jobs" / "call-list.yaml"
    job.write_text(job.read_text().replace("connection: files\n", ""))
    said = exportkit("status", "call-list").out
    assert "inactive" in said.splitlines()[1]
    assert said.endswith("inactive: it has no connection\n")


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("connection: files", "connection: filse", "there is no connection 'filse'"),
        ("source: customers", "source: custmers", "there is no source 'custmers'"),
        ("segments: [quiet]", "segments: [quite]", "has no segment 'quite'"),
    ],
)
def test_what_cannot_run_says_why(
    exportkit: Command, workspace: Path, before: str, after: str, why: str
) -> None:
    job = workspace / "jobs" / "call-list.yaml"
    job.write_text(job.read_text().replace(before, after) + 'schedule: "0 6 * * *"\n')
    (state,) = exportkit("status", "call-list", "--json").json["jobs"]
    assert state["active"] is False
    assert why in state["inactive"]
    assert "jobs/call-list.yaml:" in state["inactive"]


def test_when_it_runs_next_and_how_old_its_data_are(exportkit: Command, workspace: Path) -> None:
    job = workspace / "jobs" / "call-list.yaml"
    job.write_text(job.read_text() + 'schedule: "0 6 * * *"\ntimezone: Asia/Tokyo\n')
    written = datetime(2026, 3, 1, 5, 12, tzinfo=UTC)
    profiles = workspace / "data" / "profiles.csv"
    os.utime(profiles, (written.timestamp(), written.timestamp()))
    (state,) = exportkit("status", "call-list", "--json").json["jobs"]
    following = datetime.fromisoformat(state["next"])
    assert (following.hour, following.minute, following.utcoffset()) == (6, 0, timedelta(hours=9))
    assert timedelta(0) < following - datetime.now(UTC) <= timedelta(days=1)
    assert (state["schedule"], state["timezone"]) == ("0 6 * * *", "Asia/Tokyo")
    assert datetime.fromisoformat(state["refreshed_at"]) == written
    line = exportkit("status", "call-list").out.splitlines()[1]
    assert " 06:00 JST " in line
    assert f"{written.astimezone():%Y-%m-%d %H:%M}" in line
    profiles.unlink()
    assert exportkit("status", "call-list", "--json").json["jobs"][0]["refreshed_at"] is None


def test_whether_cron_calls_is_told(exportkit: Command, workspace: Path) -> None:
    assert "schedules:" not in exportkit("status").out
    job = workspace / "jobs" / "call-list.yaml"
    job.write_text(job.read_text() + 'schedule: "0 6 * * *"\n')
    assert "`run --due` was never called; exportkit schedule show" in exportkit("status").out
    exportkit("run", "--due")
    assert "`run --due` was last called 20" in exportkit("status").out
    assert exportkit("status", "--json").json["due_looked_at"] is not None


def test_the_size_of_the_state_is_told(exportkit: Command, workspace: Path) -> None:
    exportkit("run", JOB)
    state = exportkit("status", "--json").json["state"]
    folder = workspace / ".exportkit"
    assert state["folder"] == str(folder)
    assert state["bytes"] > sum(f.stat().st_size for f in (folder / "snapshots").rglob("*.parquet"))
    assert f" kB in {folder}" in exportkit("status").out


def test_without_jobs(exportkit: Command, workspace: Path) -> None:
    for job in (workspace / "jobs").iterdir():
        job.unlink()
    said = exportkit("status")
    assert said.code == 0
    assert said.out.startswith("there is no job yet: a file in jobs/ makes one\n")
    assert exportkit("status", "--json").json["jobs"] == []


@pytest.mark.skipif(os.name != "posix", reason="the rights of POSIX")
def test_it_leaves_nothing_for_others_to_read(exportkit: Command, workspace: Path) -> None:
    exportkit("status")
    assert (workspace / ".exportkit").stat().st_mode & 0o777 == 0o700
