"""`exportkit run`: which jobs, with which orders; what is written is what the files say."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Command

JOB = "vip-newsletter"
CARD = """version: 1
name: card
source: customers
segments: [vip]
connection: files
destination: {path: out/card.csv, quoting: minimal}
map:
  id: customer_id
  code: {value: 08}
  country: {value: NO}
  since: {value: 2026-11-20}
  share: {value: 1_000}
  on: {value: on}
  time: {value: 12:30:00}
"""


def test_constants_are_what_was_written(exportkit: Command, workspace: Path) -> None:
    """YAML 1.1 would read most of these as numbers, dates, booleans or minutes."""
    (workspace / "jobs" / "card.yaml").write_text(CARD, encoding="utf-8")
    assert exportkit("run", "card").code == 0
    header, first, *_ = (workspace / "out" / "card.csv").read_text(encoding="utf-8").splitlines()
    assert header == "id,code,country,since,share,on,time"
    assert first.split(",")[1:] == ["08", "NO", "2026-11-20", "1_000", "on", "12:30:00"]


def test_all_are_those_with_a_schedule(exportkit: Command, workspace: Path) -> None:
    job = workspace / "jobs" / "call-list.yaml"
    job.write_text(job.read_text() + 'schedule: "0 6 * * *"\n')
    said = exportkit("run", "--all", "--json")
    assert [run["job"] for run in said.json["runs"]] == ["call-list"]


def test_a_job_named_twice_runs_once(exportkit: Command) -> None:
    said = exportkit("run", JOB, "jobs/vip-newsletter.yaml", JOB, "--json")
    assert [run["job"] for run in said.json["runs"]] == [JOB]


def test_with_json_stdout_has_nothing_else_and_stderr_the_progress(exportkit: Command) -> None:
    said = exportkit("run", JOB, "--json")
    assert said.json["runs"][0]["job"] == JOB
    assert [JOB in line.partition(":")[0] for line in said.err.splitlines()] == [True] * 3


def test_a_broken_file_that_is_not_needed_is_a_warning(exportkit: Command, workspace: Path) -> None:
    (workspace / "jobs" / "call-list.yaml").write_text("version: 1\nname: [\n")
    said = exportkit("run", JOB)
    assert said.code == 0
    assert said.err.splitlines()[0].startswith("warning: jobs/call-list.yaml:")
    assert exportkit("run", JOB, "--json").json["runs"][0]["error"] is None
