"""A snapshot follows from the last one and what was confirmed; it is there whole, or not at all."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exportkit.engines.desk import open_desk
from exportkit.engines.frames import KEY, collect
from exportkit.engines.parquet import read_batches, write_batches
from exportkit.errors import JournalError
from exportkit.state import snapshots
from exportkit.state.snapshots import REASON, Confirmed, Snapshot, adopt, fold, read_snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import narwhals as nw

    from exportkit.engines.desk import Desk

COLUMNS = ("a.b", 'größe"')
People = dict[str, tuple[str | None, ...]]


def people(
    desk: Desk, rows: Mapping[str, tuple[str | None, ...]], names: tuple[str, ...] = COLUMNS
) -> nw.LazyFrame[Any] | None:
    """A frame of the key and these columns; None for nobody."""
    if not rows:
        return None
    schema = pa.schema([(name, pa.string()) for name in (KEY, *names)])
    known = [dict(zip((KEY, *names), (key, *values), strict=True)) for key, values in rows.items()]
    return desk.table(pa.Table.from_pylist(known, schema))


def new(folder: Path, run_id: str = "r1", columns: tuple[str, ...] = COLUMNS) -> Snapshot:
    return Snapshot(folder, run_id, columns, 0, folder / "none", target="list", key="email")


def confirmed(
    desk: Desk,
    delivered: Mapping[str, tuple[str | None, ...]],
    removed: Mapping[str, tuple[str | None, ...]],
    refused: Mapping[str, tuple[str | None, ...]],
) -> Confirmed:
    said = {key: (*values, "no") for key, values in refused.items()}
    return Confirmed(
        people(desk, delivered), people(desk, removed), people(desk, said, (*COLUMNS, REASON))
    )


def rows(path: Path | None) -> People:
    if path is None:
        return {}
    found = [row for batch in read_batches(path) for row in batch.to_pylist()]
    answer = {row.pop(KEY): tuple(row.values()) for row in found}
    assert len(answer) == len(found), "a key stands there twice"
    return answer


KEYS = st.sampled_from(["a", "A", "b", "c", "é", " "])
VALUES = st.tuples(*[st.sampled_from([None, "x", "y"])] * 2)
SOME = st.dictionaries(KEYS, VALUES, max_size=4)


@st.composite
def answers(draw: st.DrawFn) -> tuple[People, People, People]:
    """What one run achieved: each key was delivered, removed, refused, or is not in it."""
    found: tuple[People, ...] = ({}, {}, {})
    for key in ("a", "A", "b", "c", "é"):
        kind = draw(st.integers(0, 4))
        if kind < 3:
            found[kind][key] = draw(VALUES)
    return found  # type: ignore[return-value]


@given(st.lists(answers(), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_it_holds_what_was_last_said_of_each_key(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory, runs: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("snapshot")
    delivered: People = {}
    refused: People = {}
    for number, (taken, gone, no) in enumerate(runs):
        before = read_snapshot(folder)
        fold(before, confirmed(desk, taken, gone, no), desk, new(folder, f"r{number}"))
        delivered = {**delivered, **taken}
        refused = {k: v for k, v in refused.items() if k not in taken and k not in gone}
        refused |= {key: (*values, "no") for key, values in no.items()}
        delivered = {key: values for key, values in delivered.items() if key not in gone}
    after = read_snapshot(folder)
    assert after
    assert rows(after.delivered) == delivered
    assert rows(after.refused) == refused
    assert after.rows == len(delivered)
    assert (after.run_id, after.columns) == (f"r{len(runs) - 1}", COLUMNS)
    assert (after.target, after.key) == ("list", "email")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "snapshots" / "vip" / "0123"


@pytest.fixture
def known(desk: Desk, folder: Path) -> Snapshot:
    """A snapshot of one person delivered and one refused."""
    return fold(
        None, confirmed(desk, {"ann": ("x", None)}, {}, {"bob": ("y", "z")}), desk, new(folder)
    )


def test_none_is_none(folder: Path) -> None:
    assert read_snapshot(folder) is None


def test_what_is_read_is_what_was_written(known: Snapshot, folder: Path) -> None:
    assert read_snapshot(folder) == known
    assert rows(known.delivered) == {"ann": ("x", None)}
    assert rows(known.refused) == {"bob": ("y", "z", "no")}


def test_columns_follow_the_map(desk: Desk, known: Snapshot, folder: Path) -> None:
    columns = ("new", "a.b")
    carol = people(desk, {"carol": ("n", "x")}, columns)
    after = fold(known, Confirmed(carol), desk, new(folder, "r2", columns))
    assert rows(after.delivered) == {"ann": (None, "x"), "carol": ("n", "x")}
    assert rows(after.refused) == {"bob": (None, "y", "no")}


def test_files_that_no_longer_count_go(desk: Desk, known: Snapshot, folder: Path) -> None:
    (folder / ".delivered-r2.parquet.draft").touch()
    after = fold(known, Confirmed(people(desk, {"bob": ("y", "z")})), desk, new(folder, "r2"))
    assert after.refused is None
    assert {path.name for path in folder.iterdir()} == {"snapshot.json", after.delivered.name}


def test_the_old_one_goes_when_all_runners_see_the_new_one(
    desk: Desk, known: Snapshot, folder: Path
) -> None:
    shared: list[tuple[set[str], bool]] = []

    def share(*paths: Path) -> None:
        shared.append(({path.name for path in paths}, known.delivered.exists()))

    carol = Confirmed(people(desk, {"carol": ("n", "x")}))
    after = fold(known, carol, desk, new(folder, "r2"), share)
    files = {"snapshot.json", *(path.name for path in after.rows_files)}
    assert shared == [(files, True), ({folder.name}, False)]


def test_who_may_not_share_the_new_one_has_not_lost_the_old_one(
    desk: Desk, known: Snapshot, folder: Path
) -> None:
    def share(*paths: Path) -> None:
        raise JournalError("the lock was lost")

    with pytest.raises(JournalError):
        fold(known, Confirmed(people(desk, {"bob": ("y", "z")})), desk, new(folder, "r2"), share)
    assert all(path.exists() for path in known.rows_files)


def test_it_may_be_folded_twice_by_one_run(desk: Desk, known: Snapshot, folder: Path) -> None:
    again = fold(known, confirmed(desk, {"ann": ("x", None)}, {}, {}), desk, new(folder))
    assert rows(again.delivered) == rows(again.delivered) == {"ann": ("x", None)}
    assert read_snapshot(folder) == again


def test_the_old_one_counts_until_the_new_one_is_whole(
    desk: Desk, known: Snapshot, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever file cannot be written, what is read is the old snapshot."""
    change = confirmed(desk, {"carol": ("x", "x")}, {"ann": ("x", None)}, {"dan": ("x", "y")})
    real, failed = os.replace, 0
    for left in range(10):
        calls = iter(range(left, -1, -1))

        def fail_at_last(*names: Any, calls: Any = calls, **options: Any) -> None:
            if not next(calls):
                raise OSError(28, "No space left on device")
            real(*names, **options)

        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", fail_at_last)
            try:
                after = fold(known, change, desk, new(folder, "r2"))
                break
            except JournalError as error:
                failed += "no space left on device" in error.message
        assert read_snapshot(folder) == known
        assert rows(known.delivered) == {"ann": ("x", None)}
        assert rows(known.refused) == {"bob": ("y", "z", "no")}
    assert failed == 3, "two Parquet files and the file that names them"
    assert rows(after.delivered) == {"carol": ("x", "x")}


