"""Jobs whose profiles are in a PostgreSQL: planned, run, run again, and what is in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exportkit.errors import ConfigError, GuardError

if TYPE_CHECKING:
    from postgresql import Database

    from .conftest import Shop

PEOPLE = """
CREATE TABLE people (id int PRIMARY KEY, email text, name text, city text, at timestamptz);
INSERT INTO people VALUES
    (1, 'ann@example.com', 'Ann', 'Athens', '2024-01-01'),
    (2, 'bob@example.com', 'Bob', 'Bonn', '2024-01-02'),
    (3, 'c@x.org', 'Cid', 'Cork', '2024-01-03'),
    (4, 'ANN@example.com', 'Anna', 'Athens', '2024-01-04'),
    (5, 'not an address', 'Eve', 'Athens', NULL);
"""


@pytest.fixture
def there(shop: Shop, postgresql: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The shop's people are in a database; the URL is a reference."""
    postgresql.run(PEOPLE)
    monkeypatch.setenv("CRM", postgresql.url)
    del shop.source["file"]
    shop.source.update(database="${env:CRM}", table="people")
    shop.list()
    shop.set(
        map={
            "email": {"column": "email", "kind": "email", "transform": "lower"},
            "name": {"sql": "name || '/' || id"},
        },
        on_duplicate={"prefer": "at"},
        mode="mirror",
    )
    return postgresql


def test_only_what_changed_is_sent(shop: Shop, there: Database) -> None:
    first = shop.counts()
    assert (first.selected, first.rejected, first.duplicates, first.added) == (5, 1, 1, 3)
    again = shop.counts()
    assert (again.unchanged, again.sent) == (3, 0)
    there.run("UPDATE people SET name = 'Robert' WHERE id = 2; DELETE FROM people WHERE id = 3")
    changed = shop.counts()
    assert (changed.updated, changed.removed, changed.unchanged) == (1, 1, 1)


def test_a_file_from_a_segment(shop: Shop, there: Database) -> None:
    shop.set(
        connection="files",
        segments=["athens"],
        destination={"path": "out/vip.csv"},
        map={"email": "email", "at": "at", "label": {"sql": "upper(city)"}},
        mode="full",
    )
    shop.counts()
    assert [tuple(row.values()) for row in shop.out] == [
        ("ann@example.com", "2024-01-01 00:00:00+00", "ATHENS"),
        ("ANN@example.com", "2024-01-04 00:00:00+00", "ATHENS"),
        ("not an address", "", "ATHENS"),
    ]


def test_a_plan_holds_while_nobody_writes(shop: Shop, there: Database) -> None:
    planned = shop.plan()
    assert shop.counts(plan_id=planned.plan.folder.name).added == 3


def test_a_plan_ends_with_the_first_write(shop: Shop, there: Database) -> None:
    planned = shop.plan()
    there.run("UPDATE people SET name = 'Robert' WHERE id = 2")
    run = shop.run(plan_id=planned.plan.folder.name)
    assert run.error is not None
    assert run.error.kind == GuardError.kind
    assert "the source's data changed since" in run.error.message


def test_a_table_that_changed_under_a_job(shop: Shop, there: Database) -> None:
    shop.counts()
    there.run("ALTER TABLE people RENAME COLUMN city TO town; ALTER TABLE people DROP COLUMN name")
    run = shop.run()
    assert run.error is not None
    assert run.error.kind == ConfigError.kind
    assert "segments.athens.where: there is no column 'city'" in run.error.message


def test_a_database_that_is_gone(shop: Shop, there: Database, monkeypatch) -> None:
    shop.counts()
    monkeypatch.setenv("CRM", there.url.replace(there.server.password, "wrong-pw"))
    run = shop.run()
    assert run.error is not None
    assert run.error.kind == "source"
    assert "does not accept the user or the password" in run.error.message
    assert "wrong-pw" not in str(run)
