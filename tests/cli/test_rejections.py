"""`exportkit rejections`: who was left out, and why; with names only for who asks."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Command

JOB = "vip-newsletter"


def test_before_the_first_run(exportkit: Command) -> None:
    said = exportkit("rejections", JOB)
    assert said.code == 2
    assert f"exportkit run {JOB}" in said.err


def test_the_document(exportkit: Command) -> None:
    run = exportkit("run", JOB, "--json").json["runs"][0]
    document = exportkit("rejections", JOB, "--limit", "3", "--json").json
    assert list(document) == ["job", "run_id", "total", "rows"]
    assert (document["job"], document["run_id"]) == (JOB, run["run_id"])
    assert document["total"] == run["counts"]["rejected"] == 16
    assert len(document["rows"]) == 3
    assert {tuple(row) for row in document["rows"]} == {
        ("by", "key", "source_key", "column", "reason")
    }
    assert {row["by"] for row in document["rows"]} == {"exportkit"}


def test_no_value_is_shown_unasked(exportkit: Command, workspace: Path) -> None:
    exportkit("run", JOB)
    masked = exportkit("rejections", JOB, "--limit", "0", "--json")
    shown = exportkit("rejections", JOB, "--limit", "0", "--show-values", "--json")
    values = {row["value"] for row in shown.json["rows"]} - {None, ""}
    keys = {row["key"] for row in shown.json["rows"]} - {None, ""}
    assert len(values) >= 10
    assert [one for one in values | keys if len(one) > 3 and json.dumps(one) in masked.out] == []


def test_looking_at_values_is_audited(exportkit: Command, workspace: Path) -> None:
    exportkit("run", JOB)
    exportkit("rejections", JOB)
    exportkit("rejections", JOB, "--show-values")
    journal = next(
        path
        for path in (workspace / ".exportkit").iterdir()
        if path.name.startswith("journal.") and path.read_bytes().startswith(b"SQLite format 3")
    )
    with closing(sqlite3.connect(journal)) as connection:
        rows = connection.execute("SELECT * FROM audit").fetchall()
    (noted,) = [str(row) for row in rows if "--show-values" in str(row)]
    assert JOB in noted


def test_people_read_how_many_more_there_are(exportkit: Command) -> None:
    exportkit("run", JOB)
    lines = exportkit("rejections", JOB, "--limit", "2").out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith(f"{JOB}: 16 rows were not delivered by ")
    assert lines[-1].strip() == "and 14 more: --limit 0 shows all"


def test_of_an_earlier_run(exportkit: Command, workspace: Path) -> None:
    first = exportkit("run", JOB, "--json").json["runs"][0]["run_id"]
    profiles = workspace / "data" / "profiles.csv"
    profiles.write_text(profiles.read_text().replace("nadia..rossi@", "nadia.rossi@"))
    exportkit("run", JOB)
    assert exportkit("rejections", JOB, "--json").json["total"] == 15
    assert exportkit("rejections", JOB, "--run-id", first, "--json").json["total"] == 16
    said = exportkit("rejections", JOB, "--run-id", "never")
    assert said.code == 2
    assert "never" in said.err
