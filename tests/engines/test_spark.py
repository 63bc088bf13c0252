"""A Spark endpoint that is not there, or goes away; and what is refused before a row is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from sparkservers import start_sail

from exportkit.config.documents import read_document
from exportkit.config.schemas import check
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from sparkservers import SparkServer

    from .conftest import Workspace

pytest.importorskip("pyspark", reason="the client is not installed: exportkit[spark]")


def people(folder: Path, **columns: Any) -> str:
    path = folder / "people.parquet"
    pq.write_table(
        pa.table({"id": [1, 2, 3], "email": ["a@x.org", "b@x.org", None], **columns}), path
    )
    return str(path)


def test_an_endpoint_that_is_not_there(workspace: Workspace) -> None:
    url = "sc://127.0.0.1:9/;token=abcdefghijklmnop"
    with (
        pytest.raises(SourceError, match=r"no answer from the Spark endpoint 127\.0\.0\.1:9") as e,
        workspace.open(spark=url, file="/nowhere.parquet"),
    ):
        pass
    assert "abcdef" not in str(e.value)
    assert e.value.__cause__ is None


def test_an_address_that_is_none(workspace: Workspace) -> None:
    with (
        pytest.raises(SourceError, match="not the address of a Spark Connect endpoint"),
        workspace.open(spark="spark:15002", table="people"),
    ):
        pass


@pytest.mark.parametrize(("key", "name"), [("file", "/nowhere/people.parquet"), ("table", "nope")])
def test_what_the_cluster_does_not_have(
    workspace: Workspace, spark: SparkServer, key: str, name: str
) -> None:
    with (
        pytest.raises(SourceError, match="the cluster has no such"),
        workspace.open(spark=spark.url, **{key: name}),
    ):
        pass


@pytest.mark.parametrize(
    "query",
    [
        "drop table people",
        "insert into people values (1)",
        "select 1 as id; drop table people",
        "create table x as select 1 as id",
        "select 1 as id) ; drop table people --",
        "",
    ],
)
def test_a_query_only_reads(workspace: Workspace, spark: SparkServer, query: str) -> None:
    with pytest.raises(SourceError), workspace.open(spark=spark.url, query=query or ";"):
        pass


def test_a_query_is_read(workspace: Workspace, spark: SparkServer) -> None:
    segments = {"old": {"where": "age > 30"}, "none": {"where": "email is null"}, "all": {}}
    query = "select * from values (1, 'a@x.org', 20), (2, 'b@x.org', 40) as t(id, email, age)"
    with workspace.open(spark=spark.url, query=query, segments=segments) as opened:
        assert opened.complaints() == []
        assert opened.count(["old", "none", "all"]) == {"old": 1, "none": 0, "all": 2}
        assert not opened.is_empty
        assert opened.names == ("id", "email", "age")


def test_a_server_that_dies(workspace: Workspace) -> None:
    server = start_sail()

    def use() -> None:
        with workspace.open(spark=server.url, file=people(workspace.root)) as opened:
            assert opened.count(["all"]) == {"all": 3}
            server.kill()
            opened.count(["all"])

    with pytest.raises(SourceError, match=r"no answer from the Spark endpoint 127") as error:
        use()
    assert "x.org" not in str(error.value)


def test_a_session_that_ended(workspace: Workspace, apache: SparkServer) -> None:
    with workspace.open(spark=apache.url, file=people(workspace.root)) as opened:
        opened._session.client.release_session()
        with pytest.raises(SourceError, match="has ended while it was in use"):
            opened.count(["all"])


def test_no_value_is_quoted(workspace: Workspace, spark: SparkServer, capfd: Any) -> None:
    query = "select 1 as id, cast(s as int) as n from values ('secret-value') as t(s)"
    with (
        workspace.open(spark=spark.url, query=query, segments={"a": {"where": "n > 1"}}) as opened,
        pytest.raises(SourceError, match="source people cannot be read") as error,
    ):
        opened.count(["a"])
    assert "secret" not in str(error.value)
    assert "secret" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("nope > 1", "there is no column 'nope'"),
        ("id", "not true or false"),
        ("id = 'x' || email and id > email", "types of the columns"),
        ("email ilike 'A%'", "ilike does not mean the same on Spark"),
        (r"regexp_matches(email, '(?i)a')", r"\(\?i in a pattern"),
        ("id / 2 > 1", "div does not mean the same on Spark"),
        ("cast(email as int) > 1", "a cast does not mean the same"),
        (r"email like 'a\%'", "without a backslash"),
        ("id in (select 1)", "a query inside an expression"),
    ],
)
def test_what_segments_may_not_say(
    workspace: Workspace, sail: SparkServer, where: str, message: str
) -> None:
    path = people(workspace.root)
    with workspace.open(spark=sail.url, file=path, segments={"a": {"where": where}}) as opened:
        (complaint,) = opened.complaints()
    assert re.search(message, complaint.message), complaint
    assert complaint.location
    assert complaint.location.path == "segments.a.where"


def test_what_a_source_on_spark_does_not_take(workspace: Workspace, sail: SparkServer) -> None:
    keys = {"types": {"id": "text"}, "fresh_within": "1h"}
    with workspace.open(spark=sail.url, file=people(workspace.root), **keys) as opened:
        found = {complaint.location.path for complaint in opened.complaints()}
    assert found == {"types", "fresh_within"}


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (pa.array([1.5, None, 2.0]), "floating-point"),
        (pa.array([[1], [], None]), "nested values"),
        (pa.array([b"a", b"", None]), "bytes"),
    ],
)
def test_what_has_no_text(
    workspace: Workspace, spark: SparkServer, values: pa.Array, what: str
) -> None:
    with (
        workspace.open(spark=spark.url, file=people(workspace.root, odd=values)) as opened,
        pytest.raises(SourceError, match=what),
    ):
        opened.select(texts={"odd": "odd"}, segments=["all"])


def test_a_fingerprint_follows_the_rows(workspace: Workspace, spark: SparkServer) -> None:
    seen = []
    for names in (["A", "B", None], ["A", "B", None], ["A", "C", None]):
        with workspace.open(spark=spark.url, file=people(workspace.root, name=names)) as opened:
            seen.append(opened.fingerprint())
    assert seen[0] == seen[1] != seen[2]


def test_csv_is_not_for_spark(workspace: Workspace, sail: SparkServer) -> None:
    with (
        pytest.raises(SourceError, match="Spark reads Parquet here"),
        workspace.open(spark=sail.url, file="people.csv"),
    ):
        pass


def test_the_examples_of_the_page_hold(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "spark.md").read_text(encoding="utf-8")
    source, cluster = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    path = tmp_path / "customers.yaml"
    path.write_text(source, encoding="utf-8")
    assert check(read_document(path, "sources/customers.yaml"), "source") == []
    kinds = [part["kind"] for part in yaml.safe_load_all(cluster)]
    assert kinds == ["Deployment", "Service", "CronJob"]
