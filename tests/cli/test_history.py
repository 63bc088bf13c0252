"""`exportkit history`: past runs, the latest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Command

JOB, OTHER = "vip-newsletter", "call-list"


@pytest.fixture
def runs(exportkit: Command) -> list[dict[str, Any]]:
    """Three runs, as they were printed, in their order."""
    return [exportkit("run", job, "--json").json["runs"][0] for job in (JOB, OTHER, JOB)]


def test_the_latest_comes_first(exportkit: Command, runs: list[dict[str, Any]]) -> None:
    assert exportkit("history", "--json").json == {"runs": runs[::-1]}


def test_of_one_job(exportkit: Command, runs: list[dict[str, Any]]) -> None:
    assert exportkit("history", JOB, "--json").json["runs"] == [runs[2], runs[0]]
    assert exportkit("history", "jobs/call-list.yaml", "--json").json["runs"] == [runs[1]]


def test_as_many_as_asked_for(exportkit: Command, runs: list[dict[str, Any]]) -> None:
    for limit, number in (("1", 1), ("2", 2), ("0", 3), ("20", 3)):
        found = exportkit("history", "--limit", limit, "--json").json["runs"]
        assert found == runs[::-1][:number]


def test_people_read_a_line_a_run(exportkit: Command, runs: list[dict[str, Any]]) -> None:
    lines = exportkit("history").out.splitlines()
    assert len(lines) == 3
    assert "74 unchanged, 16 rejected" in lines[0]
    assert [line.split()[-1] for line in lines] == [run["run_id"] for run in runs[::-1]]


def test_plans_are_no_runs(exportkit: Command) -> None:
    exportkit("plan", JOB)
    said = exportkit("history")
    assert (said.code, said.out) == (0, "nothing has run yet: exportkit run JOB\n")


@pytest.mark.parametrize("limit", ["-1", "many"])
def test_a_limit_is_a_number(limit: str, exportkit: Command) -> None:
    assert exportkit("history", "--limit", limit).code == 2
