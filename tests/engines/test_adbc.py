"""Databases by ADBC drivers that the URL names: DuckDB's, PostgreSQL's, one by a manifest."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import adbc_driver_sqlite
import duckdb
import pyarrow as pa
import pytest
from conftest import Workspace
from test_databases import PEOPLE, READING, SEGMENTS, read_to_the_end, texts
from test_dialects import COLUMNS, CONDITIONS, DECLARED, EXPRESSIONS, ROWS, answers

from exportkit.config.documents import read_document
from exportkit.config.secrets import plain_secrets
from exportkit.engines.databases.adbc import _kind
from exportkit.engines.databases.adbc_drivers import opening
from exportkit.engines.databases.servers import find_server, scheme_resolved
from exportkit.engines.databases.unopened import complaints_unopened
from exportkit.errors import SourceError
from exportkit.redaction import without_secrets

if TYPE_CHECKING:
    from postgresql import Database

EVERYONE = {"everyone": {}}


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a DuckDB file that no test changes."""
    workspace = Workspace(tmp_path_factory.mktemp("crm"))
    with duckdb.connect(str(workspace.root / "crm.duckdb")) as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute(f"CREATE TABLE people ({DECLARED}); INSERT INTO people VALUES {ROWS}")
        database.execute("CREATE TABLE few (id int, gone int)")
        database.execute("CREATE VIEW broken AS SELECT id, gone FROM few")
        database.execute("ALTER TABLE few DROP COLUMN gone")
        database.execute(f"COPY people TO '{workspace.root}/people.parquet'")
    return workspace


@pytest.fixture(scope="module")
def both(crm: Workspace) -> list[dict[str, list[Any]]]:
    """What the driver and a file answer to everything that is asked of PostgreSQL elsewhere."""
    there = {"database": "adbc+duckdb:///crm.duckdb", "table": "people"}
    return [answers(crm, place) for place in (there, {"file": "people.parquet"})]


@pytest.mark.parametrize("where", CONDITIONS)
def test_a_segment_is_the_same_people(both, where):
    there, here = both
    assert there[f"? {where}"] == here[f"? {where}"]


@pytest.mark.parametrize("column", [*COLUMNS, *(f"= {sql}" for sql in EXPRESSIONS)])
def test_a_text_is_the_same(both, column):
    there, here = both
    assert there[column] == here[column]


def test_values_travel_in_their_own_type(crm):
    columns = {name: name for name in ("visits", "spent", "score", "news", "born", "seen", "clock")}
    found = []
    for place in (
        {"database": "adbc+duckdb:///crm.duckdb", "table": "people"},
        {"file": "people.parquet"},
    ):
        with crm.open(**place) as opened:
            frame = opened.select(values={"id": "id", **columns}, segments=["all"])
            with opened.explained():
                found.append(frame.sort("id").collect("pyarrow").to_native())
    there, here = found
    assert there.schema.types == here.schema.types
    assert repr(there.to_pylist()) == repr(here.to_pylist())  # NaN is not itself


def test_types_that_text_cannot_do_without(workspace, read_rows):
    with duckdb.connect(str(workspace.root / "odd.duckdb")) as database:
        database.execute(
            "CREATE TABLE odd AS SELECT 1 AS id, uuid 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' AS u, "
            "[1, 2] AS l, 170141183460469231731687303715884105727::hugeint AS h, "
            "time '04:05' AS t, "
            "interval 1 day AS i, 'a'::enum('a', 'b') AS e, "
            "'🧑‍🚀 O''Brien' AS n, NULL::int AS z, "
            "'x'::blob AS b"
        )
    place = {"database": "adbc+duckdb:///odd.duckdb", "table": "main.odd"}
    with workspace.open(**place) as opened:
        with pytest.raises(SourceError, match="column 'b' holds bytes"):
            opened.select(texts={"b": "b"}, segments=["all"])
        names = [name for name in opened.names if name != "b"]
        frame = opened.select(texts={name: name for name in names}, segments=["all"])
        with opened.explained():
            (row,) = read_rows(frame)
        with pytest.raises(SourceError, match="the transaction is over"):
            opened.count(["all"])
    assert row == {
        "id": "1",
        "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "l": "[1, 2]",
        "h": "170141183460469231731687303715884105727",
        "t": "04:05:00",
        "i": "1 day",
        "e": "a",
        "n": "🧑‍🚀 O'Brien",
        "z": None,
    }


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of a process")
def test_memory_does_not_grow_with_the_rows(crm):
    crm.source(database="adbc+duckdb:///crm.duckdb", table="people")
    query = "SELECT repeat(md5(g::text), 32) AS t FROM range(400000) AS r(g)"
    file = crm.root / "sources" / "people.yaml"
    with_root = READING.replace("file.parent)", "file.parents[1])")
    done = subprocess.run(
        [sys.executable, "-c", with_root, file, query], capture_output=True, text=True, check=True
    )
    size, peak = map(int, done.stdout.split())
    assert size > 400_000_000
    assert peak < 360_000_000  # most of it is what was imported


