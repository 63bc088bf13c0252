"""The JSON, the counts and the exit codes that scripts rely on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Command

COUNTS = [
    "selected",
    "rejected",
    "duplicates",
    "suppressed",
    "unchanged",
    "added",
    "updated",
    "refused",
    "removed",
    "sent",
    "unsettled",
]
PARTS = ("rejected", "duplicates", "suppressed", "unchanged", "added", "updated", "refused")
JOB = "vip-newsletter"


def test_run_prints_the_runs(exportkit: Command) -> None:
    said = exportkit("run", JOB, "call-list", "--json")
    assert said.code == 0
    assert list(said.json) == ["runs"]
    first, second = said.json["runs"]
    assert list(first) == [
        "run_id",
        "job",
        "status",
        "started_at",
        "finished_at",
        "counts",
        "error",
    ]
    assert (first["job"], second["job"]) == (JOB, "call-list")
    assert first["status"] == "partial"
    assert list(first["counts"]) == COUNTS
    counts = first["counts"]
    assert sum(counts[part] for part in (*PARTS, "unsettled")) == counts["selected"]


def test_plan_has_the_counts_of_the_run_that_follows(exportkit: Command) -> None:
    plan = exportkit("plan", JOB, "--json").json
    run = exportkit("run", JOB, "--json").json["runs"][0]
    assert plan["counts"] == run["counts"]
    again = exportkit("plan", JOB, "--json").json["counts"]
    assert again["unchanged"] == run["counts"]["added"]
    assert again["added"] == 0


def test_plan_masks_people_until_asked(exportkit: Command) -> None:
    masked = exportkit("plan", JOB)
    assert "@example" not in masked.out
    shown = exportkit("plan", JOB, "--show-values")
    assert "eleni@example.com" in shown.out


def test_a_plan_is_applied_as_it_was_looked_at(exportkit: Command, workspace: Path) -> None:
    plan = exportkit("plan", JOB, "--json").json
    said = exportkit("run", JOB, "--plan-id", plan["plan_id"], "--json")
    assert said.code == 0
    assert said.json["runs"][0]["run_id"] == plan["plan_id"]
    assert said.json["runs"][0]["counts"] == plan["counts"]
    assert (workspace / "out" / "vip-newsletter.csv").exists()


def test_a_plan_is_refused_when_the_world_changed(exportkit: Command, workspace: Path) -> None:
    plan = exportkit("plan", JOB, "--json").json
    with (workspace / "data" / "profiles.csv").open("a") as profiles:
        profiles.write("\n")
    said = exportkit("run", JOB, "--plan-id", plan["plan_id"])
    assert said.code == 3
    assert "no longer holds" in said.err
    assert not (workspace / "out" / "vip-newsletter.csv").exists()


def test_validate_touches_nothing(exportkit: Command, workspace: Path) -> None:
    said = exportkit("validate", "--json")
    assert said.code == 0
    assert said.json["valid"] is True
    assert said.json["complaints"] == []
    assert not (workspace / ".exportkit").exists()


def test_segments_are_counted(exportkit: Command) -> None:
    members = {
        s["name"]: s["members"]
        for s in exportkit("segments", "customers", "--json").json["segments"]
    }
    assert members["everyone"] == 111
    assert members["vip"] < members["newsletter"] < members["everyone"]


def test_rejections_are_masked_and_explained(exportkit: Command) -> None:
    exportkit("run", JOB)
    document = exportkit("rejections", JOB, "--limit", "0", "--json").json
    assert document["total"] == len(document["rows"]) == 16
    assert {row["reason"] for row in document["rows"]} >= {"missing", "not an e-mail address"}
    assert not any(re.search(r"@\w{3,}", row["key"]) for row in document["rows"])
    shown = exportkit("rejections", JOB, "--show-values")
    assert "pat.kelly" in shown.out


def test_status_and_history(exportkit: Command) -> None:
    before = exportkit("status", "--json").json["jobs"]
    assert {job["job"]: job["last"] for job in before}[JOB] is None
    run = exportkit("run", JOB, "--json").json["runs"][0]
    after = exportkit("status", JOB, "--json").json["jobs"]
    assert after[0]["last"] == run
    assert after[0]["running"] is None
    assert exportkit("history", JOB, "--json").json["runs"] == [run]
    assert "74 added, 16 rejected" in exportkit("status").out


def test_plugins_and_schemas(exportkit: Command) -> None:
    listing = exportkit("plugins", "--json").json
    assert "csv" in [plugin["name"] for plugin in listing["plugins"]]
    shown = exportkit("plugins", "show", "csv", "--json").json
    assert shown["modes"] == ["full"]
    schema = exportkit("schema", "job", "--type", "csv").json
    assert "path" in schema["properties"]["destination"]["properties"]


def test_bad_files_are_one_document_too(exportkit: Command, workspace: Path) -> None:
    (workspace / "jobs" / "vip-newsletter.yaml").write_text("version: 1\nname: vip-newsletter\n")
    said = exportkit("run", JOB, "--json")
    assert said.code == 2
    assert said.json["runs"] == []
    assert said.json["error"]["complaints"][0]["line"] == 1


def test_the_first_exit_code_that_applies_speaks_for_all(
    exportkit: Command, workspace: Path
) -> None:
    job = workspace / "jobs" / "call-list.yaml"
    job.write_text(job.read_text() + "limits: {rejections: 0}\n")
    said = exportkit("run", JOB, "call-list", "--json")
    assert [run["status"] for run in said.json["runs"]] == ["partial", "blocked"]
    assert said.code == 3
    assert exportkit("run", "call-list", "--allow-rejections").code == 0


def test_an_empty_source_never_empties_a_destination(exportkit: Command, workspace: Path) -> None:
    exportkit("run", JOB)
    before = (workspace / "out" / "vip-newsletter.csv").read_bytes()
    profiles = workspace / "data" / "profiles.csv"
    profiles.write_text(profiles.read_text().splitlines()[0] + "\n")
    assert exportkit("run", JOB).code == 3
    assert (workspace / "out" / "vip-newsletter.csv").read_bytes() == before
    assert exportkit("run", JOB, "--allow-empty").code == 0
    assert len((workspace / "out" / "vip-newsletter.csv").read_text().splitlines()) == 1
