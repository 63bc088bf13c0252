"""Commands on a workspace whose profiles are in a PostgreSQL."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from postgresql import Database

    from tests.cli.conftest import Command

SOURCE = """version: 1
name: customers
database: ${{env:CRM_URL}}
{what}
key: customer_id
segments:
  vip: {{where: "lifetime_value >= 1000"}}
  newsletter: {{where: newsletter}}
  quiet: {{where: "{quiet}"}}
  everyone: {{}}
"""


@pytest.fixture
def crm(workspace: Path, postgresql: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The sample's profiles in a table; the workspace reads it."""
    profiles = workspace / "data" / "profiles.csv"
    header = profiles.read_text(encoding="utf-8").partition("\n")[0].split(",")
    kinds = {"lifetime_value": "numeric", "newsletter": "boolean", "last_order_at": "date"}
    columns = ", ".join(f"{name} {kinds.get(name, 'text')}" for name in header)
    postgresql.run(f"CREATE TABLE customers ({columns});")
    postgresql.run(f"\\copy customers from '{profiles}' csv header")
    monkeypatch.setenv("CRM_URL", postgresql.url)
    write(workspace)
    return postgresql


def write(workspace: Path, what: str = "table: customers", quiet: str = "not newsletter") -> None:
    text = SOURCE.format(what=what, quiet=quiet)
    (workspace / "sources" / "customers.yaml").write_text(text, encoding="utf-8")


def test_segments_are_counted_by_the_database(exportkit: Command, crm: Database) -> None:
    found = exportkit("segments", "customers", "--json").json["segments"]
    assert {each["name"]: each["members"] for each in found}["vip"] == 38
    assert {each["name"]: each["members"] for each in found}["everyone"] == 111


def test_the_sample_runs_from_a_database(
    exportkit: Command, crm: Database, workspace: Path
) -> None:
    assert exportkit("validate", "--connect").code == 0
    planned = exportkit("plan", "call-list", "--json")
    assert planned.code == 0, planned.err
    assert exportkit("run", "call-list").code == 0
    assert (workspace / "out" / "call-list.csv.gz").stat().st_size > 100


def test_validate_asks_no_server_until_it_is_told_to(
    exportkit: Command, crm: Database, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(workspace, quiet="newsleter or tier")
    assert exportkit("validate").code == 0
    asked = exportkit("validate", "--connect")
    assert asked.code == 2
    assert "there is no column 'newsleter'" in asked.out + asked.err
    assert "did you mean 'newsletter'?" in asked.out + asked.err
    monkeypatch.delenv("CRM_URL")
    assert exportkit("validate").code == 0
    asked = exportkit("validate", "--connect")
    assert asked.code == 2
    assert "CRM_URL is not set" in asked.out + asked.err


def test_validate_reads_queries_and_expressions_without_a_server(
    exportkit: Command, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_URL", "postgresql://crm@127.0.0.1:1/crm")
    write(workspace, what='query: "update customers set tier = 1"', quiet="x = monthname(y)")
    said = exportkit("validate")
    assert said.code == 2
    text = said.out + said.err
    assert "sources/customers.yaml:4:9: query: a statement that begins with UPDATE writes" in text
    assert "segments.quiet.where: monthname() is not translated for PostgreSQL" in text


LOOK = """
import signal
from exportkit.cli import start
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
start()
"""


def test_who_stops_waiting_for_a_server_is_let_go(workspace: Path) -> None:
    """One that takes the connection and says nothing would be waited for half a minute."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        write(workspace)
        url = f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/crm"
        with subprocess.Popen(
            [sys.executable, "-c", LOOK, "segments", "customers"],
            env={**os.environ, "CRM_URL": url},
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            taken, _ = silent.accept()
            asked = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        taken.close()
    assert time.monotonic() - asked < 10
    assert (process.returncode, said) == (1, "\nstopped\n")
