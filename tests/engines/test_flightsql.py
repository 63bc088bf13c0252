"""A server over Arrow Flight SQL, whose SQL the driver's name does not tell: Sail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from conftest import Workspace
from loopback import HOST, free_port, wait_for

from exportkit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = {
    "id": "int",
    "name": "string",
    "news": "boolean",
    "spent": "decimal(10,2)",
    "born": "date",
}
ROWS = """
(1, 'anna', true, 10.50, date '1990-02-28'),
(2, 'Bob', false, 0.00, date '2000-12-31'),
(3, '👩‍🚀 ÉMILE', NULL, 99.99, NULL),
(4, NULL, true, NULL, date '2021-01-03')
"""
CONDITIONS = """
news
not news
name = 'anna' or name > 'a'
name like '%ÉM%'
lower(name) = 'bob'
spent >= 10
spent * 2 > 20 and born is not null
born >= '2000-01-01'
year(born) = 1990
coalesce(name, 'nobody') = 'nobody'
""".strip().splitlines()


@pytest.fixture(scope="module")
def flight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server for the tests of a module, with some people."""
    dbapi = pytest.importorskip("adbc_driver_flightsql.dbapi")
    sail = shutil.which("sail", path=Path(sys.executable).parent)
    if sail is None:
        pytest.skip("needs a server over Flight SQL: pip install pysail")
    port = free_port()
    folder = tmp_path_factory.mktemp("sail")
    command = [sail, "flight", "server", "--port", str(port), "-C", str(folder)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as process:
        try:
            wait_for(port, process)
            people = f"SELECT * FROM VALUES {ROWS} AS people ({', '.join(COLUMNS)})"
            with (
                closing(dbapi.connect(f"grpc://{HOST}:{port}", autocommit=True)) as connection,
                closing(connection.cursor()) as cursor,
            ):
                cursor.execute(f"CREATE TABLE people AS {people}")
                cursor.fetch_arrow_table()
            yield f"adbc+flightsql+grpc://{HOST}:{port}"
        finally:
            process.terminate()


def answers(workspace: Workspace, **place: str) -> dict[str, Any]:
    texts = {name: name for name in COLUMNS}
    values = {"most": "spent", "first": "born", "eager": "news"}
    return workspace.answers(place, CONDITIONS, texts=texts, values=values)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("people")
    with duckdb.connect() as engine:
        declared = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        engine.execute(f"CREATE TABLE people ({declared}); INSERT INTO people VALUES {ROWS}")
        engine.execute(f"COPY people TO '{root}/people.parquet'")
    return Workspace(root)


@pytest.mark.parametrize("keys", [{"table": "people"}, {"query": "select * from people"}])
def test_a_server_is_asked_how_it_writes_names(here, flight, keys):
    assert answers(here, database=flight, **keys) == answers(here, file="people.parquet")


def test_what_is_not_there(here, flight):
    for keys in ({"table": "poeple"}, {"query": "select nmae from people"}):
        with (
            pytest.raises(SourceError, match=r"does not answer|no table or column"),
            here.open(database=flight, **keys),
        ):
            pass
    with (
        pytest.raises(SourceError, match="cannot be reached") as caught,
        here.open(database=f"adbc+flightsql+grpc://{HOST}:1?username=u&password=geheim", table="t"),
    ):
        pass
    assert "geheim" not in str(caught.value)
