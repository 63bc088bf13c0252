"""Delta and Iceberg tables, written here by their own libraries, on disk and in an S3 server."""

from __future__ import annotations

import base64
import json
import os
import shutil
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from file_servers import KEYS, s3_server

from exportkit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

deltalake = pytest.importorskip("deltalake", reason="needs exportkit[delta]")
pytest.importorskip("pyiceberg", reason="needs exportkit[iceberg]")

SECRET = "jane@example.com"
FIRST = {"id": [1, 2, 3], "email": ["a@x.org", "b@x.org", None], "zip": ["01", "02", "02"]}


def table(**more: Any) -> pa.Table:
    return pa.table({**FIRST, **more})


def complaint(workspace, **keys) -> str:
    with pytest.raises(SourceError) as caught:
        workspace.texts(**keys)
    said = str(caught.value)
    assert SECRET not in said
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in said
    assert said.startswith("sources/people.yaml:6:7: file: ")
    return said


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["id"])


# Delta


def delta(path: Path, data: pa.Table, **how: Any) -> None:
    deltalake.write_deltalake(str(path), data, **how)


def test_a_delta_table(workspace):
    when = pa.array([datetime(2024, 1, 31, 9, 30, tzinfo=UTC)] * 3, pa.timestamp("us", "UTC"))
    more = {"when": when, "yes": [True, None, False], "tags": [["a"], [], None], "n": [1.5, 2, 3]}
    delta(workspace.root / "people", table(**more), partition_by=["zip"])
    rows = by_id(workspace.texts(file="people"))
    assert rows[0] == {
        "id": "1",
        "email": "a@x.org",
        "zip": "01",
        "when": "2024-01-31 09:30:00+00",
        "yes": "true",
        "tags": '["a"]',
        "n": "1.5",
    }
    assert [row["zip"] for row in rows] == ["01", "02", "02"]
    segments = {"vip": {"where": "n >= 2 and zip = '02'"}}
    with workspace.open(file="people/", segments=segments) as opened:
        assert opened.complaints() == []
        assert opened.columns["when"] == "TIMESTAMP WITH TIME ZONE"
        assert not opened.is_empty
        assert opened.count(["vip"]) == {"vip": 2}


def test_a_delta_table_is_what_its_log_says(workspace):
    """Deleted rows, columns that came later, and files that do not count any more."""
    path = workspace.root / "people"
    delta(path, table())
    deltalake.DeltaTable(str(path)).delete("id = 2")
    delta(path, table(city=["Delft"] * 3), mode="append", schema_mode="merge")
    rows = workspace.texts(file="people")
    assert sorted((row["id"], row["city"] or "") for row in rows) == [
        ("1", ""),
        ("1", "Delft"),
        ("2", "Delft"),
        ("3", ""),
        ("3", "Delft"),
    ]


def test_only_the_columns_that_are_needed(workspace, monkeypatch, read_rows):
    from exportkit.engines.lakes.delta import DeltaLake

    asked, original = [], DeltaLake.read

    def noted(self, columns):
        asked.append(list(columns))
        return original(self, columns)

    monkeypatch.setattr(DeltaLake, "read", noted)
    delta(workspace.root / "people", table(wide=["x" * 100] * 3, age=[30, 40, 50]))
    segments = {"old": {"where": "age > 30"}, "all": {}}
    with workspace.open(file="people", segments=segments) as opened:
        assert opened.complaints() == []
        assert not opened.is_empty
        assert opened.fingerprint()
        assert asked == []
        assert opened.count(["old"]) == {"old": 2}
        first = opened.select(texts={"mail": "email"}, segments=["old"])
        second = opened.select(texts={"mail": "email"}, segments=["old"])
        third = opened.select(texts={"w": "wide"}, segments=["all"])
        with opened.explained():
            assert len(read_rows(first)) == len(read_rows(second)) == 2
            assert [row["w"] for row in read_rows(third)] == ["x" * 100] * 3
    assert asked == [["age"], ["email", "age"], ["email", "wide", "age"]]


def test_the_fingerprint_of_a_delta_table_is_its_version(workspace):
    path = workspace.root / "people"

    def fingerprint() -> str:
        with workspace.open(file="people") as opened:
            assert abs(datetime.now(UTC) - opened.modified_at) < timedelta(minutes=1)
            return opened.fingerprint()

    delta(path, table())
    first = fingerprint()
    assert fingerprint() == first
    delta(path, table(), mode="overwrite")
    second = fingerprint()
    shutil.rmtree(path)
    delta(path, table())
    assert len({first, second, fingerprint()}) == 3


def test_the_version_that_was_opened_is_the_one_that_is_read(workspace):
    path = workspace.root / "people"
    delta(path, table())
    with workspace.open(file="people") as opened:
        delta(path, table(), mode="append")
        assert opened.count(["all"]) == {"all": 3}


