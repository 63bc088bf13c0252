"""The stage on which targets are tried, and a real PostgreSQL."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from postgresql import postgresql, postgresql_server  # noqa: F401 - fixtures
from singer_stage import Stage, person

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def stage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Stage:
    """A stage with three people in the source and no target yet."""
    root = tmp_path / "workspace"
    root.mkdir()
    state, options = tmp_path / "state-home", {"target": "none", "config": {}}
    made = Stage(root, state, lambda: tuple(capfd.readouterr()), options)
    made.people(person("ann", spent="12.50"), person("bob", spent="-3"), person("cid"))
    return made


@pytest.fixture
def need() -> Callable[[str], None]:
    """Skips the test where a real target is not installed."""

    def check(target: str) -> None:
        if shutil.which(target, path=str(Path(sys.executable).parent)) is None:
            pytest.skip(f"needs {target}: pip install --group dev")

    return check
