"""Whole runs on real files: what arrives, how it is counted, and how a run that fails ends."""

from __future__ import annotations

import os
import random
import stat
from dataclasses import asdict
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.errors import ConfigError
from exportkit.records import Counts
from exportkit.state.snapshots import read_snapshot

if TYPE_CHECKING:
    from .conftest import Shop

ANN, BOB, CID = (
    "1,ann@example.com,Ann,Athens",
    "2,bob@example.com,Bob,Bonn",
    "3,c@x.org,Cid,Cork",
)


def nonzero(counts: Counts) -> dict[str, int]:
    return {name: number for name, number in asdict(counts).items() if number}


def test_a_file_holds_everybody(shop: Shop) -> None:
    run = shop.run()
    assert (run.status, run.error) == ("succeeded", None)
    assert nonzero(run.counts) == {"selected": 3, "added": 3, "sent": 3}
    assert shop.out == [
        {"email": "ann@example.com", "name": "Ann"},
        {"email": "bob@example.com", "name": "Bob"},
        {"email": "c@x.org", "name": "Cid"},
    ]
    assert run.started_at <= run.finished_at


def test_a_list_gets_everybody(shop: Shop) -> None:
    shop.list()
    run = shop.run()
    assert (run.status, run.error) == ("succeeded", None)
    assert nonzero(run.counts) == {"selected": 3, "added": 3, "sent": 3}
    assert shop.members == {row["email"]: row for row in (
        {"email": "ann@example.com", "name": "Ann"},
        {"email": "bob@example.com", "name": "Bob"},
        {"email": "c@x.org", "name": "Cid"},
    )}  # fmt: skip


@pytest.mark.parametrize("to", ["file", "list"])
def test_the_second_run_finds_everything_unchanged(shop: Shop, to: str) -> None:
    if to == "list":
        shop.list()
    shop.counts()
    again = shop.counts()
    sent = 3 if to == "file" else 0
    assert again == Counts(selected=3, unchanged=3, sent=sent)
    assert ("planning" in shop.watch.stages) == (to == "file"), "nothing new is not even read"
    (shop.root / "people.csv").touch()
    assert shop.counts() == again, "a file that only looks new"
    assert to == "file" or len(shop.calls("push")) == 1


@pytest.mark.parametrize("mode", ["upsert", "insert", "mirror", "full"])
def test_who_changed_is_updated_who_is_gone_is_removed(shop: Shop, mode: str) -> None:
    shop.list()
    shop.set(mode=mode)
    shop.counts()
    shop.people(ANN.replace("Ann", "Anna"), BOB, "4,dan@example.com,Dan,Delft")
    counts = shop.counts()
    assert counts == Counts(
        selected=3,
        added=1,
        updated=mode != "insert",
        unchanged=1 + (mode == "insert"),
        removed=mode == "mirror",
        sent={"upsert": 2, "insert": 1, "mirror": 2, "full": 3}[mode],
    )
    names = {row["name"] for row in shop.members.values()}
    ann, cid = "Ann" if mode == "insert" else "Anna", set() if mode == "mirror" else {"Cid"}
    assert names == {ann, "Bob", "Dan"} | cid
    assert shop.counts().unchanged == 3, "and then there is nothing left to do"


def test_who_is_in_two_segments_comes_once(shop: Shop) -> None:
    shop.source["segments"]["bonn"] = {"where": "city in ('Bonn', 'Athens')"}
    shop.set(segments=["bonn", "athens"])
    assert shop.counts() == Counts(selected=2, added=2, sent=2)
    assert [row["name"] for row in shop.out] == ["Ann", "Bob"]


def test_nobody_is_taken_out_before_all_are_in(shop: Shop) -> None:
    """A person whose key changed must not fall between two lists."""
    shop.list(receipts=True, settle_after_asks=2)
    shop.set(mode="mirror")
    shop.counts()
    shop.people(ANN.replace("ann@", "anna@"), BOB.replace("Bob", "Rob"), CID)
    assert shop.counts() == Counts(selected=3, added=1, updated=1, unchanged=1, removed=1, sent=2)
    (out,) = shop.calls("remove")
    last = max(call.number for call in shop.calls("push"))
    asked = [call for call in shop.calls("settle", after=last) if call.number < out.number]
    assert len(asked) == 2, "the first answer is that it takes longer"
    assert shop.members.keys() == {"anna@example.com", "bob@example.com", "c@x.org"}