def test_nothing_is_written_and_no_other_file_is_read(crm, read_rows):
    place = {"database": "adbc+duckdb:///crm.duckdb", "table": "people"}
    with crm.open(**place) as opened:
        for sql in ("DELETE FROM people RETURNING id", "CREATE TABLE copy AS SELECT 1 AS a"):
            with pytest.raises(SourceError):
                opened._session.row(sql)
    other = f"select * from read_parquet('{crm.root}/people.parquet')"
    with (
        pytest.raises(SourceError, match="does not answer what is declared here"),
        crm.open(database=place["database"], query=other),
    ):
        pass


WRONG = {
    "table": ({"table": "poeple"}, r"does not answer.*did you mean 'people'\?"),
    "column": ({"query": "select nmae from people"}, "does not answer what is declared here"),
    "vanished": ({"table": "broken"}, "does not answer what is declared here"),
    "writing": ({"query": "delete from people"}, "DELETE writes"),
    "two": ({"query": "select 1; drop table people"}, "a second statement follows"),
    "no file": ({"database": "adbc+duckdb:///no.duckdb"}, "no.duckdb"),
    "another file": ({"database": "adbc+duckdb:///people.parquet"}, "is parquet, not duckdb"),
    "no path": ({"database": "adbc+duckdb://crm.duckdb"}, "three slashes and a path"),
    "a scheme": ({"database": "adbc+duckdb+file:///crm.duckdb"}, "adbc.duckdb:///data"),
    "sqlite": ({"database": "adbc+sqlite:///crm.db"}, "sqlite:///data/crm.db reads the file"),
    "no name": ({"database": "adbc+://crm"}, "'' is no name of an ADBC driver"),
    "a path": ({"database": "adbc+..://crm"}, "is no name of an ADBC driver"),
    "klingon": (
        {"database": "adbc+klingon://u@h/d"},
        r"needs the ADBC driver klingon, which is not installed \(pip install adbc-driver-klingon",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_there_is_named(crm, case):
    keys, why = WRONG[case]
    keys = {"database": "adbc+duckdb:///crm.duckdb", **keys}
    keys = keys if "query" in keys else {"table": "people", **keys}
    with pytest.raises(SourceError, match=why) as caught, crm.open(**keys):
        pass
    assert caught.value.location.file == "sources/people.yaml"


def test_a_damaged_file_is_said_to_be_one(crm):
    (crm.root / "cut.duckdb").write_bytes((crm.root / "crm.duckdb").read_bytes()[:5000])
    why = r"the duckdb database cut.duckdb cannot be opened \(it is damaged, or a program is"
    with (
        pytest.raises(SourceError, match=why),
        crm.open(database="adbc+duckdb:///cut.duckdb", table="people"),
    ):
        pass


def test_a_driver_that_lacks_something_says_so(workspace, tmp_path, monkeypatch):
    (tmp_path / "adbc_driver_half.py").write_text("import adbc_half_missing")
    monkeypatch.syspath_prepend(tmp_path)
    why = r"needs adbc-driver-half, which is not installed \(adbc_half_missing is missing\)"
    with (
        pytest.raises(SourceError, match=why) as caught,
        workspace.open(database="adbc+half://h", table="t"),
    ):
        pass
    assert caught.value.location.path == "database"


def test_segments_that_cannot_work_are_complaints(crm):
    segments = {
        "text": {"where": "name"},
        "types": {"where": "name + born > 5"},
        "name": {"where": "nmae = 'x'"},
        "fine": {"where": "spent > 5"},
    }
    place = {"database": "adbc+duckdb:///crm.duckdb", "table": "people"}
    with crm.open(**place, segments=segments, key="uid") as opened:
        found = {c.location.path: c.message for c in opened.complaints()}
        assert opened.count(["fine"]) == {"fine": 7}
    assert found == {
        "key": "the source has no column 'uid'",
        "segments.text.where": "this is text, not true or false",
        "segments.types.where": "the types of the columns do not fit this expression",
        "segments.name.where": "there is no column 'nmae'",
    }


def test_a_value_that_does_not_fit_is_not_quoted(crm, read_rows):
    keys = {"database": "adbc+duckdb:///crm.duckdb", "table": "people"}
    keys["segments"] = {"everyone": {"where": "cast(name as integer) > 1"}}
    with pytest.raises(SourceError) as caught:
        texts(crm, read_rows, **keys)
    assert "anna" not in str(caught.value)


# PostgreSQL by its driver for ADBC stands for servers, with a password and a connection to lose.


@pytest.fixture(scope="module")
def people(postgresql_module: Database) -> Database:
    postgresql_module.run(PEOPLE)
    return postgresql_module


def place(database: Database, **keys: Any) -> dict[str, Any]:
    keys.setdefault("segments", SEGMENTS)
    table = {} if "query" in keys else {"table": "people"}
    return {"database": f"adbc+{database.url}", **table, **keys}


def test_a_server_is_read(workspace, people, read_rows):
    with workspace.open(**place(people)) as opened:
        assert opened.complaints() == []
        assert opened.count(["vip", "news", "everyone"]) == {"vip": 1, "news": 1, "everyone": 3}
        frame = opened.select(
            texts={"id": "id", "email": "email", "spent": "spent", "news": "news", "seen": "seen"},
            expressions={"at": "upper(email)"},
            values={"latest": "updated"},
            segments=["vip"],
        )
        with opened.explained():
            (row,) = read_rows(frame)
        assert row.pop("latest").isoformat() == "2024-01-01T00:00:00"
    assert row == {
        "id": "1",
        "email": "jane@example.com",
        "spent": "1500.50",
        "news": "true",
        "seen": "2024-01-31 10:00:00+00",
        "at": "JANE@EXAMPLE.COM",
    }


def test_everything_is_seen_in_one_snapshot_and_nothing_is_written(workspace, postgresql):
    postgresql.run(PEOPLE)
    with workspace.open(**place(postgresql)) as opened:
        postgresql.run("DELETE FROM people WHERE id = 1")
        assert opened.count(["everyone"]) == {"everyone": 3}
        with pytest.raises(SourceError, match="the query writes, and the transaction is read-only"):
            opened._session.row("DELETE FROM people RETURNING id")
    assert postgresql.run("SELECT count(*) FROM people") == "2"


def test_a_transaction_ends_when_the_rows_are_read(workspace, people, read_rows):
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'"
    with workspace.open(**place(people)) as opened:
        assert people.run(idle) == "1"
        with opened.explained():
            read_rows(opened.select(texts={"id": "id"}, segments=["everyone"]))
        assert people.run(idle) == "0"


def test_a_complaint_does_not_end_the_transaction(workspace, people):
    segments = {"wrong": {"where": "email = news"}, "vip": {"where": "spent >= 1000"}}
    with workspace.open(**place(people, segments=segments)) as opened:
        (complaint,) = opened.complaints()
        assert complaint.message == "the types of the columns do not fit this expression"
        assert opened.count(["vip"]) == {"vip": 1}


def test_a_database_that_vanishes_while_it_is_read(workspace, postgresql):
    postgresql.run(
        "CREATE TABLE people AS SELECT g AS id, repeat('jane@example.com', 20) AS email "
        "FROM generate_series(1, 200000) g"
    )
    with workspace.open(**place(postgresql, segments=EVERYONE)) as opened:
        frame = opened.select(texts={"id": "id", "email": "email"}, segments=["everyone"])
        stream = frame.to_native().to_arrow_reader(1000)
        stream.read_next_batch()
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
        postgresql.run(f"{others} current_database() AND pid <> pg_backend_pid()")
        with pytest.raises(SourceError, match="went away while it was read") as caught:
            read_to_the_end(opened, stream)
    assert "jane" not in str(caught.value)


def test_whoever_stops_in_the_middle_leaves_nothing_behind(workspace, people):
    query = (
        "select g as id, case when g > 100000 then pg_sleep(60)::text else repeat('x', 500) end "
        "as email from generate_series(1, 100001) g"
    )
    with workspace.open(**place(people, query=query, segments=EVERYONE)) as opened:
        frame = opened.select(texts={"id": "id", "email": "email"}, segments=["everyone"])
        frame.to_native().to_arrow_reader(1000).read_next_batch()
    there = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%text%' "
    assert people.run(f"{there} AND pid <> pg_backend_pid()") == "0"


def test_a_server_that_is_not_to_be_had(workspace, people):
    url = place(people)["database"]
    wrong = {
        "does not accept the user or the password": url.replace(people.server.password, "wrong-pw"),
        "nothing listens there": url.replace(f":{people.server.port}", ":1"),
        "does not know an option of the URL": f"{url}?password=wrong-pw",
    }
    for why, database in wrong.items():
        keys = {"database": database, "table": "people"}
        with pytest.raises(SourceError, match=why) as caught, workspace.open(**keys):
            pass
        assert caught.value.location.path == "database"
        assert "wrong-pw" not in str(caught.value)
        assert people.server.password not in str(caught.value)


# What a URL says.


def given(workspace: Workspace, url: str) -> dict[str, str]:
    source = workspace.source(database=url, table="t")
    server = find_server(source, workspace.root)
    return dict(opening(server, source.document.locate(("database",))))


def test_options_are_given_beside_the_uri(workspace, monkeypatch):
    monkeypatch.setenv("PW", "p&s=s/w+rd %")
    url = "adbc+flightsql+grpc+tls://host:31337/?a=1&username=me%40x&password=${env:PW}&b=%20"
    assert given(workspace, f"{url}&adbc.flight.sql.client_option.tls_skip_verify=true") == {
        "uri": "grpc+tls://host:31337/?a=1&b=%20",
        "username": "me@x",
        "password": "p&s=s/w+rd %",
        "adbc.flight.sql.client_option.tls_skip_verify": "true",
    }
    assert given(workspace, "adbc+snowflake://me@org-acc/db") == {
        "uri": "snowflake://me@org-acc/db"
    }
    assert given(workspace, "adbc+bigquery://?adbc.bigquery.sql.project_id=p") == {
        "adbc.bigquery.sql.project_id": "p"
    }


def test_a_password_is_concealed_wherever_it_stands(workspace, monkeypatch):
    monkeypatch.setenv("ALL", "adbc+my_own://u:first-pw@h/d?password=second%20pw&x=plain")
    source = workspace.source(database="${env:ALL}", table="t")
    assert find_server(source, workspace.root).shown_as == "the my_own database"
    for secret in ("first-pw", "second pw", "second%20pw"):
        assert secret not in without_secrets(f"it is {secret}.")
    assert without_secrets("plain") == "plain"


def test_an_odd_scheme_shows_no_password(workspace, monkeypatch):
    monkeypatch.setenv("PW", "geheim")
    source = workspace.source(database="adbc+my_own://u:${env:PW}@h:5/d?x=1", table="t")
    assert find_server(source, workspace.root).shown_as == "the my_own database h:5/d"


PLAIN = """
adbc+postgresql://u:geheim@host/db
adbc+my_own+grpc://u:geheim@host/db
adbc+flightsql+grpc://host:1?username=u&password=abc
adbc+flightsql+grpc://host:1?password=p@s
adbc+flightsql+grpc://host:1?adbc.flight.sql.authorization_header=Basic%20dTpw
adbc+snowflake://acc?adbc.snowflake.sql.client_option.auth_token=x
adbc+snowflake://acc?adbc.snowflake.sql.client_option.jwt_private_key_pkcs8_value=x
snowflake://me@acc?private_key_file=rsa.p8&private_key_file_pwd=x
bigquery://p/d?credentials_base64=e30=
""".strip().splitlines()
FINE = """
adbc+postgresql://u:${env:PW}@host/db
adbc+flightsql+grpc://host:1?username=u&password=${env:PW}
adbc+snowflake://acc?adbc.snowflake.sql.client_option.auth_token=${env:TOKEN}&warehouse=w
adbc+snowflake://acc?adbc.snowflake.sql.client_option.keep_session_alive=enabled
snowflake://me@acc?private_key_file=rsa.p8&warehouse=w
bigquery://p/d?credentials_path=keys/bigquery.json
bigquery://p/d?credentials_base64=${env:KEY}
""".strip().splitlines()


@pytest.mark.parametrize("url", [*PLAIN, *FINE])
def test_a_plain_password_is_refused(workspace, url):
    path = workspace.root / "sources" / "people.yaml"
    workspace.source(database=url, table="t")
    found = [c.message for c in plain_secrets(read_document(path, "sources/people.yaml"), "source")]
    assert found == (["found a password or token in plain text"] if url in PLAIN else [])


# A driver that nobody thought of, found by a manifest: SQLite's under another name.


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = adbc_driver_sqlite._driver_path()
    (tmp_path / "mini.toml").write_text(
        f"manifest_version = 1\nname = 'Mini'\nversion = '1.0.0'\n[Driver]\nshared = '{library}'\n"
    )
    monkeypatch.setenv("ADBC_DRIVER_PATH", str(tmp_path))


def test_a_driver_is_found_by_its_manifest(workspace, manifest, read_rows):
    with closing(sqlite3.connect(workspace.root / "crm.db")) as database:
        database.execute("CREATE TABLE people (id integer, name text)")
        database.execute("INSERT INTO people VALUES (1, 'O''Brien'), (2, NULL)")
        database.commit()
    keys = {"database": f"adbc+mini+file://{workspace.root}/crm.db?mode=ro", "table": "people"}
    segments = {"everyone": {"where": "id < 3 and coalesce(name, '') <> 'x'"}}
    with workspace.open(**keys, segments=segments) as opened:
        assert opened.complaints() == []
        assert not opened.is_empty
        assert opened.count(["everyone"]) == {"everyone": 2}
    with (
        pytest.raises(SourceError, match=r"did you mean 'people'\?"),
        workspace.open(**{**keys, "table": "poeple"}),
    ):
        pass
    # This driver says that a column without rows is of numbers, and then there is a text.
    with pytest.raises(
        SourceError, match="answers rows that are not as it described them"
    ) as caught:
        texts(workspace, read_rows, **keys, segments=segments)
    assert "Brien" not in str(caught.value)


def test_what_needs_no_server_is_known_before_one_is_asked(workspace):
    def complaints(url: str, where: str) -> list[str]:
        source = workspace.source(database=url, table="t", segments={"s": {"where": where}})
        return [
            c.message for c in complaints_unopened(source, scheme_resolved(source, workspace.root))
        ]

    assert complaints("adbc+duckdb:///crm.duckdb", "regexp_matches(a, '\\bx')") == []
    (translated,) = complaints("adbc+snowflake://a", "regexp_matches(a, '\\bx')")
    assert "is not translated for" in translated
    (refused,) = complaints("adbc+sqlite:///crm.db", "a = 1")
    assert refused.startswith("adbc+sqlite:// is not read")


CLOCK = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from conftest import Workspace
place = {"database": "adbc+duckdb:///crm.duckdb", "query": "select id, clock from people limit 1"}
print(Workspace(Path(sys.argv[1])).texts(**place))
"""


def test_times_are_in_utc_wherever_this_runs(crm):
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", CLOCK, crm.root, here, here.parent],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TZ": "Asia/Tokyo"},
    )
    assert done.stdout.strip() == "[{'id': '1', 'clock': '2024-03-31 00:30:00+00'}]"


def test_text_that_a_driver_marks_as_something_else_is_not_compared_as_text():
    marked = {"ARROW:extension:name": "geoarrow.wkt"}
    assert _kind(pa.field("where", pa.string(), metadata=marked)) == "other"
    assert _kind(pa.field("where", pa.string())) == "text"