def deletion_vector(rows: list[int]) -> dict[str, Any]:
    """Rows of a file as deleted, as Databricks writes it: a roaring bitmap in the log itself."""
    bits = struct.pack("<IIHHI", 12346, 1, 0, len(rows) - 1, 16)
    bits += b"".join(struct.pack("<H", row) for row in rows)
    data = struct.pack("<IQI", 1681511377, 1, 0) + bits
    data += bytes(-len(data) % 4)
    # Python's base 85 and the one of the protocol differ in their letters.
    ours = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
    theirs = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    text = base64.b85encode(data).decode().translate(str.maketrans(ours, theirs))
    return {
        "storageType": "i",
        "pathOrInlineDv": text,
        "sizeInBytes": len(data),
        "cardinality": len(rows),
    }


def test_deleted_rows_stay_away(workspace):
    """A deletion vector leaves the file as it is: whoever reads the file alone sees the dead."""
    path = workspace.root / "people"
    delta(path, table())
    log = path / "_delta_log" / f"{0:020}.json"
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    added = next(entry["add"] for entry in entries if "add" in entry)
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    actions = [
        {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}},
        {"remove": {"path": added["path"], "deletionTimestamp": 1, "dataChange": True}},
        {"add": {**added, "deletionVector": deletion_vector([0, 2])}},
    ]
    (log.parent / f"{1:020}.json").write_text("\n".join(map(json.dumps, actions)))
    assert [row["id"] for row in workspace.texts(file="people")] == ["2"]


def test_a_delta_table_without_rows(workspace):
    path = workspace.root / "people"
    delta(path, table())
    deltalake.DeltaTable(str(path)).delete()
    with workspace.open(file="people") as opened:
        assert opened.complaints() == []
        assert opened.is_empty
        assert opened.count(["all"]) == {"all": 0}


def test_a_delta_table_whose_old_commits_are_gone(workspace):
    path = workspace.root / "people"
    delta(path, table())
    deltalake.DeltaTable(str(path)).create_checkpoint()
    for file in path.glob("_delta_log/*.json"):
        file.unlink()
    with workspace.open(file="people") as opened:
        assert opened.modified_at is None
        assert opened.fingerprint()
        assert opened.count(["all"]) == {"all": 3}


def test_what_is_wrong_with_a_delta_table(workspace):
    path = workspace.root / "people"
    delta(path, table())
    with pytest.raises(SourceError, match="`table:` goes with databases"):
        workspace.texts(file="people", table="x")
    for file in path.glob("*.parquet"):
        file.unlink()
    assert "the Delta table people misses files" in complaint(workspace, file="people")
    for file in path.glob("_delta_log/*.json"):
        file.write_text(f"{SECRET}: no log")
    assert "the Delta table people cannot be read" in complaint(workspace, file="people")


def test_a_feature_that_nobody_here_knows(workspace):
    path = workspace.root / "people"
    delta(path, table())
    features = {"readerFeatures": ["telepathy"], "writerFeatures": ["telepathy"]}
    protocol = {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}}
    (path / "_delta_log" / f"{1:020}.json").write_text(json.dumps(protocol))
    assert "the Delta table people" in complaint(workspace, file="people")


@pytest.mark.parametrize(
    ("package", "made", "hint"),
    [("deltalake", "_delta_log/0.json", "exportkit[delta]"),
     ("pyiceberg", "metadata/1.metadata.json", "exportkit[iceberg]")],
)  # fmt: skip
def test_without_the_library(workspace, monkeypatch, package, made, hint):
    workspace.write(f"people/{made}", "{}")
    monkeypatch.setitem(__import__("sys").modules, package, None)
    assert f"pip install '{hint}'" in complaint(workspace, file="people")


# Iceberg


class Catalog:
    """A catalog in a SQLite file, with one table that the tests write."""

    def __init__(self, root: Path, warehouse: str, **properties: str) -> None:
        from pyiceberg.catalog.sql import SqlCatalog

        self.uri = f"sqlite:///{root / 'catalog.db'}"
        self.catalog = SqlCatalog("tests", uri=self.uri, warehouse=warehouse, **properties)
        self.catalog.create_namespace("crm")

    def write(self, data: pa.Table) -> Any:
        if not self.catalog.table_exists("crm.people"):
            self.catalog.create_table("crm.people", schema=data.schema)
        found = self.catalog.load_table("crm.people")
        found.append(data)
        return found

    def close(self) -> None:
        self.catalog.engine.dispose()


@pytest.fixture
def iceberg(workspace) -> Iterator[Catalog]:
    catalog = Catalog(workspace.root, f"file://{workspace.root}/lake")
    yield catalog
    catalog.close()


def test_an_iceberg_table(workspace, iceberg):
    from pyiceberg.types import StringType

    when = pa.array([datetime(2024, 1, 31, 9, 30, tzinfo=UTC)] * 3, pa.timestamp("us", "UTC"))
    written = iceberg.write(table(when=when, age=[30, 40, 50]))
    with written.update_schema() as schema:
        schema.rename_column("email", "mail")
        schema.add_column("city", StringType())
    written.append(pa.table({"id": [4], "mail": ["d@x.org"], "city": ["Delft"], "age": [60]}))
    written.delete("id = 2")
    rows = by_id(workspace.texts(file="lake/crm/people"))
    assert [(row["id"], row["mail"], row["city"]) for row in rows] == [
        ("1", "a@x.org", None),
        ("3", None, None),
        ("4", "d@x.org", "Delft"),
    ]
    assert rows[0]["when"] == "2024-01-31 09:30:00+00"
    segments = {"old": {"where": "age > 40"}}
    with workspace.open(file="lake/crm/people", segments=segments) as opened:
        assert opened.complaints() == []
        assert not opened.is_empty
        assert opened.count(["old"]) == {"old": 2}
    by_file = Path(written.refresh().metadata_location.removeprefix("file://"))
    assert by_id(workspace.texts(file=str(by_file))) == rows


