"""Whose rows were not delivered is forgotten in time, and people are told so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Command

JOB = "birthday-cards"


def folders(workspace: Path) -> list[set[str]]:
    """What each run's folder holds, the earliest first."""
    runs = sorted((workspace / ".exportkit" / "runs").iterdir(), key=lambda f: f.stat().st_ctime)
    return [{entry.name for entry in folder.iterdir()} for folder in runs]


def test_a_run_prunes_what_earlier_ones_sent(exportkit: Command, workspace: Path) -> None:
    for _ in range(2):
        assert exportkit("run", JOB).code == 0
    first, second = sorted(folders(workspace), key=len)
    assert first == {"rejections.parquet", "refused"}
    assert {"accepted.parquet", "rejections.parquet"} <= second


def test_rejections_that_are_gone(exportkit: Command, workspace: Path) -> None:
    file = workspace / "jobs" / f"{JOB}.yaml"
    file.write_text(file.read_text() + "\nretention: {rejections: 0s}\n")
    run_id = exportkit("run", JOB, "--json").json["runs"][0]["run_id"]
    assert exportkit("rejections", JOB).code == 0, "of the latest run they are kept"
    assert exportkit("run", JOB).code == 0
    said = exportkit("rejections", JOB, "--run-id", run_id)
    assert said.code == 2
    assert "did not deliver, 6 the last time, are not kept any more" in said.err
    assert "`retention:` says how long" in said.err
    assert exportkit("history", JOB, "--json").code == 0


def test_a_job_without_runs(exportkit: Command) -> None:
    said = exportkit("rejections", JOB)
    assert said.code == 2
    assert "has no run yet" in said.err
