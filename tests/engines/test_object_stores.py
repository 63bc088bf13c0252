"""Sources in an S3-compatible store: a real server, from a wheel, on a loopback address."""

from __future__ import annotations

import gzip
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from file_servers import KEYS, Page, Web, s3_server

from exportkit.engines.stores import buckets, landing, remote
from exportkit.errors import JournalError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

boto3 = pytest.importorskip("boto3", reason="needs exportkit[s3]")
pytest.importorskip("obstore", reason="needs exportkit[s3]")
pytest.importorskip("moto", reason="needs moto, which is an S3-compatible server")

SECRET = "jane@example.com"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as (url, _):
        yield url


@pytest.fixture
def environment(server, monkeypatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": server, "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(environment, request) -> Any:
    """A bucket of its own for each test: `bucket.put(key, content)`, `bucket.url(key)`."""
    client = boto3.client("s3")
    name = f"b{abs(hash(request.node.name))}"
    client.create_bucket(Bucket=name)

    class Bucket:
        def put(self, key: str, content: str | bytes) -> None:
            body = content.encode() if isinstance(content, str) else content
            client.put_object(Bucket=name, Key=key, Body=body)

        def publish(self, key: str) -> None:
            client.put_object_acl(Bucket=name, Key=key, ACL="public-read")

        def delete(self, key: str) -> None:
            client.delete_object(Bucket=name, Key=key)

        def url(self, key: str) -> str:
            return f"s3://{name}/{key}"

    return Bucket()


@pytest.fixture
def read(monkeypatch) -> list[tuple[str, int, int]]:
    """What was asked of the store: path, start, stop."""
    from exportkit.engines.stores.buckets import Bucket

    asked, original = [], Bucket.read

    def noted(self, found, start, stop):
        asked.append((found.path, start, stop))
        return original(self, found, start, stop)

    monkeypatch.setattr(Bucket, "read", noted)
    return asked


def people(rows: int = 3) -> str:
    lines = [f"{number},{number:05d},p{number}@example.com" for number in range(rows)]
    return "\n".join(["id,zip,email", *lines, ""])


def parquet(path, rows: int = 3, **more: Any) -> bytes:
    columns = {"id": range(rows), "email": [f"p{n}@example.com" for n in range(rows)], **more}
    pq.write_table(pa.table(columns), path, compression="none", row_group_size=max(rows // 3, 1))
    return path.read_bytes()


def complaint(workspace, **keys) -> str:
    with pytest.raises(SourceError) as caught:
        workspace.texts(**keys)
    said = str(caught.value)
    assert SECRET not in said
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in said
    assert "tester" not in said
    assert "Traceback" not in said
    return said


def test_a_csv_is_read_as_a_local_one_is(workspace, bucket):
    text = 'id,zip,note\n1,0123,"two\nlines, and ""quotes"""\n2,1.50,\n'
    bucket.put("crm/people.csv", text)
    workspace.write("people.csv", text)
    rows = workspace.texts(file=bucket.url("crm/people.csv"))
    assert rows == workspace.texts(file="people.csv")
    assert rows[0] == {"id": "1", "zip": "0123", "note": 'two\nlines, and "quotes"'}


@pytest.mark.parametrize("name", ["people.csv.gz", "ünï cödé + 100%.csv.gz", "a[1].csv.gz"])
def test_compressed_files_and_awkward_names(workspace, bucket, name):
    bucket.put(name, gzip.compress(people().encode()))
    assert len(workspace.texts(file=bucket.url(name))) == 3


def test_a_glob_is_listed_by_the_store(workspace, bucket):
    for key in ("in/b.csv", "in/a.csv", "in/deep/c.csv", "in/.hidden.csv", "in/readme.md"):
        bucket.put(key, f"id\n{key}\n")
    found = [row["id"] for row in workspace.texts(file=bucket.url("in/*.csv"))]
    assert found == ["in/a.csv", "in/b.csv"]
    found = [row["id"] for row in workspace.texts(file=bucket.url("in/**/*.csv"))]
    assert found == ["in/a.csv", "in/b.csv", "in/deep/c.csv"]


def test_all_formats(workspace, bucket, tmp_path):
    import duckdb

    bucket.put("p.jsonl", '{"id": 1, "email": "a"}\n')
    bucket.put("p.json", '[{"id": 1, "email": "a"}]')
    with duckdb.connect(str(tmp_path / "p.duckdb")) as database:
        database.execute("CREATE TABLE crm AS SELECT 1 AS id, 'a' AS email")
    bucket.put("p.duckdb", (tmp_path / "p.duckdb").read_bytes())
    one = [{"id": "1", "email": "a"}]
    assert workspace.texts(file=bucket.url("p.jsonl")) == one
    assert workspace.texts(file=bucket.url("p.json")) == one
    assert workspace.texts(file=bucket.url("p.duckdb"), table="crm") == one


# What is asked of the store


def test_a_large_csv_is_only_begun_until_its_rows_are_asked_for(
    workspace, bucket, read, monkeypatch
):
    monkeypatch.setattr(remote, "BEGINNING", 10_000)
    monkeypatch.setattr(landing, "PIECE", 7_000)
    text = people(3000)
    bucket.put("people.csv", text)
    with workspace.open(
        file=bucket.url("people.csv"), segments={"all": {"where": "id > 5"}}
    ) as opened:
        assert opened.complaints() == []
        assert not opened.is_empty
        assert opened.fingerprint()
        assert opened.columns["id"] == "BIGINT"
        assert sum(stop - start for _, start, stop in read) == 10_000
        assert opened.count(["all"]) == {"all": 2994}
        assert opened.count(["all"]) == {"all": 2994}
    assert sum(stop - start for _, start, stop in read) == 10_000 + len(text)


@pytest.mark.parametrize("packed", [False, True])
def test_the_beginning_ends_with_a_row(workspace, bucket, read, monkeypatch, packed):
    monkeypatch.setattr(remote, "BEGINNING", 30_000)
    rows = [f'{n},"a line\nand {os.urandom(9).hex()} another"' for n in range(20_000)]
    text = "\n".join(["id,note", *rows, ""]).encode()
    bucket.put("p.csv.gz" if packed else "p.csv", gzip.compress(text) if packed else text)
    with workspace.open(file=bucket.url("p.csv*")) as opened:
        assert opened.complaints() == []
        assert opened.columns == {"id": "BIGINT", "note": "VARCHAR"}
        assert len(read) == 1
        assert opened.count(["all"]) == {"all": 20_000}


def test_of_parquet_only_the_columns_that_are_needed(
    workspace, bucket, read, monkeypatch, tmp_path, read_rows
):
    monkeypatch.setattr(remote, "BEGINNING", 1)
    monkeypatch.setattr("exportkit.engines.stores.chunks._GAP", 1)
    wide = [os.urandom(50).hex() for _ in range(30_000)]
    data = parquet(tmp_path / "p.parquet", 30_000, wide=wide, age=range(30_000))
    bucket.put("p.parquet", data)
    segments = {"old": {"where": "age >= 29990"}, "all": {}}
    with workspace.open(file=bucket.url("p.parquet"), segments=segments) as opened:
        assert opened.complaints() == []
        assert not opened.is_empty
        assert sum(stop - start for _, start, stop in read) < 200_000  # the footer
        assert opened.count(["old"]) == {"old": 10}
        first = sum(stop - start for _, start, stop in read)
        assert first < 700_000
        frame = opened.select(texts={"email": "email"}, segments=["old"])
        with opened.explained():
            assert len(read_rows(frame)) == 10
        assert sum(stop - start for _, start, stop in read) < len(data) / 3
        frame = opened.select(texts={"wide": "wide"}, segments=["all"])
        with opened.explained():
            assert [row["wide"] for row in read_rows(frame)] == wide


def test_every_row_of_parquet_is_what_a_local_file_has(workspace, bucket, monkeypatch, tmp_path):
    monkeypatch.setattr(remote, "BEGINNING", 1)
    nested = [{"a.b": n, "c": [n, n]} for n in range(1000)]
    data = parquet(tmp_path / "p.parquet", 1000, **{"a.b": range(1000), "a": nested})
    bucket.put("p.parquet", data)
    assert workspace.texts(file=bucket.url("p.parquet")) == workspace.texts(file="p.parquet")


def test_a_folder_of_partitions(workspace, bucket, monkeypatch, tmp_path):
    monkeypatch.setattr(remote, "BEGINNING", 1)
    for key in ("zip=0123/day=2026-01-02/p.parquet", "zip=x%20y/day=2026-01-03/p.parquet"):
        bucket.put(f"people/{key}", parquet(tmp_path / "p.parquet", 1))
    bucket.put("people/_SUCCESS", "")
    rows = workspace.texts(file=bucket.url("people"))
    assert [(row["zip"], row["day"]) for row in rows] == [
        ("0123", "2026-01-02"),
        ("x y", "2026-01-03"),
    ]
    assert rows == workspace.texts(file=bucket.url("people/"))


def test_partitions_that_no_segment_asks_for_are_not_fetched(
    workspace, bucket, read, monkeypatch, tmp_path
):
    monkeypatch.setattr(remote, "BEGINNING", 1)
    for day in ("2026-01-01", "2026-01-02", "2026-01-03"):
        for zip_code in ("01", "x"):
            key = f"people/day={day}/zip={zip_code}/p.parquet"
            bucket.put(key, parquet(tmp_path / "p.parquet", 2))
    where = {
        "new": "day >= '2026-01-03' and id = 1",
        "both": "id = 0 and (day = '2026-01-02' and zip = '01')",
        "either": "day = '2026-01-01' or id = 1",
        "today": "day = current_date",
        "gone": "day = '2025-01-01'",
    }
    segments = {name: {"where": condition} for name, condition in where.items()}

    def fetched(*names: str) -> tuple[dict[str, int], set[str]]:
        with workspace.open(file=bucket.url("people"), segments=segments) as opened:
            assert opened.complaints() == []
            read.clear()
            counts = opened.count(names)
            return counts, {path.removeprefix("people/")[4:] for path, *_ in read}

    last = {"2026-01-03/zip=01/p.parquet", "2026-01-03/zip=x/p.parquet"}
    assert fetched("new") == ({"new": 2}, last)
    counts, paths = fetched("both")
    assert counts == {"both": 1}
    assert paths == {"2026-01-02/zip=01/p.parquet"}
    counts, paths = fetched("new", "both")
    assert counts == {"new": 2, "both": 1}
    assert paths == {*last, "2026-01-02/zip=01/p.parquet"}
    counts, paths = fetched("either")
    assert counts == {"either": 2 * 2 + 4 * 1}
    assert len(paths | {"2026-01-01/zip=01/p.parquet"}) == 6
    assert fetched("today")[0] == {"today": 0}
    assert fetched("gone")[0] == {"gone": 0}


def test_the_fingerprint_is_the_etag_and_the_time_is_the_stores(workspace, bucket):
    bucket.put("p.csv", people(3))

    def fingerprint() -> str:
        with workspace.open(file=bucket.url("p.csv")) as opened:
            age = datetime.now(UTC) - opened.modified_at
            assert timedelta(minutes=-1) < age < timedelta(minutes=1)
            return opened.fingerprint()

    first = fingerprint()
    assert fingerprint() == first
    bucket.put("p.csv", people(3).replace("p1@", "q1@"))
    assert fingerprint() != first


# What goes wrong


def test_a_file_that_changes_while_it_is_read(workspace, bucket, monkeypatch):
    monkeypatch.setattr(remote, "BEGINNING", 100)
    bucket.put("p.csv", people(300))
    with workspace.open(file=bucket.url("p.csv")) as opened:
        bucket.put("p.csv", people(300).replace("p1@", "q1@"))
        with pytest.raises(SourceError, match="changed while it was read"):
            opened.count(["all"])
        bucket.delete("p.csv")
        with pytest.raises(SourceError, match="was taken away while it was read"):
            opened.count(["all"])


def test_what_is_not_there(workspace, bucket):
    bucket.put("in/p.csv", people())
    said = complaint(workspace, file=bucket.url("in/q.csv"))
    assert said.startswith(
        f"sources/people.yaml:6:7: file: there is no file {bucket.url('in/q.csv')}"
    )
    assert "no file matches" in complaint(workspace, file=bucket.url("in/*.json"))
    assert "there is no bucket 'no-such-one'" in complaint(workspace, file="s3://no-such-one/p.csv")
    assert "there is no bucket" in complaint(workspace, file="s3://no-such-one/*.csv")
    assert "is a folder" in complaint(workspace, file=bucket.url("in"))
    assert "names no bucket" in complaint(workspace, file="s3:///p.csv")
    assert "has an empty part" in complaint(workspace, file="s3://crm//in/p.csv")


def test_what_is_wrong_in_a_file_is_said_with_its_line(workspace, bucket, monkeypatch):
    bucket.put("p.csv", f"id,email\n1,{SECRET}\n2,{SECRET},3\n")
    assert "p.csv:3:1: line 3 has 3 values" in complaint(workspace, file=bucket.url("p.csv"))
    bucket.put("e.csv", "")
    assert "e.csv is empty (0 bytes)" in complaint(workspace, file=bucket.url("e.csv"))
    bucket.put("z.csv", b"PK\x03\x04....")
    assert "it is zip or spreadsheet" in complaint(workspace, file=bucket.url("z.csv"))
    monkeypatch.setattr(remote, "BEGINNING", 1000)
    bucket.put("l.csv", people(3000) + f"1,2,{SECRET},4\n")
    assert "l.csv:3002:1: line 3002 has 4 values" in complaint(workspace, file=bucket.url("l.csv"))


@pytest.mark.parametrize(
    "content",
    [
        "x",
        'id,note\n1,"' + "never closed\n" * 500,
        "id\r1\r2\r" + "3\r" * 3000,
        "one line only" * 1000,
    ],
    ids=["tiny", "quote", "old-mac", "no-line"],
)
def test_a_beginning_that_says_nothing_brings_the_whole(workspace, bucket, monkeypatch, content):
    """Whatever a local file of this kind comes to, this one does too."""
    monkeypatch.setattr(remote, "BEGINNING", 500)
    bucket.put("p.csv", content)
    workspace.write("p.csv", content)

    def outcome(file: str) -> Any:
        try:
            return workspace.texts(file=file)
        except SourceError as error:
            return str(error).replace(bucket.url("p.csv"), "p.csv")

    assert outcome(bucket.url("p.csv")) == outcome("p.csv")


def test_utf_16_and_declared_encodings(workspace, bucket, monkeypatch):
    monkeypatch.setattr(remote, "BEGINNING", 500)
    text = "id,name\n" + "".join(f"{n},Zoë\n" for n in range(500))
    bucket.put("wide.csv", text.encode("utf-16"))
    bucket.put("latin.csv", text.encode("latin-1"))
    wide = workspace.texts(file=bucket.url("wide.csv"))
    latin = workspace.texts(file=bucket.url("latin.csv"), encoding="latin-1")
    assert wide == latin
    assert len(wide) == 500
    assert wide[-1] == {"id": "499", "name": "Zoë"}


def test_without_credentials(workspace, bucket, monkeypatch):
    bucket.put("p.csv", people())
    bucket.publish("p.csv")
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    assert "there are no credentials for s3://" in complaint(workspace, file=bucket.url("p.csv"))
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    assert len(workspace.texts(file=bucket.url("p.csv"))) == 3


def test_credentials_of_a_profile(workspace, bucket, monkeypatch, tmp_path):
    bucket.put("p.csv", people())
    for name in KEYS:
        monkeypatch.delenv(name)
    profile = "[crm]\naws_access_key_id = a\naws_secret_access_key = b\n"
    (tmp_path / "credentials").write_text(profile)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "crm")
    assert len(workspace.texts(file=bucket.url("p.csv"))) == 3
    monkeypatch.setenv("AWS_PROFILE", "gone")
    assert "look at AWS_PROFILE" in complaint(workspace, file=bucket.url("p.csv"))


def test_a_store_in_the_clear_is_on_this_machine(workspace, environment, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example.com")
    assert "AWS_ENDPOINT_URL is http://" in complaint(workspace, file="s3://crm/p.csv")


def test_no_room_on_the_disk(workspace, bucket, monkeypatch):
    import shutil

    bucket.put("p.csv", people(1000))
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(JournalError, match="need 0 MiB on the disk of the state folder"):
        workspace.texts(file=bucket.url("p.csv"))


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (400, "ExpiredToken", "the credentials have expired"),
        (403, "InvalidAccessKeyId", "does not accept the credentials (403 InvalidAccessKeyId)"),
        (403, "SignatureDoesNotMatch", "does not accept the credentials"),
        (403, "AccessDenied", "may not be read with these credentials, or is not there"),
        (404, "NoSuchBucket", "there is no bucket 'crm'"),
        (301, "PermanentRedirect", "the bucket is in another region"),
        (501, "NotImplemented", "the store answered 501 NotImplemented"),
    ],
)
def test_what_a_store_may_refuse(workspace, environment, monkeypatch, status, code, said):
    """A server that answers as Amazon does, with what nobody is to read."""
    body = f"<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>".encode()
    with Web() as web:
        monkeypatch.setenv("AWS_ENDPOINT_URL", web.url)
        web.pages["/crm/p.csv"] = web.pages["/crm"] = Page(body, status, etag=None)
        assert said in complaint(workspace, file="s3://crm/p.csv")
        assert said in complaint(workspace, file="s3://crm/*.csv")


@pytest.mark.parametrize("package", ["obstore", "boto3"])
def test_without_the_library(workspace, environment, monkeypatch, package):
    for name in [name for name in sys.modules if name.partition(".")[0] == "obstore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    said = complaint(workspace, file="s3://crm/p.csv")
    assert f"s3:// needs the package {package}, which is not installed" in said
    assert "pip install 'exportkit[s3]'" in said


def test_a_store_that_dies(workspace, environment, monkeypatch):
    """Its process is killed between the first look and the rows."""
    monkeypatch.setattr(remote, "BEGINNING", 1_000)
    monkeypatch.setitem(buckets._RETRIES, "max_retries", 1)
    with s3_server() as (url, process):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        client = boto3.client("s3")
        client.create_bucket(Bucket="crm")
        client.put_object(Bucket="crm", Key="p.csv", Body=people(1000).encode())
        with workspace.open(file="s3://crm/p.csv") as opened:
            process.kill()
            process.wait()
            with pytest.raises(SourceError, match="the store cannot be reached"):
                opened.count(["all"])
        assert "the store cannot be reached" in complaint(workspace, file="s3://crm/p.csv")


def test_nothing_is_left_behind_and_all_is_private(workspace, bucket, tmp_path):
    from exportkit.engines.sources import open_source

    spill = tmp_path / "spill"
    spill.mkdir()
    bucket.put("p.csv", people())
    with open_source(workspace.source(file=bucket.url("p.csv")), tmp_path, spill=spill) as opened:
        assert opened.count(["all"]) == {"all": 3}
        files = [path for path in spill.rglob("*") if path.is_file()]
        assert [path.name for path in files] == ["p.csv"]
        assert all(path.stat().st_mode & 0o077 == 0 for path in spill.rglob("*"))
    assert list(spill.iterdir()) == []


def test_predicates_see_no_other_file_than_the_sources(workspace, bucket, monkeypatch):
    import duckdb

    bucket.put("p.csv", people())
    workspace.write("secret.csv", people())
    with (
        workspace.open(file=bucket.url("p.csv")) as opened,
        pytest.raises(duckdb.PermissionException),
    ):
        opened.connection.execute(f"FROM '{workspace.root / 'secret.csv'}'")
