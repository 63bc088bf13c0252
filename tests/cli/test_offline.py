"""What looks and never touches: no network, and nothing written where nothing was asked for."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# In a process of its own: an audit hook cannot be taken out again.
WATCHED = """
import json, sys
seen = []
def watch(event, arguments):
    if event.startswith("socket.") and event not in ("socket.gethostname", "socket.__new__"):
        seen.append(event)
sys.addaudithook(watch)
from exportkit.cli import main
try:
    main(sys.argv[1:])
except SystemExit as left:
    print(json.dumps({"code": left.code, "seen": seen}), file=sys.stderr)
"""


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate"],
        ["validate", "vip-newsletter", "--json"],
        ["segments", "customers"],
        ["plugins"],
        ["plugins", "show", "csv"],
        ["schema", "job", "--type", "csv"],
    ],
    ids=" ".join,
)
def test_looking_needs_no_network_and_writes_nothing(arguments: list[str], workspace: Path) -> None:
    before = contents(workspace)
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments], cwd=workspace, capture_output=True, text=True
    )
    told = json.loads(done.stderr.splitlines()[-1])
    assert told == {"code": 0, "seen": []}, done.stderr
    assert contents(workspace) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_workspace_that_may_only_be_read_can_be_validated(workspace: Path) -> None:
    folders = [workspace, *(path for path in workspace.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    try:
        done = subprocess.run(
            [sys.executable, "-c", WATCHED, "validate"], cwd=workspace, capture_output=True
        )
    finally:
        for folder in folders:
            folder.chmod(0o700)
    assert done.returncode == 0
