"""`exportkit clean`: what is over its term goes, what is needed stays, and it says so first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Command

JOB = "vip-newsletter"


def age(workspace: Path) -> None:
    """Let everything be kept for no time at all."""
    (workspace / "exportkit.yaml").write_text("version: 1\nretention: 0d\n")


def files(workspace: Path) -> set[str]:
    state = workspace / ".exportkit"
    parts = ("runs", "snapshots", "schedules")
    return {str(f.relative_to(state)) for p in parts for f in (state / p).rglob("*") if f.is_file()}


def test_it_says_first_and_then_removes(exportkit: Command, workspace: Path) -> None:
    for _ in range(3):
        exportkit("run", JOB)
    age(workspace)
    before = files(workspace)
    planned = exportkit("clean", "--dry-run", "--json").json
    assert files(workspace) == before
    assert planned["dry_run"] is True
    (job,) = planned["jobs"]
    assert (job["job"], job["gone"], job["journal_rows"]) == (JOB, False, 2)
    assert job["files"] > 0
    done = exportkit("clean", "--json").json
    assert done["jobs"] == planned["jobs"]
    assert len(before) - len(files(workspace)) == job["files"]
    assert 0 < job["bytes"] < planned["bytes"]
    assert len(exportkit("history", "--json").json["runs"]) == 1
    assert exportkit("rejections", JOB).code == 0, "the last run's are kept"
    assert exportkit("clean").out.startswith("nothing is over its term\nstate: ")
    assert exportkit("run", JOB, "--json").json["runs"][0]["counts"]["unchanged"] == 74


def test_what_is_within_its_term_stays(exportkit: Command, workspace: Path) -> None:
    exportkit("run", JOB)
    exportkit("run", JOB)
    before = files(workspace)
    assert exportkit("clean").out.startswith("nothing is over its term")
    assert files(workspace) == before


def test_a_job_that_is_gone_is_forgotten_only_when_asked(
    exportkit: Command, workspace: Path
) -> None:
    file = workspace / "jobs" / f"{JOB}.yaml"
    text = file.read_text()
    file.write_text(text + 'schedule: "* * * * *"\n')
    exportkit("run", "--due")
    file.unlink()
    said = exportkit("clean")
    assert f"job '{JOB}' is gone; what it delivered is remembered: --gone forgets it" in said.out
    assert any(name.startswith("snapshots") for name in files(workspace))
    planned = exportkit("clean", "--gone", "--dry-run")
    assert "snapshots: 1" in planned.out
    assert "would be removed; nothing was" in planned.out
    assert any(name.startswith("snapshots") for name in files(workspace))
    assert "removed" in exportkit("clean", "--gone").out
    assert not [name for name in files(workspace) if JOB in name]
    file.write_text(text)
    assert exportkit("run", JOB, "--json").json["runs"][0]["counts"]["added"] == 74


def test_who_cannot_be_read_is_not_gone(exportkit: Command, workspace: Path) -> None:
    exportkit("run", JOB)
    (workspace / "jobs" / f"{JOB}.yaml").write_text("version: 1\nname: [\n")
    before = files(workspace)
    said = exportkit("clean", "--gone")
    assert said.code == 2
    assert files(workspace) == before
