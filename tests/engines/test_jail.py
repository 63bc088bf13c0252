"""The second wall: SQL that gets past the check still sees the source and nothing else."""

from __future__ import annotations

import os

import duckdb
import pytest

from exportkit.engines.sources import open_source

OUTSIDE = (
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from '{root}/secret.csv'",
    "select * from read_csv('{root}/p.csv/../secret.csv')",
    "select * from read_csv('{root}/*.csv')",
    "select * from glob('{root}/*')",
    "select * from read_parquet('http://127.0.0.1:9/x.parquet')",
    "copy (select 1) to '{root}/out.csv'",
    "copy (select 1) to '{root}/state.parquet.csv'",
    "export database '{root}/dump'",
    "attach '{root}/new.duckdb' as x",
    "install httpfs",
    "load httpfs",
    "load '{root}/x.duckdb_extension'",
    "set memory_limit = '100GB'",
    "set enable_external_access = true",
    "set allowed_paths = ['/etc/passwd']",
    "set lock_configuration = false",
    "reset lock_configuration",
    "set temp_directory = '{root}'",
    "set python_enable_replacements = true",
    "create persistent secret (type http, bearer_token 'x')",
    "select getenv('HOME')",
)


@pytest.fixture
def opened(workspace, tmp_path):
    workspace.write("p.csv", "id,name\n1,Zoë\n")
    workspace.write("secret.csv", "id\n1\n")
    source = workspace.source(file="p.csv")
    with open_source(source, tmp_path, output=tmp_path / "state.parquet") as opened:
        yield opened


@pytest.mark.parametrize("sql", OUTSIDE)
def test_nothing_leads_outside(opened, tmp_path, sql):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(duckdb.Error):
        opened.connection.execute(sql.format(root=tmp_path)).fetchall()
    assert sorted(tmp_path.iterdir()) == before


def test_the_source_and_the_output_can_be_reached(opened, tmp_path):
    assert opened.count(["all"]) == {"all": 1}
    opened.connection.execute(f"copy (select 1) to '{tmp_path}/state.parquet' (use_tmp_file false)")


def test_python_is_out_of_reach(opened):
    import pyarrow as pa

    secret = pa.table({"token": ["hunter2"]})
    with pytest.raises(duckdb.CatalogException):
        opened.connection.execute("select * from secret").fetchall()
    assert secret.num_rows == 1


def test_sorting_more_than_memory_holds_spills(workspace, tmp_path, monkeypatch):
    spill = tmp_path / "spill"
    spill.mkdir(mode=0o700)
    monkeypatch.setattr("exportkit.engines.jail.MEMORY_LIMIT", "300MB")
    with duckdb.connect() as connection:
        connection.execute(
            "copy (select i as id, repeat(md5(i::varchar), 20) as a from range(600_000) t(i)) "
            f"to '{tmp_path}/p.parquet' (row_group_size 8192)"
        )
    with open_source(workspace.source(file="p.parquet"), tmp_path, spill=spill) as opened:
        frame = opened.select(texts={"id": "id", "a": "a"}, segments=["all"]).sort("a")
        frame.to_native().create("held")
        spilled = [path for path in spill.rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in spilled) > 1_000_000
        assert opened.connection.table("held").count("*").fetchall() == [(600_000,)]
    assert list(spill.iterdir()) == []


def test_temporary_files_are_private(workspace, tmp_path):
    spill = tmp_path / "spill"
    spill.mkdir()
    workspace.write("p.csv", "id,name\n1,Zoë\n".encode("utf-16"))
    old = os.umask(0)
    try:
        with open_source(workspace.source(file="p.csv"), tmp_path, spill=spill) as opened:
            assert opened.count(["all"]) == {"all": 1}
            (folder,) = spill.iterdir()
            assert folder.stat().st_mode & 0o777 == 0o700
            copies = [path for path in folder.iterdir() if path.is_file()]
            assert copies
            assert {path.stat().st_mode & 0o777 for path in copies} == {0o600}
    finally:
        os.umask(old)
    assert list(spill.iterdir()) == []
