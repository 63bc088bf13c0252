"""`exportkit schedule show`: lines that can be installed as they are printed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exportkit.config.workspace import open_workspace
from exportkit.operations.timers import timers_of
from tests.cli.test_due import PORTABLE, schedule

if TYPE_CHECKING:
    from tests.cli.conftest import Command

JOB = "vip-newsletter"
EXPORTKIT = Path(sys.executable).parent / "exportkit"


def test_it_shows_the_next_times_and_both_ways_to_install(
    exportkit: Command, workspace: Path
) -> None:
    schedule(workspace, JOB, at="0 6 * * 1-5")
    said = exportkit("schedule", "show", "--times", "2")
    assert said.code == 0
    first = said.out.splitlines()[0]
    assert first.split()[:6] == [JOB, "0", "6", "*", "*", "1-5"]
    assert first.count(" 06:00 EE") == 2
    assert f"* * * * *  {EXPORTKIT} --workspace {workspace} run --due --quiet\n" in said.out
    assert f"ExecStart={EXPORTKIT} --workspace {workspace} run --due --quiet\n" in said.out


def test_as_json(exportkit: Command, workspace: Path) -> None:
    schedule(workspace, JOB)
    document = exportkit("schedule", "show", "--json").json
    assert list(document) == ["jobs", "crontab", "systemd"]
    assert [len(times) for times in document["jobs"].values()] == [3]
    assert list(document["systemd"]) == ["exportkit.service", "exportkit.timer"]


def test_without_a_schedule_it_says_how(exportkit: Command) -> None:
    assert 'add `schedule: "0 6 * * 1-5"`' in exportkit("schedule", "show").out


@pytest.mark.parametrize("name", ["plain", "100% ours", "it's", 'a "b" $HOME', "Ελένη"])
def test_the_crontab_line_runs_as_cron_runs_it(
    exportkit: Command, workspace: Path, tmp_path: Path, name: str
) -> None:
    there = tmp_path / name
    shutil.copytree(workspace, there)
    schedule(there, JOB, at="* * * * *")
    line = timers_of(open_workspace(there)).crontab
    assert line.startswith("* * * * *  ")
    assert "%" not in line.replace(r"\%", ""), "cron takes a bare one for the end of the command"
    command = line.removeprefix("* * * * *  ").replace(r"\%", "%")
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=PORTABLE, cwd="/", capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (there / "out" / f"{JOB}.csv").exists()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("name", ["plain", "100% ours", 'a "b" $HOME'])
def test_systemd_takes_the_units(
    exportkit: Command, workspace: Path, tmp_path: Path, name: str
) -> None:
    there = tmp_path / name
    shutil.copytree(workspace, there)
    timers = timers_of(open_workspace(there))
    for file, text in (("service", timers.service), ("timer", timers.timer)):
        (tmp_path / f"exportkit.{file}").write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "./exportkit.service", "./exportkit.timer"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "exportkit." in line]
    assert said == []
