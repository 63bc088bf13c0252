"""The same jobs on DuckDB and on Spark: every row that comes out is compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exportkit.state.snapshots import read_snapshot

from .conftest import Shop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sparkservers import SparkServer

    from exportkit.host.loader import Host
    from exportkit.records import Run

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("email", pa.string()),
        ("name", pa.string()),
        ("city", pa.string()),
        ("spent", pa.decimal128(12, 2)),
        ("seen", pa.timestamp("us")),
    ]
)


@dataclass
class Both:
    """Two workspaces with the same job and the same people: one reads them itself, one asks Spark.

    `keeps` says whether the cluster has a place for what was delivered.
    """

    here: Shop
    there: Shop
    folder: Path
    source: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def at(cls, folder: Path, host: Host, server: SparkServer, *, keeps: bool) -> Both:
        path = str(folder / "people.parquet")
        source = {"name": "people", "file": path, "key": "id", "segments": {"all": {}}}
        shops = []
        for name in ("here", "there"):
            (folder / name).mkdir()
            shop = Shop(folder / name, host, source=dict(source))
            shop.write("exportkit.yaml", {})
            shop.write("connections/files.yaml", {"name": "files", "type": "csv"})
            shop.job = {"name": "vip", "source": "people", "segments": ["all"]}
            shop.job |= {"connection": "files", "destination": {"path": "out/vip.csv"}}
            shops.append(shop)
        both = cls(*shops, folder)
        both.there.source["spark"] = server.url
        if keeps:
            both.there.source["spark_state"] = str(folder / "cluster")
        return both

    def people(self, rows: Sequence[dict[str, Any]], schema: pa.Schema = SCHEMA) -> None:
        pq.write_table(pa.Table.from_pylist(list(rows), schema), self.folder / "people.parquet")

    def set(self, **keys: Any) -> None:
        for shop in (self.here, self.there):
            shop.set(**keys)

    def segments(self, **segments: Any) -> None:
        for shop in (self.here, self.there):
            shop.source["segments"] = segments

    def list(self, **options: Any) -> None:
        for shop in (self.here, self.there):
            shop.list(**options)

    def run(self, **orders: Any) -> tuple[Run, Run]:
        """Run both; they come to the same counts, rejections and rows."""
        here, there = self.here.run(**orders), self.there.run(**orders)
        assert there.error == here.error
        assert there.counts == here.counts
        assert _sorted(self.there.rejected()) == _sorted(self.here.rejected())
        if self.here.job["connection"] == "files" and here.error is None:
            assert _sorted(self.there.out) == _sorted(self.here.out)
        elif here.error is None:
            assert self.there.members == self.here.members
        return here, there

    def kept(self) -> dict[str, dict[str, Any]]:
        """The rows that the cluster keeps, by key."""
        (folder,) = (self.there.state.root / "snapshots" / "vip").iterdir()
        snapshot = read_snapshot(folder)
        assert snapshot
        assert snapshot.delivered.suffix == ".cluster"
        files = self.folder / "cluster" / "kept" / snapshot.delivered.stem
        rows = pa.concat_tables(pq.read_table(path) for path in files.glob("*.parquet"))
        return {row["exportkit_key"]: row for row in rows.to_pylist()}

    def left_behind(self) -> int:
        """How many rows are left of what was held while runs lasted."""
        held = (self.folder / "cluster" / "held").rglob("*.parquet")
        return sum(pq.read_metadata(path).num_rows for path in held)


def _sorted(rows: Sequence[dict[str, Any]]) -> list[str]:
    return sorted(str(sorted(row.items(), key=str)) for row in rows)


@pytest.fixture(params=["keeps", "asks"])
def both(shop: Shop, spark: SparkServer, tmp_path: Path, request: Any) -> Both:
    if request.param == "asks" and spark.kind == "sail":
        pytest.skip("this Sail has no place for checkpoints")
    return Both.at(tmp_path, shop.host, spark, keeps=request.param == "keeps")


PEOPLE = [
    {"id": 1, "email": "ann@example.com", "name": " Ann ", "city": "Athens"},
    {"id": 2, "email": "bob@example.com", "name": None, "city": "Bonn"},
    {"id": 3, "email": "nobody", "name": "Cid", "city": "Cork"},
    {"id": 4, "email": "ann@example.com", "name": "Anna", "city": "Athens"},
]
EMAIL = {"email": {"column": "email", "kind": "email"}, "name": "name"}


def test_a_whole_file_is_written(both: Both) -> None:
    both.people(PEOPLE)
    both.set(map=EMAIL, key="email")
    here, _ = both.run()
    assert (here.counts.selected, here.counts.rejected, here.counts.duplicates) == (4, 1, 1)
    both.people([*PEOPLE[1:], {"id": 5, "email": "eve@example.com", "name": "Eve"}])
    here, _ = both.run()
    assert (here.counts.added, here.counts.updated, here.counts.sent) == (1, 1, 3)
    assert both.left_behind() == 0


def test_changes_alone_are_sent(both: Both) -> None:
    both.list()
    both.set(map=EMAIL, key="email", mode="mirror")
    both.segments(all={}, south={"where": "city in ('Athens', 'Rome')"})
    both.people(PEOPLE)
    both.run()
    both.run()  # nothing is new
    both.people([*PEOPLE[1:3], {"id": 5, "email": "eve@example.com", "name": "Eve"}])
    here, _ = both.run()
    assert (here.counts.added, here.counts.updated, here.counts.removed) == (1, 0, 1)
    both.people([{**PEOPLE[1], "name": "Bobby"}, *PEOPLE[2:]])
    here, _ = both.run()
    assert (here.counts.added, here.counts.updated, here.counts.removed) == (1, 1, 1)
    both.set(segments=["south"])
    here, _ = both.run()
    assert here.counts.removed == 1
    assert set(both.here.members) == {"ann@example.com"}
    if "spark_state" in both.there.source:
        assert set(both.kept()) == {"ann@example.com"}
        assert both.left_behind() == 0


def test_a_plan_is_applied(both: Both) -> None:
    both.list()
    both.set(map=EMAIL, key="email")
    both.people(PEOPLE)
    plans = both.here.plan(), both.there.plan()
    assert plans[0].plan.counts == plans[1].plan.counts
    assert _sorted(plans[0].sample) == _sorted(plans[1].sample)
    for shop, plan in zip((both.here, both.there), plans, strict=True):
        assert shop.run(plan_id=plan.plan_id).error is None
    both.people(PEOPLE[:2])
    assert both.there.members == both.here.members
    both.run()
    plan = both.there.plan()
    both.people(PEOPLE[:1])
    refused = both.there.run(plan_id=plan.plan_id)
    assert refused.error
    assert "the source's data changed" in refused.error.message
