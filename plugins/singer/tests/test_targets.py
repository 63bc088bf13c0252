"""Real targets, from the registry, as they are: what arrives is what was in the source."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import duckdb
import pytest
from singer_stage import Stage, person

if TYPE_CHECKING:
    from collections.abc import Callable

    from postgresql import Database

ODD = 'O\'Hara "Élodie", 李\t\\ \u2028\n{"type": "STATE"}'


def at_postgresql(stage: Stage, postgresql: Database) -> None:
    where = urlsplit(postgresql.url)
    stage.environment["DB_PASSWORD"] = where.password or ""
    stage.options = {
        "target": "target-postgres",
        "config": {
            "host": where.hostname,
            "port": where.port,
            "user": where.username,
            "password": "${env:DB_PASSWORD}",
            "database": postgresql.name,
            "default_target_schema": "public",
        },
    }


def test_postgresql_holds_what_the_source_holds(
    stage: Stage, postgresql: Database, need: Callable[[str], None]
) -> None:
    need("target-postgres")
    at_postgresql(stage, postgresql)
    stage.people(person("ann", spent="12.50"), person("bob", name=None), person("cid", name=ODD))
    assert stage.run().counts["added"] == 3
    found = postgresql.run("SELECT json_agg(p ORDER BY id) FROM people p")
    assert [(row["id"], row["email"], row["name"], row["spent"]) for row in json.loads(found)] == [
        ("ann", "ann@example.com", "Ann", 12.5),
        ("bob", "bob@example.com", None, 1),
        ("cid", "cid@example.com", ODD, 1),
    ]
    assert stage.left_behind() == []


def test_postgresql_is_brought_up_to_date(
    stage: Stage, postgresql: Database, need: Callable[[str], None]
) -> None:
    need("target-postgres")
    at_postgresql(stage, postgresql)
    assert stage.run().counts["added"] == 3
    stage.people(person("ann", name="Anna"), person("bob", spent="-3"), person("dot"))
    counts = stage.run().counts
    assert (counts["added"], counts["updated"], counts["unchanged"]) == (1, 1, 1)
    assert postgresql.run("SELECT id, name FROM people ORDER BY id").splitlines() == [
        *("ann\tAnna", "bob\tBob", "cid\tCid", "dot\tDot")
    ]
    assert stage.run().counts["sent"] == 0


def test_what_is_sent_again_is_there_once(
    stage: Stage, postgresql: Database, need: Callable[[str], None]
) -> None:
    need("target-postgres")
    at_postgresql(stage, postgresql)
    assert stage.run().counts["sent"] == 3
    assert stage.run("--full").counts["sent"] == 3
    assert postgresql.run("SELECT count(*) FROM people") == "3"


def test_types_become_those_of_the_database(
    stage: Stage, postgresql: Database, need: Callable[[str], None]
) -> None:
    need("target-postgres")
    at_postgresql(stage, postgresql)
    stage.fields |= {"visits": "visits", "vip": "vip", "born": "born", "seen": "seen"}
    types = {"visits": "integer", "vip": "boolean", "born": "date", "seen": "date-time"}
    stage.destination["types"] = types
    stage.people(
        person("ann", visits=7, vip=True, born="1990-02-28", seen="2026-01-31 08:30:00"),
        person("bob", visits=None, vip="No", born=None, seen="2026-01-31T08:30:00.5Z"),
        person("cid", visits="007", vip="perhaps", born="1990-02-30", seen="yesterday"),
    )
    counts = stage.run().counts
    assert (counts["added"], counts["rejected"]) == (2, 1)
    rows = postgresql.run("SELECT id, visits, vip, born FROM people ORDER BY id").splitlines()
    assert rows == ["ann\t7\tt\t1990-02-28", "bob\t\tf\t"]
    assert postgresql.run("SELECT date_part('hour', seen) FROM people WHERE id = 'ann'") == "8"


def test_a_wrong_password_is_told_by_the_target_and_not_shown(
    stage: Stage, postgresql: Database, need: Callable[[str], None]
) -> None:
    need("target-postgres")
    at_postgresql(stage, postgresql)
    stage.environment["DB_PASSWORD"] = "hunter2-is-wrong"
    ended = stage.run()
    assert ended.code == 1
    assert "password authentication failed" in ended.complaint
    assert "hunter2-is-wrong" not in ended.stdout + ended.stderr
    assert "Ann" not in ended.stdout + ended.stderr
    assert "Background on this error" in ended.complaint
    assert "Traceback" not in ended.complaint


def test_duckdb_by_a_target_of_another_family(stage: Stage, need: Callable[[str], None]) -> None:
    need("target-duckdb")
    stage.options = {
        "target": "target-duckdb",
        "config": {"path": "warehouse.duckdb", "default_target_schema": "main"},
    }
    stage.destination["batch_rows"] = 2
    stage.people(*(person(f"p{number}") for number in range(5)))
    assert stage.run().counts["added"] == 5
    stage.people(*(person(f"p{number}", spent=str(number)) for number in range(5)))
    assert stage.run().counts["updated"] == 4
    with duckdb.connect(str(stage.root / "warehouse.duckdb"), read_only=True) as warehouse:
        rows = warehouse.execute("SELECT id, spent FROM people ORDER BY id").fetchall()
    assert rows == [(f"p{number}", float(number)) for number in range(5)]


@pytest.mark.parametrize("rows", [3, 12_000])
def test_a_file_that_is_replaced_gets_all_rows_in_one_sync(
    stage: Stage, need: Callable[[str], None], rows: int
) -> None:
    need("target-csv")
    stage.options = {"target": "target-csv", "config": {"output_path": "out"}}
    stage.destination["sync"] = "run"
    stage.job["mode"] = "full"
    stage.destination["batch_rows"] = max(2, rows // 3)
    stage.people(*(person(f"p{number}", name=ODD) for number in range(rows)))
    (stage.root / "out").mkdir()
    assert stage.run().counts["added"] == rows
    assert stage.run().counts["sent"] == rows
    with (stage.root / "out" / "people.csv").open(newline="", encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert len(written) == rows
    assert {row["name"] for row in written} == {ODD}
