"""Slips, defects and readers that leave: with `--json` each is one document on stdout."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.test_terminal import EXPORTKIT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Command

JOB = "vip-newsletter"

SLIPS = {
    "an unknown command": (["plam"], "usage", "did you mean 'plan'"),
    "an unknown option": (["run", JOB, "--ful"], "usage", "--full"),
    "no job": (["run"], "usage", "--all"),
    "a job and all": (["run", JOB, "--all"], "usage", "--all"),
    "none with a schedule": (["run", "--all"], "usage", "schedule"),
    "a plan of two": (["run", JOB, "call-list", "--plan-id", "x"], "usage", "one job"),
    "a missing argument": (["plan"], "usage", "JOB"),
    "an unknown job": (["run", JOB, "vip-newslettr"], "config", "'vip-newsletter'"),
    "an unknown source": (["segments", "custmers"], "config", "'customers'"),
    "an unknown destination": (["plugins", "show", "cvs"], "config", "'csv'"),
    "an unknown plan": (["run", JOB, "--plan-id", "x"], "usage", "x"),
    "an unknown run": (["rejections", JOB, "--run-id", "x"], "usage", "x"),
    "no run yet": (["rejections", JOB], "usage", "exportkit run vip-newsletter"),
    "a limit below nothing": (["rejections", JOB, "--limit", "-1"], "usage", "--limit"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_one_document(slip: str, exportkit: Command) -> None:
    arguments, kind, word = SLIPS[slip]
    said = exportkit(*arguments, "--json")
    assert said.code in (2, 3)
    if said.json["runs"]:
        (run,) = said.json["runs"]
        error = run["error"]
    else:
        assert list(said.json) == ["runs", "error"]
        error = said.json["error"]
        assert error["kind"] == kind
    assert word in f"{error['message']} {error['hint']}"
    people = exportkit(*arguments)
    assert people.code == said.code
    assert word in people.err
    assert "Traceback" not in people.err + said.err


def test_a_defect_is_one_document(exportkit: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("jane@example.com")

    monkeypatch.setattr("exportkit.cli.opening.open_workspace", broken)
    said = exportkit("validate", "--json")
    assert said.code == 1
    assert said.json["error"]["kind"] == "internal"
    assert "jane" not in said.out + said.err


def test_stopping_is_one_document(exportkit: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("exportkit.cli.opening.open_workspace", stopped)
    said = exportkit("validate", "--json")
    assert (said.code, said.json["error"]["kind"]) == (1, "interrupted")
    assert exportkit("validate").err.strip() == "stopped"


def test_a_pipe_without_a_reader(workspace: Path) -> None:
    """The reader is gone before the first byte: no traceback, and not exit code 0."""
    with subprocess.Popen(
        [EXPORTKIT, "schema", "job"], cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize("given", ["missing", "exportkit.yaml", "jobs"])
def test_a_workspace_is_a_folder_with_its_file(
    given: str, exportkit: Command, workspace: Path
) -> None:
    said = exportkit("--workspace", str(workspace / given), "validate")
    if given == "jobs":
        assert said.code == 0
    else:
        assert said.code == 2
        assert given in said.err
        assert "Traceback" not in said.err
