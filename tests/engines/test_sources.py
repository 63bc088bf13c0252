"""An open source: counts, selections, complaints, what it writes and how it fails."""

from __future__ import annotations

import os
import resource
import signal
from datetime import UTC, date, datetime

import duckdb
import pyarrow.parquet as pq
import pytest

from exportkit.engines.sources import open_source
from exportkit.errors import JournalError, Location, SourceError

SECRET = "jane@example.com"
PEOPLE = f"""id,email,spent,joined,newsletter,zip
1,{SECRET},1500,2024-01-31,true,0123
2,bob@example.com,20,2023-05-01,false,4567
3,,,,,
"""
SEGMENTS = {
    "vip": {"where": "spent >= 1000"},
    "news": {"where": "newsletter"},
    "early": {"where": "joined < '2024-01-01' and zip like '4%'"},
    "everyone": {},
}


@pytest.fixture
def people(workspace):
    workspace.write("p.csv", PEOPLE)
    with workspace.open(file="p.csv", segments=SEGMENTS, types={"zip": "text"}) as opened:
        yield opened


def test_all_segments_are_counted(people):
    assert people.complaints() == []
    assert people.count(["vip", "news", "early", "everyone"]) == {
        "vip": 1,
        "news": 1,
        "early": 1,
        "everyone": 3,
    }
    assert people.count([]) == {}


def test_counting_takes_one_pass(people):
    sql = people._query.counts(["vip", "news", "early", "everyone"])
    ((_, plan),) = people.connection.execute(f"explain {sql}").fetchall()
    assert plan.count("Read Csv") == 1


def test_a_row_in_two_segments_comes_once(people, read_rows):
    frame = people.select(texts={"id": "id"}, segments=["vip", "news", "early"])
    assert read_rows(frame) == [{"id": "1"}, {"id": "2"}]


def test_no_segments_are_no_rows(people, read_rows):
    assert read_rows(people.select(texts={"id": "id"}, segments=[])) == []


def test_texts_expressions_values_flags_in_this_order(people, read_rows):
    frame = people.select(
        flags={"exportkit.vip": ["vip", "news"]},
        values={"exportkit.prefer": "joined"},
        expressions={"year": "year(joined)", "key": "lower(EMAIL)"},
        texts={"mail": "email", "zip": "ZIP", "again": "email", "joined": "joined"},
        segments=["everyone"],
    )
    assert [list(row.items()) for row in read_rows(frame)] == [
        [
            ("mail", SECRET),
            ("zip", "0123"),
            ("again", SECRET),
            ("joined", "2024-01-31"),
            ("year", "2024"),
            ("key", SECRET),
            ("exportkit.prefer", date(2024, 1, 31)),
            ("exportkit.vip", True),
        ],
        [
            ("mail", "bob@example.com"),
            ("zip", "4567"),
            ("again", "bob@example.com"),
            ("joined", "2023-05-01"),
            ("year", "2023"),
            ("key", "bob@example.com"),
            ("exportkit.prefer", date(2023, 5, 1)),
            ("exportkit.vip", False),
        ],
        [
            ("mail", None),
            ("zip", None),
            ("again", None),
            ("joined", None),
            ("year", None),
            ("key", None),
            ("exportkit.prefer", None),
            ("exportkit.vip", False),
        ],
    ]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"texts": {"x": "emial"}}, "has no column 'emial'.*did you mean 'email'"),
        ({"values": {"x": "emial"}}, "has no column 'emial'"),
        ({"expressions": {"x": "lower(emial)"}}, "there is no column 'emial'.*'email'"),
        ({"expressions": {"x": "getenv('HOME')"}}, "the function getenv is not allowed"),
        ({"segments": ["vpi"]}, "has no segment 'vpi'.*did you mean 'vip'"),
        ({"flags": {"x": ["vpi"]}}, "has no segment 'vpi'"),
    ],
)
def test_unknown_names(people, asked, said):
    with pytest.raises(SourceError, match=said):
        people.select(**{"texts": {}, "segments": ["vip"], **asked})


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (
            "emial = 'x'",
            "sources/people.yaml:7:17: segments.some.where: there is no column 'emial'",
        ),
        ("spent > 1 and emial = 'x'", "sources/people.yaml:7:31: segments.some.where: there is"),
        ("zip", "this is text, not true or false"),
        ("spent + 1", "this is bigint, not true or false"),
        ("zip + 1 > 2", "the types of the columns do not fit this expression"),
        ("email > 5", "the types of the columns do not fit this expression"),
        ("cast(email as integer) > 5", "not every value can be read as this expression asks"),
        ("strptime(email, '%d') < now()", "not every value can be read as this expression asks"),
        ("spent * 9223372036854775807 > 1", "not every value can be read as this"),
        ("regexp_matches(email, '(')", "a pattern in this expression is not a regular one"),
        ("regexp_matches(email, '[z-a]')", "a pattern in this expression is not a regular one"),
        ("regexp_matches(email, '*')", "a pattern in this expression is not a regular one"),
        ("regexp_matches(email, zip || '(')", "a pattern in this expression is not a regular one"),
        ("read_csv('/etc/passwd')", "the function read_csv is not allowed"),
        ("spent > (select 1)", "a query inside an expression is not allowed"),
        ("spent >", "this is not one SQL expression"),
        ("strftime(spent, 'x') = 'y'", "the types of the columns do not fit"),
    ],
)
def test_complaints_about_segments(workspace, where, said):
    workspace.write("p.csv", PEOPLE)
    text = f"""version: 1
name: people
file: p.csv
key: id
types: {{zip: text}}
segments:
  some: {{where: "{where}"}}
"""
    path = workspace.write("sources/people.yaml", text)
    from exportkit.config.documents import read_document
    from exportkit.config.source import read_source

    source = read_source(read_document(path, "sources/people.yaml"))
    with open_source(source, workspace.root) as opened:
        (found,) = opened.complaints()
    assert said in str(found)
    assert SECRET not in str(found)