def test_a_file_counts_what_changed_since_the_last(shop: Shop) -> None:
    shop.counts()
    shop.people(ANN.replace("Ann", "Anna"), BOB, "4,dan@example.com,Dan,Delft")
    assert shop.counts() == Counts(selected=3, added=1, updated=1, unchanged=1, sent=3)
    assert [row["name"] for row in shop.out] == ["Anna", "Bob", "Dan"]
    shop.people(ANN, BOB, CID)
    assert shop.counts() == Counts(selected=3, added=1, updated=1, unchanged=1, sent=3)


def test_full_sends_everybody_and_counts_the_difference(shop: Shop) -> None:
    shop.list()
    shop.counts()
    shop.people(ANN, BOB.replace("Bob", "Rob"), CID)
    assert shop.counts(full=True) == Counts(selected=3, updated=1, unchanged=2, sent=3)
    assert [call.rows for call in shop.calls("push")] == [3, 3]
    assert shop.counts() == Counts(selected=3, unchanged=3)


def test_without_a_key_people_are_told_apart_by_the_source_s(shop: Shop) -> None:
    shop.list()
    del shop.job["key"]
    shop.set(map={"name": "name"})
    shop.counts()
    assert shop.members.keys() == {"1", "2", "3"}
    shop.people("1,x,Anna,", "2,x,Bob,", "4,x,Bob,", "2,x,Bob,", ",x,Eve,")
    counts = shop.counts()
    assert counts == Counts(
        selected=5, rejected=1, duplicates=1, added=1, updated=1, unchanged=1, sent=2
    )
    assert shop.members["1"] == {"name": "Anna"}
    assert shop.rejected()[0]["reason"] == "no key"
    assert shop.rejected()[0]["column"] is None


def test_rows_that_cannot_be_delivered_are_listed(shop: Shop) -> None:
    shop.set(
        map={
            "email": {"column": "email", "kind": "email", "transform": "trim"},
            "name": {"column": "name", "max_length": 3},
        }
    )
    shop.people(ANN, "2,,Bob,", "3,c@x,Cid,", "4, d@x.org ,Dana,", "5,é@-x.org,Eve,")
    run = shop.run()
    assert run.status == "partial"
    assert run.counts == Counts(selected=5, rejected=4, added=1, sent=1)
    assert {(row["column"], row["reason"], row["value"]) for row in shop.rejected()} == {
        ("email", "missing", None),
        ("email", "not an e-mail address", "c@x"),
        ("name", "longer than 3 characters", "Dana"),
        ("email", "not an e-mail address", "é@-x.org"),
    }
    assert {row["key"] for row in shop.rejected()} == {"2", "c@x", "d@x.org", "é@-x.org"}
    assert [row["email"] for row in shop.out] == ["ann@example.com"]


def test_of_several_rows_the_preferred_one_is_sent(shop: Shop) -> None:
    shop.set(on_duplicate={"prefer": "name", "order": "ascending"})
    shop.people(BOB, "4,bob@example.com,Aaron,", "5,bob@example.com,,", ANN)
    assert shop.counts() == Counts(selected=4, duplicates=2, added=2, sent=2)
    assert {row["name"] for row in shop.out} == {"Aaron", "Ann"}


def test_who_is_suppressed_is_not_sent_and_taken_out(shop: Shop) -> None:
    shop.list()
    shop.set(mode="mirror")
    shop.counts()
    shop.set(suppress=["athens"])
    assert shop.counts() == Counts(selected=3, suppressed=1, unchanged=2, removed=1)
    assert shop.members.keys() == {"bob@example.com", "c@x.org"}


