"""Parquet and DuckDB files: columns with types of their own, and the text that is made of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exportkit.errors import SourceError


def parquet(workspace, name, columns) -> None:
    (workspace.root / name).parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), workspace.root / name)


def database(workspace, name, *statements) -> None:
    with duckdb.connect(str(workspace.root / name)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_the_text_of_every_type(workspace):
    parquet(
        workspace,
        "p.parquet",
        {
            "id": pa.array([1], pa.int64()),
            "text": [" O'Brien "],
            "yes": [True],
            "day": [date(2024, 1, 31)],
            "clock": [time(9, 30)],
            "when": [datetime(2024, 1, 31, 9, 30)],
            "zoned": [datetime(2024, 1, 31, 9, 30, tzinfo=UTC)],
            "float": [0.1],
            "big": [1e20],
            "money": [Decimal("1.50")],
            "list": [["a", 'b"']],
            "struct": [{"a": 1, "b": None}],
            "null": pa.nulls(1, pa.string()),
        },
    )
    assert workspace.texts(file="p.parquet") == [
        {
            "id": "1",
            "text": " O'Brien ",
            "yes": "true",
            "day": "2024-01-31",
            "clock": "09:30:00",
            "when": "2024-01-31 09:30:00",
            "zoned": "2024-01-31 09:30:00+00",
            "float": "0.1",
            "big": "1e+20",
            "money": "1.50",
            "list": '["a","b\\""]',
            "struct": '{"a":1,"b":null}',
            "null": None,
        }
    ]


def test_bytes_cannot_be_mapped_but_do_not_disturb(workspace, read_rows):
    parquet(workspace, "p.parquet", {"id": [1], "photo": [b"\xff"]})
    with workspace.open(file="p.parquet") as opened:
        frame = opened.select(texts={"id": "id"}, segments=["all"])
        assert read_rows(frame) == [{"id": "1"}]
        with pytest.raises(SourceError, match="column 'photo' holds bytes"):
            opened.select(texts={"photo": "photo"}, segments=["all"])


def test_declared_types_serve_predicates_and_leave_the_text(workspace, read_rows):
    parquet(workspace, "p.parquet", {"id": ["1", "2"], "n": ["10", "many"]})
    segments = {"big": {"where": "n > 9"}}
    with workspace.open(file="p.parquet", types={"N": "integer"}, segments=segments) as opened:
        assert opened.columns == {"id": "VARCHAR", "n": "BIGINT"}
        frame = opened.select(texts={"n": "n"}, values={"typed": "n"}, segments=["big"])
        assert read_rows(frame) == [{"n": "10", "typed": 10}]


def test_an_unknown_type_and_an_unknown_column(workspace):
    parquet(workspace, "p.parquet", {"id": ["1"]})
    for declared in ("txet", "text); drop table x", "struct(a int)"):
        with (
            pytest.raises(SourceError, match=r"people\.yaml:8:7: types\.id: there is no type"),
            workspace.open(file="p.parquet", types={"id": declared}),
        ):
            pass
    with workspace.open(file="p.parquet", types={"ib": "text"}) as opened:
        (found,) = opened.complaints()
        assert str(found) == (
            "sources/people.yaml:8:3: types.ib: the source has no column 'ib' (there are: id)"
        )


def test_a_parquet_file_without_rows(workspace):
    parquet(workspace, "p.parquet", {"id": pa.array([], pa.int64())})
    with workspace.open(file="p.parquet") as opened:
        assert opened.is_empty
        assert opened.count(["all"]) == {"all": 0}


def test_a_damaged_parquet_file(workspace):
    parquet(workspace, "p.parquet", {"id": list(range(10_000))})
    whole = (workspace.root / "p.parquet").read_bytes()
    workspace.write("p.parquet", whole[:1000])
    with pytest.raises(SourceError, match=r"p\.parquet cannot be read: it is damaged"):
        workspace.texts(file="p.parquet")


def test_parquet_files_of_a_glob_have_to_agree(workspace):
    parquet(workspace, "d/1.parquet", {"id": [1], "a": ["x"]})
    parquet(workspace, "d/2.parquet", {"id": [2], "a": ["y"]})
    assert len(workspace.texts(file="d/*.parquet")) == 2
    parquet(workspace, "d/3.parquet", {"id": ["3"], "a": ["z"]})
    with pytest.raises(SourceError, match=r"'id' is varchar in d/3\.parquet, bigint in d/1"):
        workspace.texts(file="d/*.parquet")


def test_formats_of_a_glob_have_to_agree(workspace):
    parquet(workspace, "d/1.parquet", {"id": [1]})
    workspace.write("d/2.csv", "id\n1\n")
    with pytest.raises(SourceError, match=r"d/2\.csv is csv, d/1\.parquet is parquet"):
        workspace.texts(file="d/*")


@pytest.mark.parametrize("where", [{"file": "crm.duckdb"}, {"database": "duckdb:///crm.duckdb"}])
@pytest.mark.parametrize(
    "what",
    [
        {"table": "people"},
        {"table": "main.people"},
        {"table": "sales.people"},
        {"table": "everybody"},
        {"query": "select id, upper(name) as name from people"},
        {"query": "with p as (from people) select * from p -- all of them"},
    ],
)
def test_duckdb_files(workspace, where, what):
    database(
        workspace,
        "crm.duckdb",
        "create table people as select 1 as id, 'ZOË' as name",
        "create schema sales",
        "create table sales.people as from people",
        "create view everybody as from people",
    )
    assert workspace.texts(**where, **what) == [{"id": "1", "name": "ZOË"}]


@pytest.mark.parametrize(
    "what",
    [
        {"table": "persons"},
        {"query": "select nope from people"},
        {"query": "select 1 as id; drop table people"},
        {"query": "drop table people"},
        {"query": "selec"},
        {"query": "select 1 as id) union (select 2"},
    ],
)
def test_what_a_duckdb_file_does_not_answer(workspace, what):
    database(workspace, "crm.duckdb", "create table people as select 1 as id")
    with pytest.raises(SourceError, match=r"people\.yaml:7:\d+: (table|query): the database does"):
        workspace.texts(file="crm.duckdb", **what)


def test_a_query_sees_its_file_alone(workspace):
    workspace.write("secret.csv", "id\n1\n")
    database(workspace, "crm.duckdb", "create table people as select 1 as id")
    query = f"select * from read_csv('{workspace.root}/secret.csv')"
    with pytest.raises(SourceError, match="would read something besides"):
        workspace.texts(file="crm.duckdb", query=query)


def test_a_duckdb_file_that_is_open_elsewhere(workspace):
    database(workspace, "crm.duckdb", "create table people as select 1 as id")
    import subprocess
    import sys

    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    )
    path = str(workspace.root / "crm.duckdb")
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        with pytest.raises(SourceError, match=r"crm\.duckdb is open in another program"):
            workspace.texts(file="crm.duckdb", table="people")
        other.communicate(b"\n")


def test_a_database_needs_a_table_or_a_query(workspace):
    database(workspace, "crm.duckdb", "create table people as select 1 as id")
    with pytest.raises(SourceError, match=r"add `table:` or `query:`"):
        workspace.texts(file="crm.duckdb")


def test_a_table_needs_a_database(workspace):
    workspace.write("p.csv", "id\n1\n")
    with pytest.raises(SourceError, match=r"people\.yaml:7:1: table: `table:` goes with databases"):
        workspace.texts(file="p.csv", table="people")


def test_a_folder_that_is_partitioned(workspace):
    for folder in (
        "zip=0123/year=2024",
        "zip=A%20B/year=2025",
        "zip=__HIVE_DEFAULT_PARTITION__/year=1",
    ):
        (workspace.root / "people" / folder).mkdir(parents=True)
        parquet(workspace, f"people/{folder}/part-0.parquet", {"id": [1]})
    workspace.write("people/_SUCCESS", "")
    workspace.write("people/zip=0123/year=2024/.part-0.parquet.crc", "")
    rows = workspace.texts(file="people")
    assert [(row["zip"], row["year"]) for row in rows] == [
        ("0123", "2024"),
        ("A B", "2025"),
        (None, "1"),
    ]
    with workspace.open(file="people", segments={"new": {"where": "year >= 2024"}}) as opened:
        assert opened.complaints() == []
        assert opened.columns["year"] == "BIGINT"
        assert opened.count(["new"]) == {"new": 2}


def test_what_a_partition_says_is_text(workspace):
    """A year of 007 is no 7, and a day keeps its spelling."""
    (workspace.root / "p" / "year=007" / "day=2024-1-2").mkdir(parents=True)
    parquet(workspace, "p/year=007/day=2024-1-2/p.parquet", {"id": [1]})
    glob = "p/*/*/*.parquet"
    assert workspace.texts(file=glob) == [{"id": "1", "day": "2024-1-2", "year": "007"}]
    texts = {"day": "text", "year": "integer"}
    with workspace.open(file=glob, types=texts, segments={"a": {"where": "year = 7"}}) as opened:
        assert opened.columns == {"id": "BIGINT", "day": "VARCHAR", "year": "BIGINT"}
        assert opened.count(["a"]) == {"a": 1}


def test_a_folder_without_partitions(workspace):
    parquet(workspace, "people/part-0.parquet", {"id": [1]})
    parquet(workspace, "people/part-1.parquet", {"id": [2]})
    assert workspace.texts(file="people/") == [{"id": "1"}, {"id": "2"}]