def test_a_complaint_about_the_key(workspace):
    workspace.write("p.csv", PEOPLE)
    with workspace.open(file="p.csv", key="emial") as opened:
        (found,) = opened.complaints()
    assert str(found) == (
        "sources/people.yaml:3:6: key: the source has no column 'emial' (did you mean 'email'?)"
    )


def test_checking_an_expression_of_a_job(people):
    at = Location("jobs/j.yaml", 9, 20, "map.x.sql")
    assert people.check("upper(email)", at) == []
    (found,) = people.check("upper(emial)", at)
    assert (found.location.line, found.location.column) == (9, 26)


def test_a_value_that_stops_an_expression_is_not_quoted(workspace):
    rows = "1,5\n" * 5000 + f"2,{SECRET}\n"
    workspace.write("p.csv", "id,a\n" + rows)
    segments = {"some": {"where": "cast(a as integer) > 1"}}
    keys = {"file": "p.csv", "types": {"a": "text"}, "segments": segments}
    with workspace.open(**keys) as opened:
        with pytest.raises(SourceError, match=r"cannot be read as INT32, .*try_cast") as caught:
            opened.count(["some"])
        frame = opened.select(texts={"id": "id"}, segments=["some"])
        with pytest.raises(duckdb.Error) as raw:
            frame.collect("pyarrow")
        explained = opened.explain(raw.value)
    assert SECRET in str(raw.value)
    assert SECRET not in str(caught.value) + str(explained)


