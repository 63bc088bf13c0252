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
    assert [line.split() for line in said.out.splitlines()[:-1]] == [
        ["birthday-cards", "never", "run"],
        ["call-list", "never", "run"],
        [JOB, "never", "run"],
    ]


def test_afterwards(exportkit: Command) -> None:
    exportkit("run", JOB)
    said = exportkit("status", JOB)
    today = f"{datetime.now().astimezone():%Y-%m-%d}"
    assert said.out.split()[:3] == [JOB, "partial", today]
    assert "74 added, 16 rejected" in said.out


def test_a_failure_is_told_in_its_first_line(exportkit: Command, workspace: Path) -> None:
    (workspace / "data" / "profiles.csv").unlink()
    assert exportkit("run", JOB).code == 2
    said = exportkit("status", JOB)
    assert "failed" in said.out
    assert "there is no file data/profiles.csv" in said.out
    assert len(said.out.splitlines()) == 1


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
        assert exportkit("status", JOB).out.split() == [JOB, "running"]


def test_a_broken_file_hides_no_other_job(exportkit: Command, workspace: Path) -> None:
    (workspace / "jobs" / "call-list.yaml").write_text("version: 1\nname: [\n")
    said = exportkit("status")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()[:-1]] == ["birthday-cards", JOB]
    assert "jobs/call-list.yaml:" in said.err


def test_a_detached_job_is_inactive(exportkit: Command, workspace: Path) -> None:
    job = workspace / "jobs" / "call-list.yaml"
    job.write_text(job.read_text().replace("connection: files\n", ""))
    assert exportkit("status", "call-list").out.split() == ["call-list", "inactive"]


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
