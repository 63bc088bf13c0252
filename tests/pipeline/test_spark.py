"""The same jobs on DuckDB and on Spark: every row that comes out is compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from math import gcd, inf, nan
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sparkservers import start_sail

from exportkit.state.snapshots import read_snapshot

from .conftest import Onlooker, Shop

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
        (folder,) = [*(self.there.state.root / "snapshots").glob("vip/*")] or [None]
        if folder is None:
            return {}
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


@pytest.fixture(params=["sail", "apache"])
def both(shop: Shop, tmp_path: Path, request: Any) -> Both:
    """Sail keeps what was delivered, as Apache does below; this Sail has no place for checkpoints,
    which a cluster needs that keeps nothing."""
    server = request.getfixturevalue(request.param)
    return Both.at(tmp_path, shop.host, server, keeps=server.kind == "sail")


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


NASTY = st.text(
    st.sampled_from("aAbß ΣσςİıéÉe\u0301ﬁ\u00a0\u200b\t\n\r\x85\u2028'\"\\%_@.,;1٣😀"), max_size=6
)
PARTS = st.sampled_from(["ann", "Ann", "ANN", "bob", "josé", "İ", "a b", "x.y", "", " ann"])
ADDRESSES = st.builds(
    "{}@{}".format, PARTS, st.sampled_from(["x.org", "X.ORG", "x.test", "é.org", "x"])
)
EDGES = [
    datetime(1, 1, 1),
    datetime(2024, 3, 31, 1, 30),
    datetime(2024, 10, 27, 0, 0, 0, 500_000),
    datetime(9999, 12, 31, 23, 59, 59, 999_999),
]
PROFILES = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(1, 40) | st.none(),
            "email": ADDRESSES | NASTY | st.none(),
            "name": NASTY | st.none(),
            "city": st.sampled_from(["", " ", "Bonn", "bonn ", "ÉVORA", "e\u0301vora"])
            | NASTY
            | st.none(),
            "phone": st.sampled_from(["+30 210 1234567", "٣٣٣٣٣", "1-2-3-4", "12", "x"])
            | st.none(),
            "spent": st.decimals(-999, 999, places=2) | st.none(),
            "score": st.sampled_from([0.0, -0.0, 1.5, nan, inf, -inf]) | st.none(),
            "born": st.dates() | st.none(),
            "day": st.sampled_from(["31.12.2024", "1.2.99", "29.02.2023", "٣.1.2024", " 1.1.2024"]),
            "seen": st.sampled_from(EDGES) | st.none(),
            "active": st.booleans() | st.none(),
        }
    ),
    min_size=20,
    max_size=60,
)
ROWS = 600


def recombined(profiles: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Many more profiles of the same values: every column goes through them at its own pace."""
    known = len(profiles)
    paces = [pace for pace in range(1, 60) if gcd(pace, known) == 1]
    return [
        {
            name: profiles[(row * paces[n % len(paces)] + row // known) % known][name]
            for n, name in enumerate(profiles[0])
        }
        for row in range(ROWS)
    ]


WIDE = pa.schema(
    [
        *[("id", pa.int64()), ("email", pa.string()), ("name", pa.string()), ("city", pa.string())],
        *[("phone", pa.string()), ("spent", pa.decimal128(12, 2)), ("score", pa.float64())],
        *[("born", pa.date32()), ("day", pa.string()), ("seen", pa.timestamp("us"))],
        ("active", pa.bool_()),
    ]
)
MAP = {
    "email": {"column": "email", "transform": ["trim", "lower"], "kind": "email"},
    "name": {"column": "name", "transform": ["collapse", "title"], "max_length": 5},
    "note": {"column": "name", "transform": "upper", "default": "none"},
    "city": {"column": "city", "transform": "trim", "required": True},
    "cut": {"column": "city", "max_length": 2, "on_too_long": "truncate"},
    "phone": {"column": "phone", "kind": "phone"},
    "digits": {"column": "phone", "transform": "digits"},
    "spent": {"column": "spent", "kind": "number"},
    "born": {"column": "born", "kind": "date"},
    "day": {"column": "day", "transform": ["trim", {"date": "%d.%m.%Y"}]},
    "seen": "seen",
    "active": {"sql": "active and spent > 0"},
    "origin": {"value": "İstanbul"},
}
SEGMENTS = {
    "some": {
        "where": "spent >= -500 or name like '%a%' or city is null or regexp_matches(name, '.$')"
    },
    "old": {"where": "born < date '1990-01-01' and not lower(city) = 'bonn'"},
    "gone": {"where": "score < 0"},
}


@pytest.mark.parametrize(
    ("kind", "key", "order", "examples"),
    [
        ("sail", "email", "descending", 3),
        ("sail", "city", "ascending", 3),
        ("apache", "email", "descending", 1),
    ],
)
def test_any_profiles_come_to_the_same(
    shop: Shop,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    kind: str,
    key: str,
    order: str,
    examples: int,
) -> None:
    spark: SparkServer = request.getfixturevalue(kind)
    folders = count()

    @settings(max_examples=examples, phases=[Phase.generate], deadline=None)
    @given(PROFILES, PROFILES)
    def compared(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
        folder = tmp_path / str(next(folders))
        folder.mkdir()
        both = Both.at(folder, shop.host, spark, keeps=True)
        both.list()
        both.segments(**SEGMENTS)
        both.set(segments=["some", "old"], suppress=["gone"], map=MAP, key=key, mode="mirror")
        both.set(on_duplicate={"prefer": "score", "order": order})
        early, late = recombined(before), recombined(after)
        both.people(early, WIDE)
        both.run()
        both.people([*early[: ROWS // 3], *late], WIDE)
        both.run()
        assert set(both.kept()) == set(both.here.members)

    compared()


def test_a_server_that_dies_in_the_middle_loses_nothing(shop: Shop, tmp_path: Path) -> None:
    server = start_sail()
    both = Both.at(tmp_path, shop.host, server, keeps=True)
    both.list()
    both.set(map=EMAIL, key="email", mode="mirror")
    both.people(PEOPLE)
    both.run()
    both.people([*PEOPLE[1:], {"id": 5, "email": "eve@example.com", "name": "Eve"}])
    both.here.run()

    class Killer(Onlooker):
        def sending(self, rows: int) -> None:
            server.kill()  # the plan is made; what is delivered cannot be kept any more

    failed = both.there.run(watch=Killer())
    assert failed.error
    assert "no answer from the Spark endpoint" in failed.error.message
    assert "example.com" not in f"{failed.error.message} {failed.error.hint}"
    again = start_sail()
    try:
        both.there.source["spark"] = again.url
        calls = len(both.there.calls("push"))
        done = both.there.run()
        assert done.error is None
        assert len(both.there.calls("push")) == calls, "nothing is sent twice"
        assert both.there.members == both.here.members
        assert set(both.kept()) == set(both.here.members)
    finally:
        again.kill()