def test_who_is_rejected_stays_where_they_are(shop: Shop) -> None:
    shop.list()
    shop.set(mode="mirror", map={"email": "email", "name": {"column": "name", "max_length": 3}})
    shop.counts()
    shop.people(ANN.replace("Ann", "Annabel"), BOB)
    assert shop.counts() == Counts(selected=2, rejected=1, unchanged=1, removed=1)
    assert shop.members.keys() == {"ann@example.com", "bob@example.com"}


NAMES = ["cf:tier", "a.b", 'a"b', "select", "größe", "x y", " z", "x,y", "名前", "$1", "'"]


@pytest.mark.parametrize("to", ["file", "list"])
def test_fields_may_have_any_name(shop: Shop, to: str) -> None:
    if to == "list":
        shop.list()
    shop.set(map={"email": "email", **dict.fromkeys(NAMES, "name")})
    shop.counts()
    shop.people(ANN.replace("Ann", "Anna"), BOB, CID)
    counts = shop.counts()
    assert (counts.updated, counts.unchanged) == (1, 2)
    found: Any = shop.out[0] if to == "file" else shop.members["ann@example.com"]
    assert found == {"email": "ann@example.com", **dict.fromkeys(NAMES, "Anna")}


def test_columns_may_have_any_name(shop: Shop) -> None:
    quoted = ",".join('"' + name.replace('"', '""') + '"' for name in NAMES)
    shop.people(",".join(["1", *map(str, range(len(NAMES)))]), header=f"id,{quoted}")
    del shop.job["key"]
    shop.source["segments"] = {"all": {"where": '"a.b" = 1 and "a""b" = 2 and "select" = 3'}}
    shop.set(map={name: name for name in NAMES})
    assert shop.counts() == Counts(selected=1, added=1, sent=1)
    assert shop.out == [{name: str(n) for n, name in enumerate(NAMES)}]


@pytest.mark.parametrize("mode", ["upsert", "insert", "mirror", "full"])
def test_every_row_is_in_one_bucket(shop: Shop, mode: str) -> None:
    """Whatever comes: `Shop.run` adds the buckets up after every run."""
    dice = random.Random(mode)
    refuse = ["p3@x.org", "p5@x.org"]
    shop.list(receipts=mode == "mirror", refuse=refuse)
    shop.set(
        mode=mode,
        suppress=["athens"],
        map={"email": {"column": "email", "kind": "email"}, "name": "name"},
    )
    kinds = set()
    for _ in range(4):
        shop.people(
            *[
                f"{n},{dice.choice(['', 'p@', *[f'p{dice.randrange(25)}@x.org'] * 4])},"
                f"{dice.choice(['Ann', 'Bob', ''])},{dice.choice(['Athens', 'Bonn', 'Cork'])}"
                for n in range(dice.randrange(20, 40))
            ]
        )
        run = shop.run(full=dice.random() < 0.3, retry_refused=dice.random() < 0.3)
        assert run.status == "partial"
        kinds |= nonzero(run.counts).keys()
        listed = [row["by"] for row in shop.rejected()]
        assert listed.count("exportkit") == run.counts.rejected
    everything = {*asdict(Counts())} - {"unsettled"}
    everything -= set() if mode == "mirror" else {"removed"}
    assert kinds >= everything - ({"updated"} if mode == "insert" else set())


@pytest.mark.parametrize("to", ["file", "list"])
@pytest.mark.parametrize("how", ["a header alone", "an empty segment"])
def test_an_empty_source_is_stopped(shop: Shop, to: str, how: str) -> None:
    if to == "list":
        shop.list()
    shop.set(mode="mirror" if to == "list" else "full")
    shop.counts()
    if how == "a header alone":
        shop.people()
    else:
        shop.source["segments"]["all"] = {"where": "city = 'Nowhere'"}
    run = shop.run()
    assert run.error
    assert (run.status, run.error.kind) == ("blocked", "guard")
    assert "--allow-empty" in (run.error.hint or "")
    assert run.counts == Counts()
    assert len(shop.out if to == "file" else shop.members) == 3, "nothing is touched"
    assert shop.counts(allow=["empty"]) == Counts(removed=3 if to == "list" else 0)
    assert len(shop.out if to == "file" else shop.members) == 0


