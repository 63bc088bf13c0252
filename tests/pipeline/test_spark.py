"""The same jobs on DuckDB and on Spark: every row that comes out is compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from sparkservers import SparkServer

    from .conftest import Shop

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("email", pa.string()),
        ("name", pa.string()),
        ("city", pa.string()),
        ("spent", pa.decimal128(12, 2)),
        ("score", pa.float64()),
        ("active", pa.bool_()),
        ("born", pa.date32()),
        ("seen", pa.timestamp("us")),
    ]
)


@dataclass
class Both:
    """One shop whose people are read by DuckDB, or by a cluster."""

    shop: Shop
    server: SparkServer
    folder: Path
    keeps: bool = True
    segments: dict[str, Any] = field(default_factory=lambda: {"all": {}})

    def people(self, rows: list[dict[str, Any]], schema: pa.Schema = SCHEMA) -> None:
        pq.write_table(pa.Table.from_pylist(rows, schema), self.folder / "people.parquet")

    def on(self, engine: str) -> Shop:
        path = str(self.folder / "people.parquet")
        source = {"name": "people", "file": path, "key": "id", "segments": self.segments}
        if engine == "spark":
            source["spark"] = self.server.url
            if self.keeps:
                source["spark_state"] = str(self.folder / "state")
        self.shop.source = source
        return self.shop


@pytest.fixture(params=["keeps", "asks"])
def both(shop: Shop, spark: SparkServer, tmp_path: Path, request: Any) -> Both:
    if request.param == "asks" and spark.kind == "sail":
        pytest.skip("this Sail has no place for checkpoints")
    return Both(shop, spark, tmp_path, keeps=request.param == "keeps")


PEOPLE = [
    {"id": 1, "email": "ann@example.com", "name": " Ann ", "city": "Athens"},
    {"id": 2, "email": "bob@example.com", "name": None, "city": "Bonn"},
    {"id": 3, "email": "nobody", "name": "Cid", "city": "Cork"},
    {"id": 4, "email": "ann@example.com", "name": "Anna", "city": "Athens"},
]


def test_a_whole_file_is_written(both: Both) -> None:
    both.people(PEOPLE)
    both.shop.set(map={"email": {"column": "email", "kind": "email"}, "name": "name"})
    here = both.on("duckdb").counts(allow=["rejections"])
    expected, refused = both.shop.out, both.shop.rejected()
    there = both.on("spark").counts(full=True)
    assert sorted(map(str, both.shop.out)) == sorted(map(str, expected))
    assert both.shop.rejected() == refused
    assert (there.selected, there.rejected, there.duplicates) == (4, 1, 1)
    assert (there.unchanged, here.added) == (2, 2)