def test_written_as_parquet_and_private(workspace, tmp_path):
    workspace.write("p.csv", PEOPLE)
    path = tmp_path / "state" / "rows.parquet"
    path.parent.mkdir()
    path.write_text("left from before")
    path.chmod(0o644)
    old = os.umask(0)
    try:
        with open_source(workspace.source(file="p.csv"), tmp_path, output=path) as opened:
            opened.write(opened.select(texts={"mail": "email"}, segments=["all"]), path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert pq.read_table(path).to_pydict() == {"mail": [SECRET, "bob@example.com", None]}
    assert list(path.parent.iterdir()) == [path]


def test_a_broken_row_leaves_no_file(workspace, tmp_path):
    workspace.write("p.csv", "id,a\n" + "1,x\n" * 300_000 + f"{SECRET}\n")
    path = tmp_path / "rows.parquet"
    with open_source(workspace.source(file="p.csv"), tmp_path, output=path) as opened:
        frame = opened.select(texts={"id": "id"}, segments=["all"])
        with pytest.raises(SourceError, match="line 300002 has 1 values") as caught:
            opened.write(frame, path)
    assert SECRET not in str(caught.value)
    assert not path.exists()


def test_a_full_disk_is_said(workspace, tmp_path):
    """A limit on the size of files fails like a full disk does."""
    workspace.write("p.csv", "id,a\n" + "".join(f"{i},{i * 7919}\n" for i in range(300_000)))
    path = tmp_path / "rows.parquet"
    with open_source(workspace.source(file="p.csv"), tmp_path, output=path) as opened:
        frame = opened.select(texts={"id": "id", "a": "a"}, segments=["all"])
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        try:
            with pytest.raises(JournalError) as caught:
                opened.write(frame, path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
    assert "disk" in str(caught.value)
    assert not path.exists()


def test_a_folder_that_is_not_there(workspace, tmp_path):
    workspace.write("p.csv", PEOPLE)
    path = tmp_path / "none" / "rows.parquet"
    with open_source(workspace.source(file="p.csv"), tmp_path, output=path) as opened:
        frame = opened.select(texts={"id": "id"}, segments=["all"])
        with pytest.raises(JournalError, match=r"rows\.parquet cannot be written: No such file"):
            opened.write(frame, path)


def test_the_fingerprint_changes_with_the_files(workspace):
    path = workspace.write("d/1.csv", PEOPLE)

    def fingerprint() -> str:
        with workspace.open(file="d/*.csv") as opened:
            return opened.fingerprint()

    first = fingerprint()
    assert fingerprint() == first
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    second = fingerprint()
    workspace.write("d/2.csv", PEOPLE)
    assert len({first, second, fingerprint()}) == 3


def test_the_newest_file_says_how_fresh_a_source_is(workspace):
    for number, day in ((1, 3), (2, 5), (3, 4)):
        path = workspace.write(f"d/{number}.csv", PEOPLE)
        time = datetime(2024, 1, day, tzinfo=UTC).timestamp()
        os.utime(path, (time, time))
    with workspace.open(file="d/*.csv") as opened:
        assert opened.modified_at == datetime(2024, 1, 5, tzinfo=UTC)


def test_references_are_resolved(workspace, monkeypatch):
    workspace.write("d/p.csv", PEOPLE)
    monkeypatch.setenv("PEOPLE", "d")
    assert len(workspace.texts(file="${env:PEOPLE}/p.csv")) == 3


def test_a_spill_folder_that_is_not_there(workspace, tmp_path):
    workspace.write("p.csv", PEOPLE)
    with (
        pytest.raises(JournalError, match=r"temporary files .* cannot be written: No such file"),
        open_source(workspace.source(file="p.csv"), tmp_path, spill=tmp_path / "none"),
    ):
        pass


def test_what_the_body_raises_stays_what_it_is(workspace):
    workspace.write("p.csv", PEOPLE)
    with pytest.raises(OSError, match="mine"), workspace.open(file="p.csv"):
        raise OSError("mine")


def test_opening_loads_no_engine_before_it_is_needed():
    import subprocess
    import sys

    script = (
        "import sys, exportkit.engines.sources; "
        "print([m for m in ('duckdb', 'pyarrow', 'narwhals', 'sqlglot') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_a_file_that_vanishes_while_it_is_open(workspace):
    path = workspace.write("p.csv", PEOPLE)
    with workspace.open(file="p.csv") as opened:
        path.unlink()
        with pytest.raises(SourceError, match=r"p\.csv cannot be read"):
            opened.count(["all"])


def test_rows_keep_the_order_of_the_file(workspace, read_rows):
    workspace.write("p.csv", "id,a\n" + "".join(f"{i},x\n" for i in range(200_000)))
    with workspace.open(file="p.csv") as opened:
        rows = read_rows(opened.select(texts={"id": "id"}, segments=["all"]))
    assert [row["id"] for row in rows] == [str(i) for i in range(200_000)]


def test_frames_are_held_beside_an_attached_database(workspace, tmp_path):
    with duckdb.connect(str(tmp_path / "crm.duckdb")) as connection:
        connection.execute("create table people as select 1 as id")
    with workspace.open(file="crm.duckdb", table="people") as opened:
        frame = opened.select(texts={"id": "id"}, segments=["all"])
        frame.to_native().create("held_1")
        assert opened.connection.table("held_1").fetchall() == [("1",)]
