"""Commands on a workspace whose profiles are in a BigQuery, as far as bqemulator is one."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest
from bigqueries import bigquery  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from pathlib import Path

    from bigqueries import BigQuery

    from tests.cli.conftest import Command

KINDS = {"lifetime_value": "NUMERIC", "newsletter": "BOOL", "updated_at": "DATETIME"}


@pytest.fixture
def crm(workspace: Path, bigquery: BigQuery, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """The starter's source, which reads the same profiles from the server."""
    with (workspace / "data" / "profiles.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    columns = ", ".join(f"{name} {KINDS.get(name, 'STRING')}" for name in header)
    values = ", ".join(f"({', '.join(map(written, header, row))})" for row in rows)
    bigquery.run(
        f"CREATE OR REPLACE TABLE customers ({columns})", f"INSERT INTO customers VALUES {values}"
    )
    bigquery.tokens.write_key(workspace / "keys" / "bigquery.json")
    monkeypatch.setenv("CRM_URL", bigquery.url)
    return workspace / "sources" / "customers.yaml"


def written(name: str, value: str) -> str:
    """A value of the file as SQL of BigQuery; what is empty is NULL."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"CAST('{escaped}' AS {KINDS.get(name, 'STRING')})" if value else "NULL"


def test_a_run_writes_what_it_writes_from_a_file(
    exportkit: Command, workspace: Path, crm: Path
) -> None:
    known = lines_of(exportkit, workspace)
    use_database(crm)
    counted = exportkit("segments", "customers", "--json")
    assert counted.code == 0, counted.err
    members = {each["name"]: each["members"] for each in counted.json["segments"]}
    assert members["vip"] == 38
    assert members["everyone"] == 111
    checked = exportkit("validate", "--connect", "jobs/vip-newsletter.yaml")
    assert checked.code == 0, checked.err
    assert lines_of(exportkit, workspace) == known


def lines_of(exportkit: Command, workspace: Path) -> list[str]:
    """The lines that a run delivers, in some order; nothing warns of anything."""
    ran = exportkit("run", "vip-newsletter", "--full")
    assert ran.code == 0, ran.err
    assert "Warning" not in ran.err
    made = workspace / "out" / "vip-newsletter.csv"
    lines = sorted(made.read_text(encoding="utf-8").splitlines())
    made.unlink()
    assert len(lines) > 38
    return lines


def use_database(source: Path) -> None:
    """Have the source read the table instead of the file."""
    text = source.read_text(encoding="utf-8")
    text = text.replace("file: data/profiles.csv", "database: ${env:CRM_URL}\ntable: customers")
    text = text.replace("types:\n  postal_code: text\n", "")
    source.write_text(text, encoding="utf-8")
