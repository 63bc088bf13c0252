"""Nothing below the state folder is for others: folders 0700, files 0600."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exportkit.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def test_after_a_run_and_a_plan_all_is_private(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    for command in (
        ["init", str(workspace)],
        ["run", "vip-newsletter"],
        ["plan", "vip-newsletter"],
    ):
        place = [] if command[0] == "init" else ["--workspace", str(workspace)]
        with pytest.raises(SystemExit) as left:
            main([*place, *command])
        assert left.value.code == 0
    state = workspace / ".exportkit"
    found = [state, *state.rglob("*")]
    assert {"snapshots", "runs", "journal.sqlite"} <= {path.name for path in found}
    open_to_others = [path for path in found if path.stat().st_mode & 0o077]
    assert open_to_others == []
