"""The Parquet files of the state: what repeats stands there once, and no end leaves a writer."""

from __future__ import annotations

import shutil
import threading
import time
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exportkit.engines.parquet import passing, read_schema, write_batches
from exportkit.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(20)
SCHEMA = pa.schema({"n": pa.int64()})


@pytest.fixture(autouse=True)
def _nobody_writes_on() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert {each for each in threading.enumerate() if each.name == "accepted rows"} <= before


def batches(count: int) -> Iterator[pa.RecordBatch]:
    yield from (pa.record_batch({"n": [number]}) for number in range(count))


def remove(folder: Path) -> None:
    """Remove the folder, as soon as something is being written there."""
    while not (folder.exists() and list(folder.iterdir())):
        time.sleep(0.01)
    shutil.rmtree(folder)


def test_what_passes_is_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    assert sum(batch.num_rows for batch in passing(batches(9), SCHEMA, path)) == 9
    assert pq.read_table(path)["n"].to_pylist() == list(range(9))


def test_what_repeats_stands_there_once(tmp_path: Path) -> None:
    path, numbers = tmp_path / "rows.parquet", range(1000)
    columns: dict[str, list[object]] = {
        "email": [f"p{number}@example.com" for number in numbers],
        "home.city": [("Zürich", None, "")[number % 3] for number in numbers],
        "nothing": [None for _ in numbers],
        "number": [number % 2 for number in numbers],
    }
    schema = pa.schema([(name, pa.string()) for name in [*columns][:3]] + [("number", pa.int64())])
    rows = pa.record_batch(columns, schema)
    assert write_batches([rows, rows], schema, path) == 2000
    assert pq.read_table(path).to_batches()[0].slice(0, 1000) == rows
    assert read_schema(path) == schema
    found = pq.read_metadata(path).row_group(0)
    chunks = [found.column(number) for number in range(found.num_columns)]
    assert [each.has_dictionary_page for each in chunks] == [False, True, True, False]


def test_a_file_of_no_rows_has_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    assert write_batches([], SCHEMA, path) == 0
    assert read_schema(path) == SCHEMA


def test_whoever_stops_half_way_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    rows = passing(batches(9), SCHEMA, path)
    next(rows)
    rows.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("taken", [1, 4])
def test_a_folder_that_goes_meanwhile_is_told(tmp_path: Path, taken: int) -> None:
    folder = tmp_path / "run"
    rows = passing(batches(5), SCHEMA, folder / "rows.parquet")
    for _ in range(taken):
        next(rows)
    remove(folder)
    with pytest.raises(JournalError, match="cannot be written"):
        list(rows)


def test_a_folder_that_goes_before_one_stops_half_way_keeps_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    rows = passing(batches(5), SCHEMA, folder / "rows.parquet")
    next(rows)
    remove(folder)
    rows.close()


def test_what_cannot_be_written_at_all_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("no folder")
    with pytest.raises(JournalError, match="cannot be written"):
        list(passing(batches(50), SCHEMA, tmp_path / "run" / "rows.parquet"))
