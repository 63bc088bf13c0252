"""SQLite files: any value in any column, read-only, as the text that SQLite makes of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exportkit.errors import SourceError

CHINOOK = Path(__file__).parents[3] / "shared" / "data" / "chinook.sqlite"


def database(workspace, *statements, name="crm.sqlite") -> None:
    with closing(sqlite3.connect(workspace.root / name)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


PEOPLE = "create table people(id integer primary key, name text, spent real, since date, odd)"


@pytest.mark.parametrize("where", [{"file": "crm.db"}, {"database": "sqlite:///crm.db"}])
@pytest.mark.parametrize(
    "what",
    [
        {"table": "people"},
        {"table": "People"},
        {"table": "everybody"},
        {"query": "select * from people where id < 9 order by id"},
        {"query": "with p as (select * from people) select * from p -- all"},
    ],
)
def test_tables_views_queries(workspace, where, what):
    database(
        workspace,
        PEOPLE,
        "create view everybody as select * from people",
        "insert into people values (1, 'Zoë O''Brien', 1.5, '2024-01-31', 7)",
        "insert into people values (2, '👩‍🚀', 'free', 20240131, 'x')",
        "insert into people values (3, '', null, '', 2.50)",
        name="crm.db",
    )
    assert workspace.texts(**where, **what) == [
        {"id": "1", "name": "Zoë O'Brien", "spent": "1.5", "since": "2024-01-31", "odd": "7"},
        {"id": "2", "name": "👩‍🚀", "spent": "free", "since": "20240131", "odd": "x"},
        {"id": "3", "name": "", "spent": None, "since": "", "odd": "2.5"},
    ]


def test_declared_types_serve_predicates(workspace):
    database(
        workspace,
        "create table p(id integer, a varchar(20), b real, c date, d datetime, e boolean, "
        "f numeric(10, 2), g bigint, h, i blob)",
    )
    with workspace.open(file="crm.sqlite", table="p", types={"h": "integer"}) as opened:
        assert list(opened.columns.values()) == [
            "BIGINT",
            "VARCHAR",
            "DOUBLE",
            "DATE",
            "TIMESTAMP",
            "BOOLEAN",
            "DOUBLE",
            "BIGINT",
            "BIGINT",
            "VARCHAR",
        ]
        assert opened.is_empty
        assert opened.count(["all"]) == {"all": 0}


def test_values_that_do_not_fit_are_null_for_predicates(workspace, read_rows):
    database(
        workspace,
        PEOPLE,
        "insert into people(id, spent) values (1, 10), (2, 'free'), (3, 20)",
    )
    segments = {"big": {"where": "spent > 15"}, "odd": {"where": "spent is null"}}
    with workspace.open(file="crm.sqlite", table="people", segments=segments) as opened:
        assert opened.complaints() == []
        assert opened.count(["big", "odd"]) == {"big": 1, "odd": 1}
        frame = opened.select(texts={"spent": "spent"}, segments=["odd"])
        assert read_rows(frame) == [{"spent": "free"}]


def test_nulls_first_do_not_decide_the_type(workspace):
    rows = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)"
    query = f"{rows} select i as id, case when i > 99990 then 'x' || i end as a from n"
    database(workspace, PEOPLE)
    found = workspace.texts(file="crm.sqlite", query=query)
    assert len(found) == 100_000
    assert found[0] == {"id": "1", "a": None}
    assert found[-1] == {"id": "100000", "a": "x100000"}


def test_bytes_are_refused_where_they_are_mapped_alone(workspace, read_rows):
    database(
        workspace,
        PEOPLE,
        "insert into people(id, name, odd) values (1, 'Zoë', x'ff00'), (2, 'b', 'text')",
        "insert into people(id, name, spent) values (3, 'c', cast(x'ff' as text))",
    )
    with workspace.open(file="crm.sqlite", table="people") as opened:
        frame = opened.select(texts={"name": "name"}, segments=["all"])
        assert [row["name"] for row in read_rows(frame)] == ["Zoë", "b", "c"]
        with pytest.raises(SourceError, match="column 'odd' holds bytes in some rows, not text"):
            opened.select(texts={"odd": "odd"}, segments=["all"])
        with pytest.raises(SourceError, match="column 'spent' holds text that is not UTF-8"):
            opened.select(texts={"spent": "spent"}, segments=["all"])


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"table": "poeple"}, "there is no table 'poeple' (did you mean 'people'?)"),
        ({"query": "select nope from people"}, "does not answer what is declared here"),
        ({"query": "select 1 as id; drop table people"}, "does not answer"),
        ({"query": "delete from people returning *"}, "does not answer"),
        ({"query": "pragma table_list"}, "does not answer"),
    ],
)
def test_what_is_not_there_or_not_a_query(workspace, what, said):
    database(workspace, PEOPLE, "insert into people(id) values (1)")
    with pytest.raises(SourceError) as caught:
        workspace.texts(file="crm.sqlite", **what)
    assert str(caught.value).startswith("sources/people.yaml:7:")
    assert said in str(caught.value)
    with closing(sqlite3.connect(workspace.root / "crm.sqlite")) as connection:
        assert connection.execute("select count(*) from people").fetchone() == (1,)


def test_a_damaged_file(workspace):
    database(workspace, PEOPLE, "insert into people(id, name) values (1, 'Zoë')")
    whole = (workspace.root / "crm.sqlite").read_bytes()
    workspace.write("crm.sqlite", whole[:100] + b"\xff" * (len(whole) - 100))
    with pytest.raises(SourceError, match=r"crm\.sqlite is damaged"):
        workspace.texts(file="crm.sqlite", table="people")


def test_the_file_is_not_touched(workspace):
    database(workspace, PEOPLE, "insert into people(id, name) values (1, 'Zoë')")
    path = workspace.root / "crm.sqlite"
    path.chmod(0o444)
    before = path.read_bytes()
    workspace.texts(file="crm.sqlite", table="people")
    assert path.read_bytes() == before
    assert sorted(p.name for p in workspace.root.iterdir()) == ["crm.sqlite", "sources"]


def test_a_file_that_is_being_written_by_others_in_wal_mode(workspace):
    with closing(sqlite3.connect(workspace.root / "crm.sqlite")) as writer:
        writer.execute("pragma journal_mode = wal")
        writer.execute(PEOPLE)
        writer.execute("insert into people(id, name) values (1, 'Zoë')")
        writer.commit()
        with workspace.open(file="crm.sqlite", table="people") as opened:
            before = opened.fingerprint()
        assert len(workspace.texts(file="crm.sqlite", table="people")) == 1
        writer.execute("insert into people(id, name) values (2, 'b')")
        writer.commit()
        with workspace.open(file="crm.sqlite", table="people") as opened:
            assert opened.fingerprint() != before


def test_names_that_need_quotes(workspace):
    database(
        workspace,
        'create table "o\'brien""s people"(id integer, "say ""hi""" text, "order" text)',
        "insert into \"o'brien\"\"s people\" values (1, 'x', 'y')",
        name="o'brien & söns?.sqlite",
    )
    rows = workspace.texts(file="o'brien & söns?.sqlite", table="o'brien\"s people")
    assert rows == [{"id": "1", 'say "hi"': "x", "order": "y"}]


@pytest.mark.skipif(not CHINOOK.exists(), reason="the Chinook sample database is not here")
def test_every_name_of_a_real_database_byte_for_byte(workspace):
    with closing(sqlite3.connect(f"file:{CHINOOK}?mode=ro", uri=True)) as connection:
        cursor = connection.execute("select * from Customer order by CustomerId")
        names = [column[0] for column in cursor.description]
        expected = [
            {n: None if v is None else str(v) for n, v in zip(names, row, strict=True)}
            for row in cursor
        ]
    assert len(expected) == 59
    found = workspace.texts(file=str(CHINOOK), table="Customer", key="CustomerId")
    assert sorted(found, key=lambda row: int(row["CustomerId"])) == expected
