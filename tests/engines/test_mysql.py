"""A real MariaDB through SQLAlchemy: the same segments as on files, in one read-only snapshot."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from conftest import Workspace
from everywhere import EVERYWHERE

from exportkit.errors import SourceError

if TYPE_CHECKING:
    from mariadb import MariaDatabase

THERE = (
    "id int primary key, name varchar(60), note text, visits int, spent decimal(10,2), "
    "score double, news tinyint(1), born date, seen datetime(6)"
)
HERE = (
    "id int, name text, note text, visits int, spent decimal(10,2), score double, news boolean, "
    "born date, seen timestamp"
)
ROWS = """
(1, 'anna', 'x', 7, 10.50, 2.5, true, '1990-02-28', '2024-02-29 23:59:59.5'),
(2, 'Bob', 'X', -7, 0.00, -2.5, false, '2000-12-31', '2024-01-01 00:00:00'),
(3, 'ÉMILE', NULL, 2, 99.99, 0.125, NULL, '1999-01-01', NULL),
(4, 'émile', '', 0, 1000.00, 1e16, true, NULL, '1970-01-01 12:30:00'),
(5, 'a_b%c', 'a ', 3, NULL, 0, false, '2021-01-03', '2021-01-03 04:05:06'),
(6, '', 'a', NULL, -5.25, 7, true, '2020-02-29', '2020-12-31 23:59:59'),
(7, NULL, NULL, 100, 0.01, -0.5, NULL, '2024-07-15', '2024-07-15 00:00:00'),
(8, 'Zoë O''Brien', 'o', 1, 7.77, 0.1, true, '1985-06-15', '2024-06-15 15:00:00'),
(9, 'zz👩‍🚀', 'Ab', 9, 0.10, 5, false, '2038-01-19', '2038-01-19 03:14:07')
"""
OWN = """
name = 'ANNA' or name = 'bob'
note = 'a'
note <> ''
name not ilike '%É%'
contains(name, 'O''B') or contains(name, 'ANN')
name || '/' || visits = 'anna/7'
nullif(note, '') is null
score > 1e15 or score = 0.1
hour(seen) = 23
true
""".strip().splitlines()
CONDITIONS = [*EVERYWHERE, *OWN]
PLAIN = ["id", "name", "note", "visits", "spent", "born"]


@pytest.fixture(scope="module")
def both(mariadb: MariaDatabase, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    mariadb.run(f"CREATE TABLE people ({THERE})", f"INSERT INTO people VALUES {ROWS}")
    root = tmp_path_factory.mktemp("people")
    with duckdb.connect() as here:
        here.execute(f"CREATE TABLE people ({HERE}); INSERT INTO people VALUES {ROWS}")
        here.execute(f"COPY people TO '{root}/people.parquet'")
    places = {"database": mariadb.url, "table": "people"}, {"file": "people.parquet"}
    return [answers(Workspace(root), place) for place in places]


def answers(workspace: Workspace, place: dict[str, str]) -> dict[str, Any]:
    texts = {name: name for name in PLAIN}
    values = {"latest": "seen", "most": "spent"}
    return workspace.answers(place, CONDITIONS, texts=texts, values=values)


@pytest.mark.parametrize("where", CONDITIONS)
def test_a_segment_is_the_same_people(both, where):
    there, here = both
    assert there[f"? {where}"] == here[f"? {where}"]


@pytest.mark.parametrize("column", [*PLAIN, "latest", "most"])
def test_a_column_is_the_same(both, column):
    there, here = both
    same = [float(v) if column == "most" and v is not None else v for v in here[column]]
    assert there[column] == same


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("name > 5", "text is compared with a number"),
        ("cast(name as integer) = 1", "reads text that does not fit as zero"),
        ("regexp_matches(name, 'a')", "is not translated for MySQL"),
        ("try_cast(name as integer) = 1", "is not translated for MySQL"),
        ("round(score) = 3", "rounds floating-point numbers in its own way"),
        ("name", "this is text, not true or false"),
        ("nmae = 'x'", "there is no column 'nmae'"),
    ],
)
def test_what_would_mean_something_else_is_refused(workspace, both, mariadb, where, why):
    place = {"database": mariadb.url, "table": "people", "segments": {"them": {"where": where}}}
    with workspace.open(**place) as opened:
        (complaint,) = opened.complaints()
    assert why in complaint.message


def test_one_snapshot_and_nothing_written(workspace, both, mariadb, read_rows):
    mariadb.run("CREATE TABLE few (id int primary key)", "INSERT INTO few VALUES (1), (2)")
    with workspace.open(database=mariadb.url, table="few") as opened:
        mariadb.run("DELETE FROM few WHERE id = 1")
        assert opened.count(["all"]) == {"all": 2}
        with pytest.raises(SourceError, match="the transaction is read-only"):
            opened._session.row("DELETE FROM few")
    assert mariadb.run("SELECT count(*) FROM few") == ((1,),)


def test_rows_come_in_parts(workspace, both, mariadb):
    mariadb.run("CREATE TABLE many AS SELECT seq AS id, repeat('x', 50) AS t FROM seq_1_to_25000")
    with workspace.open(database=mariadb.url, query="select * from many") as opened:
        sizes = [batch.num_rows for batch in opened._session.stream("select t from many")]
    assert sizes == [10_000, 10_000, 5_000]


def test_a_database_that_vanishes_while_it_is_read(workspace, both, mariadb):
    mariadb.run(
        "CREATE TABLE `long` AS SELECT seq AS id, repeat('x', 900) AS t FROM seq_1_to_90000"
    )
    with workspace.open(database=mariadb.url, query="select * from `long`") as opened:
        batches = opened._session.stream("select t from `long`")
        next(batches)
        mine = "SELECT id FROM information_schema.processlist WHERE user = 'exportkit'"
        for (number,) in mariadb.run(mine):
            mariadb.run(f"KILL {number}")
        with pytest.raises(SourceError, match="went away while it was read"):
            list(batches)


def unreachable(mariadb: MariaDatabase) -> dict[str, tuple[dict[str, str], str]]:
    url = mariadb.url
    return {
        "password": ({"database": url.replace(mariadb.password, "wrong-pw")}, "user or the passw"),
        "database": ({"database": f"{url}x"}, "there is no such database|user or the passw"),
        "port": ({"database": url.replace(f":{mariadb.port}", ":1")}, "cannot be reached"),
        "table": ({"database": url, "table": "poeple"}, r"did you mean 'people'\?"),
        "column": ({"database": url, "query": "select nmae from people"}, "Unknown column"),
        "twice": ({"database": url, "query": "select 1 as a, 2 as A"}, "twice|two columns"),
        "sql": ({"database": url, "query": "select from from people"}, "cannot read the SQL"),
        "writes": ({"database": url, "query": "delete from people"}, "DELETE writes"),
    }


@pytest.mark.parametrize(
    "case", ["password", "database", "port", "table", "column", "twice", "sql", "writes"]
)
def test_what_is_not_there(workspace, both, mariadb, case):
    keys, why = unreachable(mariadb)[case]
    keys = {**({} if "query" in keys else {"table": "people"}), **keys}
    with pytest.raises(SourceError, match=why) as caught, workspace.open(**keys):
        pass
    assert "wrong-pw" not in str(caught.value)
    assert mariadb.password not in str(caught.value)


def test_bytes_are_no_text(workspace, both, mariadb):
    mariadb.run("CREATE TABLE photos (id int, photo blob, words text)")
    with (
        workspace.open(database=mariadb.url, table="photos") as opened,
        pytest.raises(SourceError, match="column 'photo' holds bytes"),
    ):
        opened.select(texts={"words": "words", "photo": "photo"}, segments=["all"])


@pytest.mark.parametrize(
    ("scheme", "module", "why"),
    [
        ("mysql", "pymysql", r"mysql:// needs pymysql.*exportkit\[mysql\]"),
        ("mysql", "sqlalchemy", r"mysql:// needs sqlalchemy.*exportkit\[mysql\]"),
        ("klingon", "sqlalchemy", r"needs sqlalchemy.*exportkit\[sqlalchemy\]"),
        ("snowflake", "snowflake", r"needs snowflake-sqlalchemy.*exportkit\[snowflake\]"),
        ("bigquery", "sqlalchemy_bigquery", r"needs sqlalchemy-bigquery.*exportkit\[bigquery\]"),
        ("klingon", "klingon", "klingon:// needs a SQLAlchemy dialect for klingon"),
    ],
)
def test_a_missing_driver_is_named(workspace, monkeypatch, scheme, module, why):
    monkeypatch.setitem(sys.modules, module, None)
    with (
        pytest.raises(SourceError, match=why),
        workspace.open(database=f"{scheme}://u@h/d", table="t"),
    ):
        pass
