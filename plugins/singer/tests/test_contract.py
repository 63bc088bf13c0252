"""The bridge under the contract's own tests, with a target of each kind behind it."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from exportkit.testing import DestinationContract

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from postgresql import Database

    from exportkit.testing.rehearsal import Rehearsal

FIELDS = ("id", "email", "first_name")


@pytest.fixture(autouse=True)
def _locks_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))


class TestPostgresql(DestinationContract):
    """A batch is a sync, and a row that is there already is replaced."""

    type = "singer"
    fields = FIELDS
    key = "id"
    job_options = {"stream": "people"}
    repeatable = True
    most_rows = 200
    database: Database

    @pytest.fixture(autouse=True)
    def _installed(self, need: Callable[[str], None], postgresql: Database) -> None:
        need("target-postgres")
        self.database = postgresql

    def connection_for(self, server: Any) -> dict[str, Any]:
        where = urlsplit(self.database.url)
        config = {
            "host": where.hostname,
            "port": where.port,
            "user": where.username,
            "password": where.password,
            "database": self.database.name,
            "default_target_schema": "public",
        }
        return {"target": "target-postgres", "config": config}

    def arrived(self, stand: Rehearsal) -> list[str]:
        if self.database.run("SELECT to_regclass('people') IS NULL") == "t":
            return []
        return self.database.run("SELECT id FROM people").splitlines()


class TestCsvFile(DestinationContract):
    """The run is a sync, and all that was there is replaced."""

    type = "singer"
    fields = FIELDS
    key = "id"
    connection_options = {"target": "target-csv", "config": {"output_path": "."}}
    job_options = {"stream": "people", "sync": "run"}
    most_rows = 200

    @pytest.fixture(autouse=True)
    def _installed(self, need: Callable[[str], None]) -> None:
        need("target-csv")

    def arrived(self, stand: Rehearsal) -> list[str]:
        file = stand.workspace / "people.csv"
        if not file.exists():
            return []
        with file.open(newline="", encoding="utf-8") as rows:
            return [row["id"] for row in csv.DictReader(rows)]