@pytest.mark.parametrize(
    ("limit", "stops"), [("33%", True), ("33.4%", False), (0, True), (1, False)]
)
def test_too_many_rejections_stop_a_run(shop: Shop, limit: Any, stops: bool) -> None:
    shop.set(limits={"rejections": limit})
    shop.people(ANN, BOB, "3,,Cid,")
    run = shop.run()
    assert (run.status == "blocked") == stops
    if not stops:
        return
    assert run.error
    assert "1 of 3 (33.3%) rejected" in run.error.message
    assert run.counts == Counts(selected=3, rejected=1, unsettled=2)
    assert not (shop.root / "out" / "vip.csv").exists()
    assert [row["reason"] for row in shop.rejected()] == ["missing"], "one can see what it was"
    assert shop.counts(allow=["rejections"]).sent == 2


def test_too_many_removals_stop_a_run(shop: Shop) -> None:
    shop.list()
    shop.set(mode="mirror", limits={"removals": "30%"})
    shop.counts()
    shop.people(ANN, BOB, "4,dan@example.com,Dan,Delft")
    run = shop.run()
    assert run.error
    assert "1 of 3 (33.3%) would be removed" in run.error.message
    assert run.counts == Counts(selected=3, unchanged=2, unsettled=1)
    assert len(shop.members) == 3
    assert shop.counts(allow=["removals"]) == Counts(
        selected=3, unchanged=2, added=1, removed=1, sent=1
    )


def test_who_was_refused_is_remembered_until_they_change(shop: Shop) -> None:
    shop.list(refuse=["bob@example.com"])
    run = shop.run()
    assert run.status == "partial"
    assert run.counts == Counts(selected=3, added=2, refused=1, sent=3)
    assert [(row["by"], row["key"]) for row in shop.rejected()] == [
        ("destination", "bob@example.com")
    ]
    assert shop.counts() == Counts(selected=3, unchanged=2, refused=1)
    shop.people(ANN, BOB, CID.replace("Cid", "Sid"))
    assert shop.counts() == Counts(selected=3, unchanged=1, updated=1, refused=1, sent=1)
    assert shop.counts(retry_refused=True) == Counts(selected=3, unchanged=2, refused=1, sent=1)
    shop.people(ANN, BOB.replace("Bob", "Rob"), CID.replace("Cid", "Sid"))
    assert shop.counts() == Counts(selected=3, unchanged=2, refused=1, sent=1)
    shop.list()
    assert shop.counts(full=True) == Counts(selected=3, unchanged=2, added=1, sent=3)
    assert shop.members["bob@example.com"]["name"] == "Rob"