def test_accepted_rows_are_adopted_without_a_copy(desk: Desk, tmp_path: Path, folder: Path) -> None:
    accepted = tmp_path / "accepted.parquet"
    schema = pa.schema([(name, pa.string()) for name in (KEY, *COLUMNS)])
    ann = pa.RecordBatch.from_pylist([{KEY: "ann", COLUMNS[0]: "x", COLUMNS[1]: "y"}], schema)
    write_batches([ann], schema, accepted)
    for run_id in ("r1", "r1", "r2"):
        adopt(accepted, new(folder, run_id), desk)
        after = read_snapshot(folder)
        assert after
        assert after.delivered.samefile(accepted)
    accepted.unlink()
    assert rows(after.delivered) == {"ann": ("x", "y")}
    assert len(list(folder.iterdir())) == 2


def test_nobody_else_may_read_it(desk: Desk, folder: Path) -> None:
    before = os.umask(0)
    try:
        fold(None, confirmed(desk, {"a": ("x", "y")}, {}, {"b": ("x", "y")}), desk, new(folder))
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert len(list(folder.iterdir())) == 3


def test_a_newer_snapshot_is_refused(known: Snapshot, folder: Path) -> None:
    facts = json.loads((folder / "snapshot.json").read_text())
    (folder / "snapshot.json").write_text(json.dumps({**facts, "version": 2, "columns": 7}))
    with pytest.raises(JournalError, match="was written by a newer exportkit") as raised:
        read_snapshot(folder)
    assert "install the newer exportkit" in (raised.value.hint or "")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        '"x"',
        "{}",
        '{"version": 1}',
        '{"version": "1"}',
        '{"version": null}',
    ],
)
def test_a_damaged_snapshot(known: Snapshot, folder: Path, content: str) -> None:
    (folder / "snapshot.json").write_text(content)
    with pytest.raises(JournalError, match="damaged") as raised:
        read_snapshot(folder)
    assert str(folder) in raised.value.message
    assert "away" in (raised.value.hint or "")


