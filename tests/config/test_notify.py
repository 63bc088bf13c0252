"""`notify:` in a job and in exportkit.yaml: who is told of what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exportkit.config.notify import DEFAULT_ON, Notify
from exportkit.config.workspace import open_workspace

if TYPE_CHECKING:
    from pathlib import Path


def test_for_the_whole_workspace(tmp_path: Path) -> None:
    (tmp_path / "exportkit.yaml").write_text(
        "version: 1\nnotify:\n  - to: ${env:OPS}\n  - {to: '${file:team.txt}', on: [always]}\n"
    )
    workspace = open_workspace(tmp_path)
    assert workspace.notify == (
        Notify("${env:OPS}", DEFAULT_ON),
        Notify("${file:team.txt}", ("always",)),
    )
    place = workspace.document.locate(workspace.notify[1].at)
    assert (place.line, place.path) == (4, "notify[1].to")


def test_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "exportkit.yaml").write_text("version: 1\n")
    assert open_workspace(tmp_path).notify is None


def test_names_of_jobs_are_known_without_checking_them(tmp_path: Path) -> None:
    (tmp_path / "exportkit.yaml").write_text("version: 1\n")
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "b.yaml").write_text("version: 1\nname: beta\nmap: 7\n")
    (tmp_path / "jobs" / "a.yaml").write_text("version: 1\nname: alpha\n")
    (tmp_path / "jobs" / "c.yaml").write_text("name: [\n")
    assert open_workspace(tmp_path).job_names == ("alpha", "beta")
