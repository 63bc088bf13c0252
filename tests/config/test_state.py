"""`state:` names a folder, or a PostgreSQL; anything else is refused where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exportkit.config.workspace import open_workspace
from exportkit.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "state",
    [
        ".exportkit",
        "/var/lib/exportkit",
        "../state",
        "postgresql://exportkit@db.example.com/exportkit?sslmode=verify-full",
        "postgresql://exportkit@db-1:5432,db-2:5433/exportkit?schema=news_2",
        "postgres:///exportkit",
        "postgresql://?service=exportkit",
    ],
)
def test_a_state_is_taken_as_it_is_written(tmp_path: Path, state: str) -> None:
    (tmp_path / "exportkit.yaml").write_text(f"version: 1\nstate: {state}\n")
    assert open_workspace(tmp_path).state == state


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("mysql://exportkit@db/exportkit", "expected a folder, or a postgresql:// URL"),
        ("s3://bucket/state", "expected a folder, or a postgresql:// URL"),
        ("postgresql://exportkit@db/exportkit?schema=News-2", "found the schema 'News-2'"),
        ("postgresql://exportkit@db/exportkit?schema=", "found the schema ''"),
        ("postgresql://exportkit@[db/exportkit", "cannot be taken apart"),
        ("postgresql://exportkit:hunter2@db/exportkit", "a password or token in plain text"),
        ("postgresql://db/exportkit?password=hunter2", "a password or token in plain text"),
        ("postgresql://exportkit:${env:PASSWORD}@db/exportkit", "found a reference"),
    ],
)
def test_another_is_refused_with_its_place(tmp_path: Path, state: str, why: str) -> None:
    (tmp_path / "exportkit.yaml").write_text(f"version: 1\nstate: {state}\n")
    with pytest.raises(ConfigError) as raised:
        open_workspace(tmp_path)
    told = str(raised.value)
    assert "exportkit.yaml:2:8: state: " in told
    assert why in told
    assert "hunter2" not in told
