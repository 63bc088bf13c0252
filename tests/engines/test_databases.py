"""A table or query of a real PostgreSQL: one snapshot, read-only, a stream, clear errors."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from exportkit.engines.sources import open_source
from exportkit.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from postgresql import Database

PEOPLE = """
CREATE TABLE people (id int PRIMARY KEY, email text, spent numeric(10,2), news boolean,
    seen timestamptz, updated timestamp);
INSERT INTO people VALUES
    (1, 'jane@example.com', 1500.50, true, '2024-01-31 12:00:00+02', '2024-01-01'),
    (2, 'bob@example.com', 20, false, NULL, '2024-05-01 10:00:00.25'),
    (3, NULL, NULL, NULL, NULL, 'infinity');
"""
SEGMENTS = {"vip": {"where": "spent >= 1000"}, "news": {"where": "news"}, "everyone": {}}


@pytest.fixture(scope="module")
def people(postgresql_module: Database) -> Database:
    """People that no test changes."""
    postgresql_module.run(PEOPLE)
    return postgresql_module


@pytest.fixture
def changing(postgresql: Database) -> Database:
    """The same for one test alone."""
    postgresql.run(PEOPLE)
    return postgresql


def place(database: Database, **keys: Any) -> dict[str, Any]:
    keys.setdefault("segments", SEGMENTS)
    return {"database": database.url, **({} if "query" in keys else {"table": "people"}), **keys}


def texts(workspace: Any, read_rows: Any, segment: str = "everyone", **keys: Any) -> list[Any]:
    with workspace.open(**keys) as opened:
        frame = opened.select(texts={n: n for n in opened.names}, segments=[segment])
        with opened.explained():
            return read_rows(frame)


def test_a_table_is_counted_and_read(workspace, people, read_rows):
    with workspace.open(**place(people)) as opened:
        assert opened.complaints() == []
        assert not opened.is_empty
        assert opened.columns["spent"] == "numeric"
        assert opened.count(["vip", "news", "everyone"]) == {"vip": 1, "news": 1, "everyone": 3}
        frame = opened.select(
            texts={"to": "EMAIL"},
            expressions={"mark": "id || '/' || news"},
            values={"latest": "updated"},
            segments=["vip", "news"],
            flags={"gone": ["news"]},
        )
        with opened.explained():
            (row,) = read_rows(frame)
    assert {**row, "latest": str(row["latest"])} == {
        "to": "jane@example.com",
        "mark": "1/true",
        "latest": "2024-01-01 00:00:00",
        "gone": True,
    }


@pytest.mark.parametrize(
    "query",
    [
        "select * from people where id < 3",
        "select * from people where id < 3;  -- all of them",
        "with p as (select * from people) select p.* from p where id <> 3 order by id",
        "values (1, ';'), (2, $$);drop$$)",
    ],
)
def test_a_query_is_read(workspace, people, read_rows, query):
    asked = place(people, query=query, key="column1" if "values" in query else "id")
    assert len(texts(workspace, read_rows, **asked, segment="everyone")) == 2


def test_names_keep_their_case_and_their_schema(workspace, changing, read_rows):
    changing.run('CREATE SCHEMA "Crm"; CREATE TABLE "Crm"."Odd.Name" ("Id" int, "sum" text);')
    changing.run("""INSERT INTO "Crm"."Odd.Name" VALUES (7, 'x')""")
    keys = place(changing, table='Crm."Odd.Name"', key="Id", segments={"everyone": {}})
    assert texts(workspace, read_rows, **keys) == [{"Id": "7", "sum": "x"}]


TYPES = {
    "boolean": ("true", "true"),
    "smallint": ("-7", "-7"),
    "bigint": ("9223372036854775807", "9223372036854775807"),
    "numeric(38,10)": (
        "1234567890123456789012345678.0123456789",
        "1234567890123456789012345678.0123456789",
    ),
    "numeric": ("'NaN'", "NaN"),
    "real": ("0.1", "0.1"),
    "double precision": ("5", "5.0"),
    "float8": ("'NaN'", "nan"),
    "float(53)": ("'-Infinity'", "-inf"),
    "char(5)": ("'ab'", "ab"),
    "date": ("'2024-02-29'", "2024-02-29"),
    "timestamp": ("'infinity'", "infinity"),
    "timestamp(3)": ("'2024-02-29 01:02:03.4'", "2024-02-29 01:02:03.4"),
    "timestamptz": ("'2024-02-29 01:02:03+02'", "2024-02-28 23:02:03+00"),
    "time": ("'04:05'", "04:05:00"),
    "interval": ("'1 year 3 days 04:05:06'", "1 year 3 days 04:05:06"),
    "int[]": ("'{1,NULL,3}'", "[1,null,3]"),
    "text[]": ("ARRAY['a', 'b \"c\"']", r'["a","b \"c\""]'),
    "json": ("""'{"a":  1}'""", '{"a":  1}'),
    "jsonb": ("""'{"a":  1}'""", '{"a": 1}'),
    "uuid": ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "inet": ("'10.0.0.1'", "10.0.0.1/32"),
    "money": ("'12.5'", "12.50"),
    "bit(3)": ("B'101'", "101"),
    "int4range": ("'[1,5)'", "[1,5)"),
    "mood": ("'ok'", "ok"),
    "pair": ("(1, 'y')", '{"a":1,"b":"y"}'),
}


def test_every_type_has_a_text(workspace, postgresql, read_rows):
    columns = ", ".join(f'"{n}" {kind}' for n, kind in enumerate(TYPES))
    values = ", ".join(value for value, _ in TYPES.values())
    postgresql.run("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (a int, b text);")
    # How the server would print them for this account makes no difference.
    for setting in (
        "DateStyle = 'German'",
        "TimeZone = 'Asia/Tokyo'",
        "IntervalStyle = 'iso_8601'",
    ):
        postgresql.run(f"ALTER DATABASE {postgresql.name} SET {setting}")
    postgresql.run(
        f"SET DateStyle = ISO; SET TimeZone = 'UTC'; CREATE TABLE t ({columns});"
        f"INSERT INTO t VALUES ({values}); INSERT INTO t DEFAULT VALUES"
    )
    keys = place(postgresql, table="t", key="0", segments={"everyone": {}})
    row, empty = texts(workspace, read_rows, **keys)
    assert list(row.values()) == [text for _, text in TYPES.values()]
    assert set(empty.values()) == {None}


def test_bytes_are_no_text(workspace, postgresql):
    postgresql.run("CREATE TABLE t (id int, photo bytea)")
    with (
        workspace.open(**place(postgresql, table="t", segments={"all": {}})) as opened,
        pytest.raises(SourceError, match=r"column 'photo' holds bytes \(bytea\), not text"),
    ):
        opened.select(texts={"photo": "photo"}, segments=["all"])


def test_everything_is_seen_in_one_snapshot(workspace, changing, read_rows):
    with workspace.open(**place(changing)) as opened:
        changing.run("DELETE FROM people WHERE id = 1; INSERT INTO people VALUES (9), (10)")
        assert opened.count(["everyone"]) == {"everyone": 3}
        frame = opened.select(texts={"id": "id"}, segments=["everyone"])
        with opened.explained():
            assert [row["id"] for row in read_rows(frame)] == ["1", "2", "3"]


def test_a_transaction_ends_when_the_rows_are_read(workspace, changing, read_rows):
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'"
    with workspace.open(**place(changing)) as opened:
        assert changing.run(idle) == "1"
        with opened.explained():
            read_rows(opened.select(texts={"id": "id"}, segments=["everyone"]))
        assert changing.run(idle) == "0"


def test_rows_that_nobody_asked_for_stay_where_they_are(workspace, people, read_rows):
    people.run(
        "CREATE ROLE reader LOGIN PASSWORD 'pw'; GRANT SELECT (id, spent) ON people TO reader"
    )
    url = people.server.url(people.name, user="reader", password="pw")
    # `select *` would be refused: this user may read two columns.
    query = "select id, spent from people"
    with workspace.open(
        database=url, query=query, segments=SEGMENTS["vip"] and {"vip": SEGMENTS["vip"]}
    ) as opened:
        frame = opened.select(texts={"id": "id"}, segments=["vip"])
        with opened.explained():
            assert read_rows(frame) == [{"id": "1"}]


def test_a_column_that_is_asked_for_twice_travels_once(workspace, people, read_rows, monkeypatch):
    with workspace.open(**place(people)) as opened:
        schema, streamed = opened._session.schema, []

        def listening(sql: str) -> Any:
            streamed.append(schema(sql))
            return streamed[-1]

        monkeypatch.setattr(opened._session, "schema", listening)
        frame = opened.select(texts={"a": "id", "b": "ID", "c": "email"}, segments=["vip"])
        with opened.explained():
            assert read_rows(frame) == [{"a": "1", "b": "1", "c": "jane@example.com"}]
    assert [len(each) for each in streamed] == [2]


READING = """
import sys
from exportkit.config.documents import read_document
from exportkit.config.source import read_source
from exportkit.engines.sources import open_source
from pathlib import Path
file = Path(sys.argv[1])
with open_source(read_source(read_document(file, "x")), file.parent) as opened:
    size = sum(batch.nbytes for batch in opened._session.stream(sys.argv[2]))
