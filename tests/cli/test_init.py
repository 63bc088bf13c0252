"""`exportkit init`: a workspace that runs at once, and never over somebody's files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.cli.conftest import Command


def test_it_says_what_comes_next_and_that_works(
    exportkit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = exportkit("init", "new")
    assert said.code == 0
    first, *commands = said.out.splitlines()
    assert first.endswith("files are in new; now try")
    assert [line.split()[0] for line in commands] == ["cd", "exportkit", "exportkit"]
    monkeypatch.chdir(tmp_path / commands[0].split()[1])
    for command in commands[1:]:
        assert exportkit(*command.split()[1:]).code == 0
    assert exportkit("validate").code == 0


def test_editors_find_the_schema_of_every_file(workspace: Path) -> None:
    for file in workspace.rglob("*.yaml"):
        line = file.read_text(encoding="utf-8").partition("\n")[0]
        schema = (file.parent / line.partition("$schema=")[2]).resolve()
        assert schema.is_relative_to(workspace.resolve())
        assert json.loads(schema.read_text(encoding="utf-8"))["$schema"]


def test_what_runs_write_stays_out_of_git(workspace: Path) -> None:
    ignored = (workspace / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {".exportkit/", "out/"} <= set(ignored)


def test_no_file_is_replaced(exportkit: Command, workspace: Path) -> None:
    job = workspace / "jobs" / "vip-newsletter.yaml"
    job.write_text("mine")
    said = exportkit("init")
    assert said.code == 2
    assert "exists already" in said.err
    assert "exportkit init DIR" in said.err
    assert job.read_text() == "mine"


def test_lines_of_git_that_are_there_are_kept(
    exportkit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / ".gitignore").write_text("*.log")
    monkeypatch.chdir(folder)
    assert exportkit("init").code == 0
    lines = (folder / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "*.log"
    assert ".exportkit/" in lines
