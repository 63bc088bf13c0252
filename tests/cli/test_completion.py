"""What the shell completes, as the shell asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Command

BIN = Path(sys.executable).parent


def completed(workspace: Path, line: str) -> list[str]:
    words = line.split(" ")
    asked = {
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_EXPORTKIT_COMPLETE": "bash_complete",
    }
    done = subprocess.run(
        [BIN / "exportkit"], env=os.environ | asked, cwd=workspace, capture_output=True, text=True
    )
    assert done.stderr == ""
    return [answer.partition(",")[2] for answer in done.stdout.splitlines() if answer]


JOBS = ["birthday-cards", "call-list", "vip-newsletter"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("exportkit run ", JOBS),
        ("exportkit run vip-newsletter call", ["call-list"]),
        ("exportkit plan v", ["vip-newsletter"]),
        ("exportkit status ", JOBS),
        ("exportkit history b", ["birthday-cards"]),
        ("exportkit rejections ", JOBS),
        ("exportkit validate ", JOBS),
        ("exportkit segments ", ["customers"]),
        ("exportkit connection show ", ["files"]),
        ("exportkit connection detach files --job c", ["call-list"]),
        ("exportkit plugins show cs", ["csv"]),
        ("exportkit schema job --type cs", ["csv"]),
        ("exportkit audit f", ["files"]),
        ("exportkit sch", ["schedule", "schema"]),
        ("exportkit run --d", ["--due"]),
        ("exportkit schedule s", ["show"]),
    ],
)
def test_names(workspace: Path, line: str, expected: list[str]) -> None:
    (workspace / "connections" / "sandbox.yaml").unlink(missing_ok=True)
    (workspace / "jobs" / "newsletter-sandbox.yaml").unlink(missing_ok=True)
    assert completed(workspace, line) == expected


def test_names_of_another_workspace(workspace: Path, tmp_path: Path) -> None:
    assert completed(tmp_path, f"exportkit --workspace {workspace} plan vip") == [JOBS[2]]


def test_there_is_nothing_to_complete_outside(tmp_path: Path) -> None:
    assert completed(tmp_path, "exportkit run ") == []


def test_broken_files_do_not_disturb(workspace: Path) -> None:
    (workspace / "jobs" / "call-list.yaml").write_text("version: [")
    assert completed(workspace, "exportkit run v") == [JOBS[2]]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(exportkit: Command, shell: str) -> None:
    said = exportkit("completion", shell)
    assert said.code == 0
    assert "_EXPORTKIT_COMPLETE" in said.out


def test_bash_completes_with_it(exportkit: Command, workspace: Path, tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(exportkit("completion", "bash").out)
    lines = (
        f"source {script}; COMP_WORDS=(exportkit run vi); COMP_CWORD=2; "
        '_exportkit_completion exportkit; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", lines],
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        cwd=workspace, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == JOBS[2], done.stderr
