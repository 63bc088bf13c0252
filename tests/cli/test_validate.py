"""`exportkit validate`: every file, or what some jobs need."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.cli.conftest import Command

JOB = "vip-newsletter"


def test_every_file_is_checked(exportkit: Command) -> None:
    said = exportkit("validate", "--json")
    assert list(said.json) == ["valid", "checked", "complaints", "warnings"]
    assert sorted(said.json["checked"]) == [
        "connections/files.yaml",
        "exportkit.yaml",
        "jobs/birthday-cards.yaml",
        "jobs/call-list.yaml",
        "jobs/vip-newsletter.yaml",
        "sources/customers.yaml",
    ]


def test_of_some_jobs_only_what_they_need(exportkit: Command, workspace: Path) -> None:
    (workspace / "jobs" / "call-list.yaml").write_text("version: 1\nname: [\n")
    said = exportkit("validate", JOB, "--json")
    assert said.code == 0
    assert "jobs/call-list.yaml" not in said.json["checked"]
    assert [warning["file"] for warning in said.json["warnings"]] == ["jobs/call-list.yaml"]
    assert exportkit("validate").code == 2


def test_all_that_is_wrong_is_said_at_once(exportkit: Command, workspace: Path) -> None:
    job = workspace / "jobs" / "vip-newsletter.yaml"
    job.write_text(job.read_text().replace("column: first_name", "column: fist_name"))
    source = workspace / "sources" / "customers.yaml"
    source.write_text(source.read_text().replace("lifetime_value >=", "lifetime_valeu >="))
    said = exportkit("validate", "--json")
    assert said.code == 2
    assert said.json["valid"] is False
    assert {(c["file"], c["hint"]) for c in said.json["complaints"]} == {
        ("jobs/vip-newsletter.yaml", "did you mean 'first_name'?"),
        ("sources/customers.yaml", "did you mean 'lifetime_value'?"),
    }
    for complaint in said.json["complaints"]:
        assert complaint["line"] > 1
        assert complaint["column"] > 1
        assert complaint["path"]


def test_an_unknown_job(exportkit: Command) -> None:
    said = exportkit("validate", "vip-newslettr", "--json")
    assert said.code == 2
    assert said.json["complaints"][0]["hint"] == "did you mean 'vip-newsletter'?"


def test_nothing_is_written_whatever_is_wrong(exportkit: Command, workspace: Path) -> None:
    (workspace / "data" / "profiles.csv").write_text("")
    before = sorted(workspace.rglob("*"))
    assert exportkit("validate").code == 2
    assert sorted(workspace.rglob("*")) == before


def test_a_store_is_asked_only_when_told_to(exportkit: Command, workspace: Path) -> None:
    source = workspace / "sources" / "customers.yaml"
    text = source.read_text()
    source.write_text(text.replace("file: data/profiles.csv", "file: http://127.0.0.1:1/p.csv"))
    assert exportkit("validate").code == 0
    said = exportkit("validate", "--connect")
    assert said.code == 2
    assert "http://127.0.0.1:1/p.csv: the server cannot be reached" in said.err
    broken = text.replace("lifetime_value >= 1000", "lifetime_value >= (1000")
    assert broken != text
    source.write_text(broken.replace("file: data/profiles.csv", "file: http://example.com/p.csv"))
    said = exportkit("validate")
    assert said.code == 2
    assert "profiles would cross a network in the clear" in said.err
    assert "is not one SQL expression" in said.err


def test_a_shared_state_needs_no_driver_to_be_named(
    exportkit: Command, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where files are only checked, nobody has to be able to reach the database."""
    for module in ("exportkit.state.shared", "exportkit.state.postgresql"):
        monkeypatch.delitem(sys.modules, module, raising=False)  # what is imported stays so
    for module in ("sqlalchemy", "psycopg"):
        monkeypatch.setitem(sys.modules, module, None)
    settings = workspace / "exportkit.yaml"
    settings.write_text(
        settings.read_text().replace("state: .exportkit", "state: postgresql://u@h/d")
    )
    assert exportkit("validate").code == 0
    said = exportkit("status")
    assert said.code == 2
    assert "exportkit[postgresql-state]" in said.err
