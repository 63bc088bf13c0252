"""The command line as a user has it, on the starter workspace."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Said:
    """What a command left behind: its exit code and what it printed where."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout, which is one JSON document and nothing else."""
        return json.loads(self.out)


Command = Callable[..., Said]


@pytest.fixture(scope="session")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starter") / "workspace"
    with pytest.raises(SystemExit):
        main(["init", str(folder)])
    return folder


@pytest.fixture
def workspace(starter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "workspace"
    shutil.copytree(starter, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def exportkit(workspace: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in the workspace."""

    def run(*arguments: str) -> Said:
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        out, err = capfd.readouterr()
        assert isinstance(left.value.code, int)
        return Said(left.value.code, out, err)

    return run