status = Path("/proc/self/status").read_text()  # rusage begins with the parent's peak
print(size, int(status.partition("VmHWM:")[2].split()[0]) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of a process")
def test_memory_does_not_grow_with_the_rows(workspace, people):
    file = workspace.root / "sources" / "people.yaml"
    workspace.source(**place(people))
    query = "SELECT repeat(md5(g::text), 32) AS t FROM generate_series(1, 400000) AS g"
    command = [sys.executable, "-c", READING, file, query]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    size, peak = map(int, done.stdout.split())
    assert size > 400_000_000
    assert peak < 320_000_000  # most of it is what was imported


def test_a_table_that_nobody_wrote_to_has_the_same_fingerprint(workspace, changing):
    def fingerprint(**keys: Any) -> str:
        with workspace.open(**place(changing, **keys)) as opened:
            return opened.fingerprint()

    changing.run(
        "CREATE VIEW seen_today AS SELECT * FROM people WHERE seen > now() - interval '1 day'"
    )
    first = fingerprint()
    assert fingerprint() == first
    changing.run("UPDATE people SET spent = 21 WHERE id = 2")
    assert fingerprint() != first
    assert fingerprint(table="seen_today") != fingerprint(table="seen_today")
    assert fingerprint(query="select * from people") != fingerprint(query="select * from people")


WRITING = {
    "delete from people": "a statement that begins with DELETE writes",
    "select * from people; drop table people": "a second statement follows",
    "with gone as (delete from people returning *) select * from gone": "DELETE writes",
    "with p as (select 1) update people set id = 2": "UPDATE writes",
    "select * into copy from people": "SELECT … INTO writes",
    "select * from people for update": "the query locks rows",
    "copy people to program 'true'": "a statement that begins with COPY is no query",
    "select 1) to program 'true' --": "this closes a bracket that is not open",
    "select (1": "this bracket is not closed",
    "select 'a": "the query cannot be read",
    "": None,
    ";": "the query is empty",
}


@pytest.mark.parametrize(("query", "why"), [(q, w) for q, w in WRITING.items() if w])
def test_a_query_that_does_more_than_read_is_refused(workspace, people, query, why):
    with (
        pytest.raises(SourceError, match=why) as caught,
        workspace.open(**place(people, query=query)),
    ):
        pass
    assert caught.value.location.file == "sources/people.yaml"
    assert people.run("SELECT count(*) FROM people") == "3"


def test_a_function_that_writes_is_stopped_by_the_transaction(workspace, people, read_rows):
    people.run("CREATE FUNCTION zap() RETURNS int LANGUAGE sql AS 'DELETE FROM people RETURNING 1'")
    keys = place(people, query="select zap() as id", segments={"everyone": {}})
    with pytest.raises(SourceError, match="the query writes, and the transaction is read-only"):
        texts(workspace, read_rows, **keys)
    assert people.run("SELECT count(*) FROM people") == "3"


def test_the_place_in_a_query_of_several_lines(workspace, people):
    path = workspace.write(
        "sources/people.yaml",
        f"version: 1\nname: people\nkey: id\ndatabase: {people.url}\n"
        "query: |\n  select *\n  from people;\n    drop table people\nsegments: {all: {}}\n",
    )
    from exportkit.config.documents import read_document
    from exportkit.config.source import read_source

    source = read_source(read_document(path, "sources/people.yaml"))
    with pytest.raises(SourceError) as caught, open_source(source, workspace.root):
        pass
    assert str(caught.value.location) == "sources/people.yaml:7:14"


WRONG = {
    "a table that is not there": (
        {"table": "poeple"},
        r"relation \"poeple\" does not exist \(did you mean 'people'\?\)",
    ),
    "a name that is too long": ({"table": "x" * 900_000}, "a name has at most 63 bytes"),
    "another one": ({"table": "people." * 50_000}, "relation|names|at most"),
    "a column that is not there": (
        {"query": "select id, nmae from people"},
        'column "nmae" does not exist',
    ),
    "two columns of one name": (
        {"query": 'select id, 2 as ID, 3 as "ID" from people'},
        "has two columns 'id'",
    ),
    "no SQL": (
        {"query": "select from from people"},
        "cannot read the SQL: syntax error at or near",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_there_is_named(workspace, people, case):
    keys, why = WRONG[case]
    with pytest.raises(SourceError, match=why) as caught, workspace.open(**place(people, **keys)):
        pass
    assert len(str(caught.value)) < 600
    assert caught.value.location.path in ("table", "query")


def test_segments_that_cannot_work_are_complaints(workspace, people):
    segments = {
        "text": {"where": "email"},
        "types": {"where": "spent = 'much'"},
        "mixed": {"where": "email > 5"},
        "name": {"where": "emial = 'x'"},
        "fine": {"where": "spent > 5"},
    }
    keys = place(people, segments=segments, key="uid", types={"id": "text"}, fresh_within="24h")
    with workspace.open(**keys) as opened:
        found = {c.location.path: (c.message, c.hint) for c in opened.complaints()}
    assert found == {
        "types": (
            "`types:` goes with files of this machine, not with a server",
            "cast the column in `query:`",
        ),
        "fresh_within": (
            "`fresh_within:` goes with files of this machine, not with a server",
            "a server does not say when it was written to; a query can ask a column",
        ),
        "key": ("the source has no column 'uid'", "did you mean 'id'?"),
        "segments.text.where": (
            "this is text, not true or false",
            "compare it with something: newsletter = 'yes'",
        ),
        "segments.types.where": (
            "a value cannot be read as this expression asks",
            "use try_cast(… as …), or compare with text in '…'",
        ),
        "segments.mixed.where": (
            "the types of the columns do not fit this expression",
            "cast(column as type) makes one fit",
        ),
        "segments.name.where": ("there is no column 'emial'", "did you mean 'email'?"),
    }


def unreachable(server: Any, name: str) -> dict[str, tuple[str, str]]:
    return {
        "password": (server.url(name, password="wrong-pw"), "does not accept the user or the pass"),
        "user": (server.url(name, user="nobody"), "does not accept the user or the password"),
        "database": (server.url("nothing"), "there is no such database"),
        "port": (server.url(name).replace(f":{server.port}", ":1"), "nothing listens there"),
        "host": ("postgresql://u:secret-pw@db.invalid/x", "the name of the host is not known"),
        "option": (server.url(name) + "?colour=red", "the URL is not one that PostgreSQL"),
        "encryption": (server.url(name) + "?sslmode=require", "cannot agree on encryption"),
    }


@pytest.mark.parametrize(
    "case", ["password", "user", "database", "port", "host", "option", "encryption"]
)
def test_a_server_that_is_not_to_be_had(workspace, postgresql, case):
    url, why = unreachable(postgresql.server, postgresql.name)[case]
    with pytest.raises(SourceError, match=why) as caught, workspace.open(database=url, table="t"):
        pass
    assert caught.value.location.path == "database"
    for secret in ("wrong-pw", "secret-pw", postgresql.server.password):
        assert secret not in str(caught.value)


def test_of_several_hosts_one_is_there(workspace, people):
    there = f"127.0.0.1:{people.server.port}"
    url = people.url.replace(there, f"127.0.0.1:1,{there}")
    with workspace.open(**{**place(people), "database": url}) as opened:
        assert opened.count(["everyone"]) == {"everyone": 3}


@pytest.mark.parametrize("url", ["postgresql:/db", "//host/db", "postgresql://[half/db", "db"])
def test_what_is_no_url(workspace, url):
    wrong = pytest.raises(SourceError, match="not the URL of a database")
    with wrong as caught, workspace.open(database=url, table="t"):
        pass
    assert caught.value.location.path == "database"


def test_a_password_by_reference_may_hold_anything(workspace, people, monkeypatch):
    awkward = "p@ss/w:o?r#d% ü"
    people.run(f"CREATE ROLE odd LOGIN PASSWORD '{awkward}'; GRANT SELECT ON people TO odd")
    monkeypatch.setenv("ODD", awkward)
    url = people.server.url(people.name, user="odd").replace(people.server.password, "${env:ODD}")
    with workspace.open(**{**place(people), "database": url}) as opened:
        assert opened.count(["everyone"]) == {"everyone": 3}
    monkeypatch.setenv("ALL", people.url)
    with workspace.open(**{**place(people), "database": "${env:ALL}"}) as opened:
        assert opened.count(["everyone"]) == {"everyone": 3}
    monkeypatch.delenv("ALL")
    with (
        pytest.raises(ConfigError, match="ALL is not set"),
        workspace.open(**{**place(people), "database": "${env:ALL}"}),
    ):
        pass


def test_a_database_that_vanishes_while_it_is_read(workspace, postgresql, read_rows):
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    postgresql.run(
        "CREATE TABLE people AS SELECT g AS id, repeat('jane@example.com', 20) AS email "
        "FROM generate_series(1, 200000) g"
    )
    with workspace.open(**place(postgresql, segments={"all": {}})) as opened:
        frame = opened.select(texts={"id": "id", "email": "email"}, segments=["all"])
        stream = frame.to_native().to_arrow_reader(1000)
        stream.read_next_batch()
        postgresql.run(f"{others} AND datname = current_database()")
        with pytest.raises(SourceError, match="went away while it was read") as caught:
            read_to_the_end(opened, stream)
    assert "run again when the database is back" in str(caught.value)
    assert "jane" not in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "select g as id, repeat('x', 500) as email from generate_series(1, 500000) g",
        "select g as id, case when g > 100000 then pg_sleep(60)::text else repeat('x', 500) end "
        "as email from generate_series(1, 100001) g",
    ],
)
def test_whoever_stops_in_the_middle_leaves_nothing_behind(workspace, people, query):
    started = time.monotonic()
    with workspace.open(**place(people, query=query, segments={"all": {}})) as opened:
        frame = opened.select(texts={"id": "id", "email": "email"}, segments=["all"])
        frame.to_native().to_arrow_reader(1000).read_next_batch()
    assert time.monotonic() - started < 40
    there = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'exportkit'"
    while people.run(there) != "0":
        assert time.monotonic() - started < 50
        time.sleep(0.1)


def read_to_the_end(opened: Any, stream: Any) -> None:
    with opened.explained():
        try:
            stream.read_all()
        except OSError as error:  # Arrow's reader, in this test alone
            raise duckdb.IOException("broken") from error


def test_the_server_knows_who_is_there_and_a_silent_one_is_noticed(workspace, people):
    for added, name in (("", "exportkit"), ("?application_name=crm&keepalives=1", "crm")):
        keys = {**place(people), "database": people.url + added}
        with workspace.open(**keys) as opened:
            assert opened._session.row("SELECT current_setting('application_name')") == (name,)


def test_a_query_that_takes_too_long(workspace, changing, read_rows):
    changing.run(f"ALTER DATABASE {changing.name} SET statement_timeout = '150ms'")
    keys = place(
        changing,
        query="select id, pg_sleep(5)::text as email from people",
        segments={"everyone": {}},
    )
    started = time.monotonic()
    with pytest.raises(SourceError, match="it took longer than statement_timeout allows"):
        texts(workspace, read_rows, **keys)
    assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("cast(email as integer) > 1", "a value cannot be read as an expression asks"),
        ("spent / (id - 1) > 1", "an expression divides by zero"),
    ],
)
def test_values_that_do_not_fit_are_not_quoted(workspace, people, read_rows, where, why):
    keys = place(people, segments={"everyone": {"where": where}})
    with pytest.raises(SourceError, match=why) as caught:
        texts(workspace, read_rows, **keys)
    assert "jane" not in str(caught.value)


