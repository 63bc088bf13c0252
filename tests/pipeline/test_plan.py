"""A plan of whole frames says what the model says row by row, in its counts and in its files."""

from __future__ import annotations

import shutil
import stat
from itertools import count
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exportkit.engines.frames import KEY
from exportkit.pipeline.handover import Accepted, Before, Plan
from exportkit.pipeline.plan import WAS, make_plan, sample

from . import model
from .model import Known, Sorted, Values
from .tables import file_rows, table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    import narwhals as nw

    from exportkit.engines.duckdb import DuckEngine
    from exportkit.records import Mode

COLUMNS = ("cf:tier", "a.b", 'a"b', "select", "größe", " ")
SOME = COLUMNS[:2]
TEXTS = st.sampled_from([None, None, "x", "X", "é", "e\u0301", "x ", "0"])
VALUES = st.tuples(TEXTS, TEXTS)
COUNTED = (
    "rejected",
    "duplicates",
    "suppressed",
    "unchanged",
    "added",
    "updated",
    "refused",
    "unsettled",
)


@pytest.fixture(scope="module", params=["engine", "desk"])
def where(request: pytest.FixtureRequest) -> Any:
    """Where plans are made: of whole destinations on the source's engine, of others on the desk."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Ever new folders for plans, each removed when the next is asked for."""

    def new() -> Any:
        for number in count():
            folder = tmp_path_factory.getbasetemp() / f"plan-{number}"
            folder.mkdir()
            yield folder
            shutil.rmtree(folder)

    return new()


def people(
    where: DuckEngine, rows: Mapping[str, Values], columns: tuple[str, ...] = SOME
) -> nw.LazyFrame[Any]:
    kinds = dict.fromkeys((KEY, *columns), pa.string())
    named = [{KEY: key, **dict(zip(columns, values, strict=True))} for key, values in rows.items()]
    return table(where, kinds, named)


def keys(where: DuckEngine, names: Collection[str]) -> nw.LazyFrame[Any]:
    return table(where, {KEY: pa.string()}, [{KEY: name} for name in names])


def planned(
    where: DuckEngine,
    folder: Path,
    found: Sorted,
    known: Known,
    mode: Mode,
    columns: tuple[str, ...] = SOME,
    *,
    streams: bool = False,
) -> Plan:
    accepted = Accepted(
        rows=people(where, found.accepted, columns),
        staying=keys(where, found.staying),
        selected=len(found.accepted) + found.suppressed + found.duplicates,
        rejected=0,
        suppressed=found.suppressed,
        duplicates=found.duplicates,
    )
    before = Before(
        delivered=None if known.delivered is None else people(where, known.delivered, columns),
        refused=None if known.refused is None else people(where, known.refused, columns),
        elsewhere=keys(where, known.elsewhere) if known.elsewhere else None,
        unsettled=keys(where, known.unsettled) if known.unsettled else None,
    )
    return make_plan(accepted, before, columns, mode, where, folder, streams=streams)


def read(path: Path, prefix: str = "", columns: tuple[str, ...] = SOME) -> dict[str, Values]:
    rows = file_rows(path)
    found = {row[KEY]: tuple(row[prefix + name] for name in columns) for row in rows}
    assert len(found) == len(rows), "a key came twice"
    return found


@st.composite
def situations(draw: st.DrawFn) -> tuple[Sorted, Known]:
    """People now, and what is known from before: for each key any of the cases."""
    found = Sorted(suppressed=draw(st.integers(0, 2)), duplicates=1)
    delivered, refused, elsewhere, unsettled = {}, {}, set(), set()
    for key in ("a", "A", "b", "c", "é", " "):
        now = draw(VALUES)
        case = draw(st.sampled_from(["accepted", "accepted", "staying", "gone", "gone"]))
        if case == "accepted":
            found.accepted[key] = now
        if case != "gone":
            found.staying.add(key)
        if draw(st.sampled_from([False, False, False, True])):
            unsettled.add(key)
        for known in (delivered, refused):
            if draw(st.booleans()):
                known[key] = draw(st.just(now) | VALUES)
        if draw(st.booleans()):
            elsewhere.add(key)
    return found, Known(
        draw(st.sampled_from([None, *[delivered] * 4])),
        draw(st.sampled_from([None, refused, refused])),
        draw(st.sampled_from([frozenset(), frozenset(elsewhere)])),
        frozenset(unsettled),
    )


@given(situations(), st.sampled_from(["upsert", "insert", "mirror", "mirror", "full"]))
@settings(max_examples=50, deadline=None)
def test_it_plans_what_the_model_plans(
    where: DuckEngine, folders: Any, situation: tuple[Sorted, Known], mode: Mode
) -> None:
    found, known = situation
    plan = planned(where, next(folders), found, known, mode)
    expected = model.plan(found, known, mode)
    assert read(plan.accepted) == expected.accepted
    assert read(plan.changes("add")) == expected.add
    updates = plan.changes("update")
    new, old = read(updates), read(updates, WAS) if updates.exists() else {}
    assert {key: (old[key], new[key]) for key in new} == expected.update
    assert read(plan.changes("remove")) == expected.remove
    assert {row[KEY] for row in file_rows(plan.changes("left"))} == expected.left
    counts = plan.counts.as_dict()
    assert {name: n for name, n in counts.items() if n and name != "selected"} == dict(
        +expected.counts
    )
    assert sum(counts[name] for name in COUNTED) == counts["selected"]
    by_column = [sum(a[n] != b[n] for a, b in expected.update.values()) for n in (0, 1)]
    assert plan.changed_columns == {c: n for c, n in zip(SOME, by_column, strict=True) if n}