def test_the_fingerprint_of_an_iceberg_table_is_its_snapshot(workspace, iceberg):
    def fingerprint() -> str:
        with workspace.open(file="lake/crm/people") as opened:
            assert abs(datetime.now(UTC) - opened.modified_at) < timedelta(minutes=1)
            return opened.fingerprint()

    iceberg.write(table())
    first = fingerprint()
    assert fingerprint() == first
    iceberg.write(table())
    assert fingerprint() != first


def test_the_note_says_which_metadata_count(workspace, iceberg):
    """A commit that lost leaves metadata behind that nobody is to read."""
    first = Path(iceberg.write(table()).metadata_location.removeprefix("file://"))
    iceberg.write(table())
    assert len(workspace.texts(file="lake/crm/people")) == 6
    (first.parent / "version-hint.text").write_text(first.name)
    assert len(workspace.texts(file="lake/crm/people")) == 3


def test_a_table_in_a_catalog(workspace, iceberg, monkeypatch):
    from pyiceberg.utils.config import Config

    iceberg.write(table())
    monkeypatch.setenv("PYICEBERG_CATALOG__TESTS__URI", iceberg.uri)
    monkeypatch.setenv("PYICEBERG_CATALOG__TESTS__TYPE", "sql")
    # The library reads them once, when it is imported.
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG", Config())
    assert len(workspace.texts(file="iceberg://tests/crm.people")) == 3
    said = complaint(workspace, file="iceberg://tests/crm.poeple")
    assert "the catalog 'tests' has no table 'crm.poeple'" in said
    assert "is named iceberg://CATALOG/namespace.table" in complaint(
        workspace, file="iceberg://tests"
    )
    said = complaint(workspace, file="iceberg://pond/crm.people")
    assert "the catalog 'pond' is not configured" in said


def test_an_iceberg_table_without_rows(workspace, iceberg):
    iceberg.catalog.create_table("crm.people", schema=table().schema)
    with workspace.open(file="lake/crm/people") as opened:
        assert opened.complaints() == []
        assert opened.is_empty
        assert opened.count(["all"]) == {"all": 0}


def test_what_is_wrong_with_an_iceberg_table(workspace, iceberg):
    iceberg.write(table())
    for file in (workspace.root / "lake").rglob("*.parquet"):
        file.unlink()
    assert "table lake/crm/people misses files" in complaint(workspace, file="lake/crm/people")
    for file in (workspace.root / "lake").rglob("*.metadata.json"):
        file.write_text(f"{SECRET}: no metadata")
    assert "people cannot be read" in complaint(workspace, file="lake/crm/people")


# In a store


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("moto", reason="needs moto, which is an S3-compatible server")
    with s3_server() as (url, _):
        yield url


@pytest.fixture
def bucket(server, monkeypatch) -> str:
    import boto3

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": server, "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="lakes-of-the-tests")
    return "s3://lakes-of-the-tests"


def test_lakes_in_a_store(workspace, bucket, server, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    deltalake.write_deltalake(f"{bucket}/delta/people", table(), partition_by=["zip"])
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    place = {"s3.endpoint": server, "s3.region": "us-east-1"}
    catalog = Catalog(tmp_path, f"{bucket}/ice", **place)
    catalog.write(table())
    catalog.close()
    expected = [{key: FIRST[key][n] for key in FIRST} for n in range(3)]
    expected = [{**row, "id": str(row["id"])} for row in expected]
    assert by_id(workspace.texts(file=f"{bucket}/delta/people")) == expected
    assert by_id(workspace.texts(file=f"{bucket}/ice/crm/people/")) == expected
    assert "there is no file" in complaint(workspace, file=f"{bucket}/delta/peple")


def test_lakes_and_credentials_of_a_profile(workspace, bucket, server, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    deltalake.write_deltalake(f"{bucket}/of-profile/delta", table())
    place = {"s3.endpoint": server, "s3.region": "us-east-1"}
    catalog = Catalog(tmp_path, f"{bucket}/of-profile/ice", **place)
    catalog.write(table())
    catalog.close()
    for name in ("AWS_ALLOW_HTTP", *KEYS):
        monkeypatch.delenv(name)
    (tmp_path / "none").write_text("")
    profile = "[crm]\naws_access_key_id = a\naws_secret_access_key = b\n"
    (tmp_path / "credentials").write_text(profile)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "crm")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert len(workspace.texts(file=f"{bucket}/of-profile/delta")) == 3
    assert len(workspace.texts(file=f"{bucket}/of-profile/ice/crm/people")) == 3