@pytest.mark.parametrize(
    "facts", [{"columns": None}, {"rows": "many"}, {"delivered": 7}, {"refused": []}]
)
def test_a_snapshot_with_a_wrong_fact(known: Snapshot, folder: Path, facts: Any) -> None:
    right = json.loads((folder / "snapshot.json").read_text())
    (folder / "snapshot.json").write_text(json.dumps({**right, **facts}))
    with pytest.raises(JournalError, match="damaged"):
        read_snapshot(folder)


DAMAGES = ["missing", "empty", "text", "cut", "footer", "middle"]


@pytest.fixture(params=DAMAGES)
def damaged(request: pytest.FixtureRequest, desk: Desk, folder: Path) -> Path:
    """A file of a snapshot after something went wrong with the disk."""
    many: People = {f"{n:05}": (f"x{n}" * 10, "y") for n in range(2000)}
    path = fold(None, confirmed(desk, many, {}, {}), desk, new(folder)).delivered
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(
        {
            "text": b"key,a,b\n" * 100,
            "cut": content[:half],
            "footer": content[:-40] + b"\xff" * 32 + content[-8:],
            "middle": content[:200] + b"\xff" * (half * 2 - 600) + content[half * 2 - 400 :],
        }.get(request.param, b"")
    )
    if request.param == "missing":
        path.unlink()
    return path


def test_a_damaged_file_of_a_snapshot(tmp_path: Path, damaged: Path) -> None:
    with pytest.raises(JournalError) as raised, open_desk(tmp_path) as desk:
        collect(desk.load(damaged))
    assert str(damaged) in raised.value.message
    assert "away" in (raised.value.hint or "")


def test_a_damaged_file_is_never_folded(tmp_path: Path, folder: Path, damaged: Path) -> None:
    before = read_snapshot(folder)
    with pytest.raises(JournalError), open_desk(tmp_path) as desk:
        fold(before, confirmed(desk, {"a": ("x", "y")}, {}, {}), desk, new(folder, "r2"))
    assert read_snapshot(folder) == before


def test_other_jobs_with_the_same_target(desk: Desk, tmp_path: Path) -> None:
    def place(job: str, target: str) -> Path:
        folder = tmp_path / "snapshots" / job / target
        fold(None, confirmed(desk, {job: ("x", "y")}, {}, {}), desk, new(folder))
        return folder

    mine, _, theirs = place("a", "t1"), place("a", "t2"), place("b", "t1")
    place("c", "t2")
    assert [other.folder for other in snapshots.others(mine)] == [theirs]
    nobody = snapshots.others(tmp_path / "snapshots" / "d" / "t1")
    assert [other.folder for other in nobody] == [mine, theirs]


def test_an_elder_snapshot_of_the_same_job(desk: Desk, tmp_path: Path) -> None:
    job = tmp_path / "snapshots" / "a"
    for target, run_id in [("t1", "20260101-a"), ("t2", "20260301-a"), ("t3", "20260201-a")]:
        change = confirmed(desk, {"ann": ("x", "y")}, {}, {})
        fold(None, change, desk, new(job / target, run_id))
    assert snapshots.elder(tmp_path / "snapshots" / "b" / "t1") is None
    found = snapshots.elder(job / "t4")
    assert found
    assert found.folder == job / "t2"
    found = snapshots.elder(job / "t2")
    assert found
    assert found.folder == job / "t3"
