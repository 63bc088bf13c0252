"""The workspace that every case breaks in one place, and a plugin with a required field."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent

MILL = """
    from contextlib import contextmanager
    from exportkit import *

    OPTIONS = {
        "type": "object",
        "required": ["account"],
        "properties": {"account": {"type": "string", "description": "the number on the invoice"}},
    }

    @hookimpl
    def describe_destination():
        return Description(
            "Paper mill",
            connection_options=OPTIONS,
            job_options={"type": "object", "properties": {"tray": {"enum": ["A4", "A5"]}}},
            fields=(Column("street", required=True, max_length=40), Column("name", key=True)),
            modes=("upsert", "full"),
            third_party=False,
        )

    @hookimpl
    @contextmanager
    def connect(connection):
        yield None

    @hookimpl
    def push(session, batch):
        return Delivery()
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for `sys.path` in which the distribution `exportkit-mill` is installed."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "exportkit_mill.py").write_text(textwrap.dedent(MILL))
    info = folder / "exportkit_mill-1.2.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: exportkit-mill\nVersion: 1.2.3\n")
    (info / "entry_points.txt").write_text("[exportkit]\nmill = exportkit_mill\n")
    return folder


@pytest.fixture
def workspace(tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the sound workspace to break, and to stand in."""
    folder = Path(shutil.copytree(HERE / "workspace", tmp_path / "workspace"))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(folder)
    yield folder
    sys.modules.pop("exportkit_mill", None)  # another test's mill has the name too