def test_a_driver_that_is_not_installed_is_named_with_its_extra(workspace, monkeypatch):
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    monkeypatch.delitem(sys.modules, "adbc_driver_postgresql.dbapi", raising=False)
    with (
        pytest.raises(SourceError, match=r"needs adbc-driver-postgresql.*exportkit\[postgresql\]"),
        workspace.open(database="postgresql://u@h/d", table="t"),
    ):
        pass


def test_the_rest_of_the_program_needs_no_driver():
    code = "import sys, exportkit.engines.sources; print([m for m in sys.modules if 'adbc' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert Path(code).name


def test_a_driver_of_another_kind_reads_the_same(workspace, people, read_rows):
    """SQLAlchemy with psycopg: the way of every database without a driver for Arrow."""
    url = people.url.replace("postgresql://", "postgresql+psycopg://")
    keys = {"database": url, "table": "people", "segments": SEGMENTS}
    with workspace.open(**keys) as opened:
        assert opened.complaints() == []
        assert opened.count(["vip", "everyone"]) == {"vip": 1, "everyone": 3}
        frame = opened.select(
            texts={"id": "id", "email": "email", "spent": "spent", "news": "news"},
            expressions={"at": "upper(email)"},
            segments=["vip"],
        )
        with opened.explained():
            (row,) = read_rows(frame)
    assert row == {
        "id": "1",
        "email": "jane@example.com",
        "spent": "1500.50",
        "news": "true",
        "at": "JANE@EXAMPLE.COM",
    }


def test_a_database_that_nobody_thought_of(workspace, read_rows):
    """SQLite over SQLAlchemy stands for those that are told what every SQL understands."""
    with closing(sqlite3.connect(workspace.root / "crm.db")) as database:
        database.execute("CREATE TABLE people (id integer, name text, born text)")
        database.execute("INSERT INTO people VALUES (1, 'Ann', '2000-01-31'), (2, '100%', NULL)")
        database.commit()
    url = f"sqlite+pysqlite:///{workspace.root}/crm.db"
    segments = {"odd": {"where": "name like '%0%' and born is null"}, "all": {}}
    with workspace.open(database=url, table="people", segments=segments) as opened:
        assert not opened.is_empty
        assert opened.complaints() == []
        assert opened.count(["odd", "all"]) == {"odd": 1, "all": 2}
        with pytest.raises(SourceError):
            opened._session.row("DELETE FROM people RETURNING id")
        frame = opened.select(texts={"id": "id", "name": "name"}, segments=["odd"])
        with opened.explained():
            assert read_rows(frame) == [{"id": "2", "name": "100%"}]
