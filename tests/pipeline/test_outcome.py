"""What the destination said of batches, as rows to remember and as counts that add up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exportkit.engines.frames import KEY, collect
from exportkit.engines.parquet import write_batches
from exportkit.pipeline.handover import Plan
from exportkit.pipeline.outcome import confirm, count, rows_of
from exportkit.records import Counts
from exportkit.state.batches import JournaledBatch
from exportkit.state.snapshots import REASON

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import narwhals as nw

    from exportkit.engines.desk import Desk

COLUMNS = ("a.b",)
SIZE = 2
ANSWERED = ("done", "folded")


@dataclass(frozen=True)
class Fate:
    """What became of one batch: its state, and which of its rows were refused."""

    state: str
    refused: tuple[int, ...]


def write(path: Path, keys: Sequence[str]) -> None:
    if keys:
        path.parent.mkdir(exist_ok=True)
        names = (KEY, *COLUMNS, "exportkit_was_a.b")
        columns = [pa.array([f"{prefix}{key}" for key in keys]) for prefix in ("", "v", "w")]
        batch = pa.record_batch(columns, names=list(names))
        write_batches([batch], batch.schema, path)


def refuse(folder: Path, batch_id: str, keys: Sequence[str]) -> None:
    if keys:
        (folder / "refused").mkdir(exist_ok=True)
        columns = [
            pa.array([*keys]),
            pa.nulls(len(keys), pa.string()),
            pa.array(["no"] * len(keys)),
        ]
        batch = pa.record_batch(columns, names=["key", "column", "reason"])
        write_batches([batch], batch.schema, folder / "refused" / f"{batch_id}.parquet")


def cut(
    folder: Path, operation: Any, keys: Sequence[str], fates: Sequence[Fate]
) -> list[tuple[JournaledBatch, list[str], list[str]]]:
    """The batches that were begun, each with its keys and those of them that were refused."""
    found = []
    for first, fate in zip(range(0, len(keys), SIZE), fates, strict=False):
        mine = list(keys[first : first + SIZE])
        no = [mine[n] for n in fate.refused if n < len(mine) and fate.state in ANSWERED]
        batch_id = f"r1-{operation}-{first:09}"
        refuse(folder, batch_id, no)
        state: Any = fate.state
        batch = JournaledBatch(batch_id, "r1", operation, first, len(mine), state, refused=len(no))
        found.append((batch, mine, no))
    return found


def keys_of(frame: nw.LazyFrame[Any] | None) -> list[str]:
    return [] if frame is None else sorted(row[KEY] for row in collect(frame).to_pylist())


FATES = st.lists(
    st.builds(
        Fate,
        st.sampled_from(["done", "done", "folded", "pending", "intended", "unknown", "not_taken"]),
        st.sampled_from([(), (), (0,), (1,), (0, 1)]),
    ),
    max_size=4,
)


@given(
    adds=st.integers(0, 5),
    updates=st.integers(0, 5),
    removes=st.integers(0, 5),
    same=st.integers(0, 3),
    full=st.booleans(),
    fates=st.tuples(FATES, FATES, FATES),
)
@settings(max_examples=60, deadline=None)
def test_counts_add_up_whatever_became_of_the_batches(
    desk: Desk,
    tmp_path_factory: pytest.TempPathFactory,
    adds: int,
    updates: int,
    removes: int,
    same: int,
    full: bool,
    fates: tuple[list[Fate], ...],
) -> None:
    folder = tmp_path_factory.mktemp("run")
    added = [f"add{n}" for n in range(adds)]
    updated = [f"update{n}" for n in range(updates)]
    removed = [] if full else [f"remove{n}" for n in range(removes)]
    unchanged = [f"same{n}" for n in range(same)]
    for name, keys in (("add", added), ("update", updated), ("remove", removed)):
        write(folder / "changes" / f"{name}.parquet", keys)
    everybody = [*unchanged, *updated, *added]
    write(folder / "accepted.parquet", everybody)
    planned = Counts(
        selected=len(everybody) + 4 + (not full),
        rejected=1,
        duplicates=2,
        unsettled=1,
        refused=0 if full else 1,
        unchanged=len(unchanged),
        added=len(added),
        updated=len(updated),
        removed=len(removed),
        sent=len(everybody) if full else len(added) + len(updated),
    )
    plan = Plan(folder, "full" if full else "mirror", COLUMNS, planned)
    sent = [("add", everybody)] if full else [("add", added), ("update", updated)]
    begun = [
        batch
        for (operation, keys), fate in zip([*sent, ("remove", removed)], fates, strict=False)
        for batch in cut(folder, operation, keys, fate)
    ]
    batches = [batch for batch, _, _ in begun]
    answered = [batch for batch in batches if batch.state in ANSWERED]
    confirmed = confirm(plan, answered, desk)

    goods = [b for b in begun if b[0].state in ANSWERED and b[0].operation != "remove"]
    taken = [key for _, mine, no in goods for key in mine if key not in no]
    refused = [key for _, _, no in goods for key in no]
    gone = [
        key
        for batch, mine, no in begun
        for key in mine
        if batch.operation == "remove" and batch.state in ANSWERED and key not in no
    ]
    assert keys_of(confirmed.delivered) == sorted(taken)
    assert keys_of(confirmed.refused) == sorted(refused)
    assert keys_of(confirmed.removed) == sorted(gone)

    counts = count(plan, confirmed, batches, desk)
    assert counts.added == len([key for key in taken if key.startswith("add")])
    assert counts.updated == len([key for key in taken if key.startswith("update")])
    assert counts.unchanged == (
        len([key for key in taken if key.startswith("same")]) if full else len(unchanged)
    )
    assert counts.refused == planned.refused + len(refused)
    assert counts.removed == len(gone)
    assert counts.sent == sum(b.rows for b in batches if b.operation != "remove")
    buckets = counts.as_dict()
    del buckets["selected"], buckets["sent"], buckets["removed"]
    assert sum(buckets.values()) == counts.selected


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    write(tmp_path / "changes" / "update.parquet", ["a", "b", "c", "d"])
    return Plan(tmp_path, "upsert", COLUMNS, Counts(selected=4, updated=4, sent=4))


def test_what_is_remembered_are_key_and_columns(desk: Desk, plan: Plan) -> None:
    refuse(plan.folder, "b2", ["d"])
    batches = [
        JournaledBatch("b1", "r1", "update", 0, 1, "done"),
        JournaledBatch("b2", "r1", "update", 2, 2, "done", refused=1),
    ]
    confirmed = confirm(plan, batches, desk)
    assert confirmed.delivered is not None
    assert confirmed.refused is not None
    assert collect(confirmed.delivered).to_pylist() == [
        {KEY: "a", "a.b": "va"},
        {KEY: "c", "a.b": "vc"},
    ]
    assert collect(confirmed.refused).to_pylist() == [{KEY: "d", "a.b": "vd", REASON: "no"}]
    assert confirmed.removed is None


def test_the_rows_of_some_batches(desk: Desk, plan: Plan) -> None:
    batches = [JournaledBatch("b", "r1", "update", first, 1, "unknown") for first in (1, 3)]
    assert keys_of(rows_of(plan, "update", batches, desk)) == ["b", "d"]


def test_without_an_answer_nothing_is_remembered(desk: Desk, plan: Plan) -> None:
    confirmed = confirm(plan, [], desk)
    assert (confirmed.delivered, confirmed.removed, confirmed.refused) == (None, None, None)
    assert count(plan, confirmed, [], desk) == Counts(selected=4, unsettled=4)