def test_a_file_refuses_again_each_time(shop: Shop) -> None:
    shop.set(destination={"path": "out/vip.csv", "encoding": "latin-1"})
    shop.people(ANN, "2,bob@example.com,太郎,", CID)
    for run in (shop.run(), shop.run()):
        assert run.status == "partial"
        assert (run.counts.refused, run.counts.sent) == (1, 3)
    assert [row["key"] for row in shop.rejected()] == ["bob@example.com"]
    shop.people(ANN, BOB, CID)
    assert shop.counts() == Counts(selected=3, unchanged=2, added=1, sent=3)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "destination": ({"do": "raise_before", "error": "destination"}, "failed"),
    "access_denied": ({"do": "raise_before", "error": "access_denied"}, "blocked"),
    "quota_spent": ({"do": "raise_before", "error": "quota_spent"}, "deferred"),
    "plugin": ({"do": "raise_after", "error": "KeyError"}, "failed"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_run_that_fails_half_way_is_gone_on_with(shop: Shop, kind: str) -> None:
    rule, status = FAULTS[kind]
    shop.people(*[f"{n},p{n}@example.com,P,Paris" for n in range(8)])
    shop.list(faults=[{"hook": "push", "call": 2, **rule}])
    run = shop.run()
    assert run.error
    assert (run.status, run.error.kind) == (status, kind)
    assert "@" not in f"{run.error.message} {run.error.hint}"
    assert (run.counts.added, run.counts.unsettled) == (3, 5)
    later = shop.counts()
    assert later.unchanged + later.added == 8
    assert len(shop.members) == 8


def test_a_run_that_is_stopped_is_gone_on_with(shop: Shop) -> None:
    shop.people(*[f"{n},p{n}@example.com,P,Paris" for n in range(8)])
    shop.list()
    run = shop.run(stopped=lambda: len(shop.calls("push")) == 2)
    assert run.error
    assert (run.status, run.error.kind) == ("interrupted", "interrupted")
    assert (run.counts.added, run.counts.unsettled, run.counts.sent) == (6, 2, 6)
    assert shop.counts() == Counts(selected=8, unchanged=6, added=2, sent=2)


@pytest.mark.parametrize("when", ["at once", "at the last moment"])
def test_a_file_that_fails_leaves_the_old_one(shop: Shop, when: str) -> None:
    heard = count(1)
    shop.counts(stopped=lambda: not next(heard))
    before = (shop.root / "out" / "vip.csv").read_bytes()
    shop.people(ANN, BOB)
    asked, last = count(1), next(heard) - 1
    run = shop.run(stopped=lambda: next(asked) >= (1 if when == "at once" else last))
    known = Counts() if when == "at once" else Counts(selected=2, unchanged=2)
    assert (run.status, run.counts) == ("interrupted", known)
    assert (shop.root / "out" / "vip.csv").read_bytes() == before
    assert [path.name for path in (shop.root / "out").iterdir()] == ["vip.csv"]
    assert shop.counts() == Counts(selected=2, unchanged=2, sent=2)


def test_a_destination_that_takes_its_time(shop: Shop) -> None:
    shop.people(*[f"{n},p{n}@example.com,P,Paris" for n in range(8)])
    shop.set(limits={"settle": "1s"})
    shop.list(receipts=True, settle_after_asks=9)
    run = shop.run()
    assert run.error
    assert (run.status, run.error.kind) == ("deferred", "busy")
    assert run.counts == Counts(selected=8, sent=8, unsettled=8)
    shop.list(receipts=True)
    assert shop.counts() == Counts(selected=8, unchanged=8)
    with shop.house() as house:
        earlier = house.journal.run(run.run_id)
    assert earlier
    assert earlier.counts == Counts(selected=8, added=8, sent=8), "history tells how it ended"


def test_history_counts_what_was_confirmed_early_and_late(shop: Shop) -> None:
    shop.people(*[f"{n},p{n}@example.com,P,Paris" for n in range(8)])
    shop.list(
        find_delivery="unknown",
        faults=[{"hook": "push", "call": 2, "do": "raise_after", "error": "outcome_unknown"}],
    )
    run = shop.run()
    assert run.counts == Counts(selected=8, added=3, sent=6, unsettled=5)
    shop.list()
    assert shop.counts() == Counts(selected=8, unchanged=6, added=2, sent=2)
    with shop.house() as house:
        earlier = house.journal.run(run.run_id)
    assert earlier
    assert earlier.counts == Counts(selected=8, added=6, sent=6, unsettled=2)


def test_a_job_runs_once_at_a_time(shop: Shop) -> None:
    with shop.house() as house, house.lock("vip"):
        run = shop.run()
    assert run.error
    assert (run.status, run.error.kind) == ("deferred", "busy")
    assert f"pid {os.getpid()}" in run.error.message
    assert run.counts == Counts()
    assert shop.counts().sent == 3


def test_nothing_leaves_without_consent(shop: Shop) -> None:
    connection: dict[str, Any] = {"name": "list", "type": "abroad", "options": {"folder": "ledger"}}
    shop.write("connections/list.yaml", connection)
    shop.set(connection="list", destination={})
    run = shop.run()
    assert run.error
    assert (run.status, run.error.kind) == ("blocked", "permission")
    assert not (shop.root / "ledger").exists(), "not even a connection was opened"
    connection["consent"] = {"agreed_by": "jane@example.com", "agreed_on": "2026-01-01"}
    shop.write("connections/list.yaml", connection)
    assert shop.counts().added == 3


@pytest.mark.parametrize("damage", ["missing", "ragged", "no such column", "predicate"])
def test_a_source_that_cannot_be_read_fails_the_run(shop: Shop, damage: str) -> None:
    if damage == "missing":
        (shop.root / "people.csv").unlink()
    elif damage == "ragged":
        shop.people(ANN, BOB, "3,c@x.org")
    elif damage == "no such column":
        shop.set(map={"email": "e_mail"})
    else:
        shop.source["segments"]["all"] = {"where": "lifetime_value > 1000"}
    run = shop.run()
    assert run.error
    assert run.status == "failed"
    assert run.error.kind in ("source", "config", "job")
    assert run.error.hint or damage != "ragged"
    assert "c@x.org" not in run.error.message
    assert not (shop.root / "out").exists()


def test_a_value_that_a_predicate_cannot_read_quotes_nobody(shop: Shop) -> None:
    shop.source["segments"]["all"] = {"where": "cast(email as integer) > 0"}
    run = shop.run()
    assert run.error
    assert run.status == "failed"
    assert "@" not in f"{run.error.message}{run.error.hint}"


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version": 99}'])
def test_a_damaged_snapshot_sends_nothing(shop: Shop, damage: bytes) -> None:
    shop.list()
    shop.counts()
    (path,) = shop.state.root.glob("snapshots/vip/*/snapshot.json")
    whole = path.read_bytes()
    path.write_bytes(damage)
    run = shop.run()
    assert run.error
    assert (run.status, run.error.kind) == ("failed", "journal")
    assert run.error.hint
    path.write_bytes(whole)
    assert shop.counts() == Counts(selected=3, unchanged=3)


@pytest.mark.parametrize("to", ["file", "list"])
@pytest.mark.parametrize("damage", ["cut", "missing", "scrambled"])
def test_a_damaged_file_of_a_snapshot_sends_nothing(shop: Shop, to: str, damage: str) -> None:
    if to == "list":
        shop.list()
    shop.people(*[f"{n},p{n}@example.com,{'x' * 999},Paris" for n in range(90)])
    shop.counts()
    (path,) = shop.state.root.glob("snapshots/vip/*/delivered-*")
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "scrambled":
        path.write_bytes(content[:100] + b"\xff" * (len(content) - 900) + content[-800:])
    shop.people(ANN)
    run = shop.run()
    assert run.error
    assert (run.status, run.error.kind) == ("failed", "journal"), run.error
    assert "move" in (run.error.hint or "")


def test_the_state_is_private_and_the_journal_knows_nobody(shop: Shop) -> None:
    before = os.umask(0)
    try:
        shop.list(refuse=["bob@example.com"])
        shop.set(map={"email": "email", "name": {"column": "name", "max_length": 3}})
        shop.people(ANN, BOB, "3,zoe@example.com,Zoelle,")
        shop.run()
        shop.plan()
    finally:
        os.umask(before)
    for path in [shop.state.root, *shop.state.root.rglob("*")]:
        inside = [shop.state.root, *path.relative_to(shop.state.root).parents]
        assert stat.S_IMODE(shop.state.root.stat().st_mode) == 0o700
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
            assert inside
        if path.is_file() and path.suffix != ".parquet":
            content = path.read_bytes()
            for word in (b"@example", b"Ann", b"Bob", b"Zoe"):
                assert word not in content, path


def test_a_snapshot_holds_what_was_delivered(shop: Shop) -> None:
    shop.list(refuse=["bob@example.com"])
    shop.counts()
    (place,) = shop.state.root.glob("snapshots/vip/*")
    snapshot = read_snapshot(place)
    assert snapshot
    assert (snapshot.rows, snapshot.columns) == (2, ("email", "name"))
    assert snapshot.refused


def test_a_plan_sends_nothing_and_is_applied_once(shop: Shop) -> None:
    shop.list()
    planned = shop.plan()
    assert planned.plan.counts == Counts(selected=3, added=3, sent=3)
    assert not shop.calls("push")
    assert shop.counts(plan_id=planned.plan_id) == planned.plan.counts
    run = shop.run(plan_id=shop.plan().plan_id)
    assert run.counts == Counts(selected=3, unchanged=3)


CHANGED = {"source": "the source's data", "job": "the job", "applied": "applied already"}


@pytest.mark.parametrize("change", CHANGED)
def test_a_plan_is_refused_when_the_world_has_changed(shop: Shop, change: str) -> None:
    shop.list()
    planned = shop.plan()
    if change == "source":
        shop.people(ANN)
    elif change == "job":
        shop.set(mode="mirror")
    else:
        shop.counts(plan_id=planned.plan_id)
    before = len(shop.calls("push"))
    run = shop.run(plan_id=planned.plan_id)
    assert run.error
    assert (run.status, run.error.kind) == ("blocked", "guard")
    assert CHANGED[change] in run.error.message
    assert len(shop.calls("push")) == before


def test_a_plan_is_applied_as_it_was_looked_at_even_if_a_guard_stops_it_once(shop: Shop) -> None:
    shop.list()
    shop.set(limits={"rejections": 0})
    shop.people(ANN, BOB, "3,,Cid,")
    planned = shop.plan()
    assert shop.run(plan_id=planned.plan_id).status == "blocked"
    assert not shop.calls("push")
    counts = shop.counts(plan_id=planned.plan_id, allow=["rejections"])
    assert counts == planned.plan.counts == Counts(selected=3, rejected=1, added=2, sent=2)
    assert shop.members.keys() == {"ann@example.com", "bob@example.com"}


@pytest.mark.parametrize(
    "keys",
    [
        {"segments": ["nobody"]},
        {"suppress": ["nobody"]},
        {"destination": {"path": "/tmp/elsewhere.csv"}},
        {"destination": {"path": ".exportkit/vip.csv"}},
        {"destination": {}},
        {"mode": "mirror"},
        {"connection": "nowhere"},
        {"source": "nothing"},
        {"map": {"email": "email", "exportkit_key": "name"}},
    ],
)
def test_files_that_do_not_belong_together(shop: Shop, keys: dict[str, Any]) -> None:
    shop.set(**keys)
    with pytest.raises(ConfigError) as raised:
        shop.run()
    assert raised.value.complaints[0].location
    assert raised.value.complaints[0].location.file.endswith("vip.yaml")
    assert not (shop.root / ".exportkit").exists()


def test_who_left_and_stays_is_remembered_beside_those_who_came_again(shop: Shop) -> None:
    shop.list()
    shop.people(ANN, BOB, CID)
    shop.counts()
    shop.people("1,ann@example.com,Anna,Athens", CID)
    assert shop.counts() == Counts(selected=2, unchanged=1, updated=1, sent=1)
    (place,) = (shop.state.snapshots / "vip").iterdir()
    known = read_snapshot(place)
    assert known
    assert known.kept, "no row is written again that is in the plan already"
    assert known.rows == 3
    shop.people("1,ann@example.com,Anna,Athens", BOB, CID)
    assert shop.counts() == Counts(selected=3, unchanged=3)
    shop.people("1,ann@example.com,Ann,Athens", "2,bob@example.com,Rob,Bonn", CID)
    assert shop.counts() == Counts(selected=3, unchanged=1, updated=2, sent=2)
    assert shop.members["bob@example.com"]["name"] == "Rob"


def test_an_answer_that_comes_late_does_not_bring_back_what_has_changed_since(shop: Shop) -> None:
    shop.list()
    shop.people(ANN, BOB)
    shop.counts()
    lost = {"hook": "push", "call": 2, "do": "raise_after", "error": "outcome_unknown"}
    shop.list(find_delivery="unknown", faults=[{**lost, "times": 1}])
    shop.people(ANN, "2,bob@example.com,Rob,Bonn")
    assert shop.run().counts == Counts(selected=2, unchanged=1, sent=1, unsettled=1)
    shop.people("1,ann@example.com,Anna,Athens", "2,bob@example.com,Rob,Bonn")
    assert shop.run().counts == Counts(selected=2, updated=1, sent=1, unsettled=1)
    shop.list()
    shop.people("1,ann@example.com,Anna,Athens", "2,bob@example.com,Rob,Bonn", CID)
    assert shop.counts() == Counts(selected=3, unchanged=2, added=1, sent=1)
