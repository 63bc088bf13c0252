"""Data that is older than its source allows stops the run."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from exportkit.cli import main

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "exportkit.yaml": "version: 1\n",
    "people.csv": "id,name\n1,Ann\n",
    "sources/people.yaml": "version: 1\nname: people\nfile: people.csv\nkey: id\n"
    "fresh_within: 24h\nsegments: {all: {}}\n",
    "connections/files.yaml": "version: 1\nname: files\ntype: csv\n",
    "jobs/letter.yaml": "version: 1\nname: letter\nsource: people\nsegments: [all]\n"
    "connection: files\ndestination: {path: out/letter.csv}\nmap: {name: name}\n",
}


@pytest.mark.parametrize(("hours", "code"), [(1, 0), (25, 3)])
def test_old_data_blocks_the_run(
    hours: int, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    written = time.time() - hours * 3600
    os.utime(tmp_path / "people.csv", (written, written))
    with pytest.raises(SystemExit) as left:
        main(["--workspace", str(tmp_path), "run", "letter"])
    assert left.value.code == code
    assert ("older than" in capsys.readouterr().err) == (code == 3)
    assert (tmp_path / "out" / "letter.csv").exists() == (code == 0)