NOBODY: Known = Known()
ANN: dict[str, Values] = {"ann": ("gold", "x", "y", "z", "1", "2")}


def test_columns_may_have_any_name(where: DuckEngine, folders: Any) -> None:
    now: dict[str, Values] = {**ANN, "bob": ("", None, "y", "z", "1", "2")}
    known = Known(
        {"ann": ("gold", "x", "Y", "z", "1", None), "cid": ANN["ann"]}, {"bob": ANN["ann"]}
    )
    plan = planned(where, next(folders), Sorted(now, {*now}), known, "mirror", COLUMNS)
    assert plan.changed_columns == {'a"b': 1, " ": 1}
    assert read(plan.changes("add"), columns=COLUMNS) == {"bob": now["bob"]}
    assert read(plan.changes("update"), columns=COLUMNS) == ANN
    assert read(plan.changes("remove"), columns=COLUMNS) == {"cid": ANN["ann"]}


def test_a_first_plan_is_written_once(where: DuckEngine, folders: Any) -> None:
    plan = planned(where, next(folders), Sorted(ANN, {"ann"}), NOBODY, "upsert", COLUMNS)
    assert plan.changes("add").samefile(plan.accepted)
    assert not plan.changes("update").exists()


def test_a_plan_of_nobody_has_no_changes(where: DuckEngine, folders: Any) -> None:
    plan = planned(where, next(folders), Sorted(), NOBODY, "mirror")
    assert file_rows(plan.accepted) == []
    assert list((plan.folder / "changes").iterdir()) == []


def test_its_files_are_private(where: DuckEngine, folders: Any) -> None:
    known = Known({"ann": ("x",) * 6, "bob": ANN["ann"]})
    now = {**ANN, "cid": ANN["ann"]}
    plan = planned(where, next(folders), Sorted(now, {*now}), known, "mirror", COLUMNS)
    files = [plan.accepted, *(plan.folder / "changes").iterdir()]
    assert len(files) == 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((plan.folder / "changes").stat().st_mode) == 0o700


def test_who_streams_writes_the_accepted_rows_later(where: DuckEngine, folders: Any) -> None:
    folder = next(folders)
    plan = planned(where, folder, Sorted(ANN, {"ann"}), NOBODY, "full", COLUMNS, streams=True)
    assert not plan.accepted.exists()
    assert plan.rows is not None
    assert sum(len(batch) for batch in where.passing(plan.rows, plan.accepted)) == 1
    assert read(plan.accepted, columns=COLUMNS) == ANN


def test_a_column_that_is_new_in_the_map_is_a_change(where: DuckEngine, folders: Any) -> None:
    accepted = Accepted(
        people(where, {"ann": ("x", "y"), "bob": ("x", None)}), keys(where, []), 2, 0, 0, 0
    )
    before = Before(people(where, {"ann": ("x",), "bob": ("x",)}, SOME[:1]))
    plan = make_plan(accepted, before, SOME, "upsert", where, next(folders))
    assert read(plan.changes("update")) == {"ann": ("x", "y")}
    assert plan.changed_columns == {SOME[1]: 1}


def test_a_column_that_is_no_longer_mapped_is_none(where: DuckEngine, folders: Any) -> None:
    one = SOME[:1]
    accepted = Accepted(people(where, {"ann": ("x",)}, one), keys(where, []), 1, 0, 0, 0)
    before = Before(people(where, {"ann": ("x", "y"), "bob": ("x", "y")}))
    plan = make_plan(accepted, before, one, "mirror", where, next(folders))
    assert plan.counts.unchanged == 1
    assert plan.counts.removed == 2, "nobody stays who is not said to"


def test_only_who_is_gone_for_good_is_removed(where: DuckEngine, folders: Any) -> None:
    names = ("gone", "rejected", "elsewhere", "unsettled")
    known = Known(
        dict.fromkeys(names, ("x", "y")),
        elsewhere=frozenset({"elsewhere"}),
        unsettled=frozenset({"unsettled"}),
    )
    found = Sorted({"ann": ("x", "y")}, {"ann", "rejected"})
    for mode in ("upsert", "insert", "full"):
        plan = planned(where, next(folders), found, known, mode)
        assert (plan.counts.removed, read(plan.changes("remove"))) == (0, {})
    plan = planned(where, next(folders), found, known, "mirror")
    assert (plan.counts.removed, read(plan.changes("remove"))) == (1, {"gone": ("x", "y")})


def test_a_sample_shows_each_change(where: DuckEngine, folders: Any) -> None:
    found = Sorted({"new": ("x", None), "changed": ("x", "y"), "same": ("x", "y")}, {"same"})
    found.staying |= {*found.accepted}
    known = Known({"changed": ("x", "z"), "same": ("x", "y"), "gone": ("x", None)})
    plan = planned(where, next(folders), found, known, "mirror")
    tier, ab = SOME
    assert sample(plan) == [
        {"operation": "add", "key": "new", "changes": {tier: {"before": None, "after": "x"}}},
        {"operation": "update", "key": "changed", "changes": {ab: {"before": "z", "after": "y"}}},
        {"operation": "remove", "key": "gone", "changes": {tier: {"before": "x", "after": None}}},
    ]


def test_a_sample_is_small(where: DuckEngine, folders: Any) -> None:
    many: dict[str, Values] = {str(n): ("x", None) for n in range(30)}
    plan = planned(where, next(folders), Sorted(many, {*many}), NOBODY, "upsert")
    assert len(sample(plan, rows=4)) == 4
