"""Each way to misbehave, as the host sees it and as the ledger tells it afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from exportkit import (
    AccessDeniedError,
    Batch,
    Delivery,
    DestinationError,
    FieldMapping,
    Finding,
    JobError,
    MappedField,
    OutcomeUnknownError,
    PluginError,
    QuotaSpentError,
    Rejection,
    Settlement,
    ThrottledError,
    UnavailableError,
)
from exportkit.testing.faults import DEEDS, HOOKS, SCHEMA, Rule, read_rules

from .conftest import make_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Stand

ROOT = Path(__file__).parents[2]
ANN, BOB = "ann@example.com", "bob@example.com"
BATCH = make_batch("ann", "bob")


def the_batch(_receipt: str) -> Batch:
    """What the receipts of these tests stand for."""
    return BATCH


def call_of(stand: Stand, session: Any, hook: str) -> Callable[[], Any]:
    """One call of each hook that a rule can name, apart from connect."""
    mill, target = stand.destination, stand.target
    mapping = FieldMapping((MappedField("email"),))
    return {
        "describe_target": lambda: mill.describe_target(session, {"list": "everybody"}),
        "map_fields": lambda: mill.map_fields(mapping, target),
        "measure": lambda: mill.measure(target, BATCH.data),
        "push": lambda: mill.push(session, BATCH, target),
        "settle": lambda: mill.settle(session, ["receipt-2"], target, the_batch),
        "find_delivery": lambda: mill.find_delivery(session, BATCH, target),
        "remove": lambda: mill.remove(session, make_batch("ann", operation="remove"), target),
        "finish": lambda: mill.finish(session, target),
    }[hook]


IN_SESSION = [hook for hook in HOOKS if hook != "connect"]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_raises_on_request(stand: Stand, hook: str) -> None:
    fault = {"hook": hook, "do": "raise_before", "error": "unavailable"}

    def failing() -> None:
        with stand.connect(fault) as session:
            call_of(stand, session, hook)()

    with pytest.raises(UnavailableError, match=f"{hook} failed because a rule says so"):
        failing()
    assert stand.calls(hook) == 1
    assert stand.taken() == []
    with stand.connect(fault) as session:
        if hook != "connect":
            call_of(stand, session, hook)()
    assert stand.calls(hook) == 2, "a rule holds for one call unless it says more"


KINDS = {
    "throttled": ThrottledError,
    "unavailable": UnavailableError,
    "quota_spent": QuotaSpentError,
    "access_denied": AccessDeniedError,
    "outcome_unknown": OutcomeUnknownError,
    "destination": DestinationError,
    "job": JobError,
    "plugin": PluginError,
}


@pytest.mark.parametrize("kind", KINDS)
def test_errors_of_the_contract_arrive_as_they_are(stand: Stand, kind: str) -> None:
    fault = {"hook": "push", "do": "raise_before", "error": kind, "retry_after": 7}
    with stand.connect(fault) as session, pytest.raises(KINDS[kind]) as caught:
        stand.destination.push(session, BATCH, stand.target)
    assert type(caught.value) is KINDS[kind]
    if isinstance(caught.value, ThrottledError):
        assert caught.value.retry_after == 7
    if isinstance(caught.value, QuotaSpentError):
        assert caught.value.until
        assert 5 < caught.value.until.timestamp() - time.time() < 9


BUILT_IN = [e for e in SCHEMA["items"]["properties"]["error"]["enum"] if e not in KINDS]


@pytest.mark.parametrize("name", sorted({*BUILT_IN} - {"KeyboardInterrupt"}))
def test_other_errors_quote_a_person_and_the_host_does_not(stand: Stand, name: str) -> None:
    fault = {"hook": "push", "do": "raise_before", "error": name}
    with stand.connect(fault) as session, pytest.raises(PluginError) as caught:
        stand.destination.push(session, BATCH, stand.target)
    assert f"failed in push: {name}" in str(caught.value)
    assert "ann" not in str(caught.value)


def test_they_do_quote_a_person(stand: Stand) -> None:
    fault = {"hook": "push", "do": "raise_before", "error": "KeyboardInterrupt"}
    with pytest.raises(KeyboardInterrupt, match=ANN), stand.connect(fault) as session:
        stand.destination.push(session, BATCH, stand.target)


def test_raise_after_takes_the_batch_and_loses_the_answer(stand: Stand) -> None:
    fault = {"hook": "push", "do": "raise_after", "error": "outcome_unknown"}
    with stand.connect(fault) as session:
        with pytest.raises(OutcomeUnknownError):
            stand.destination.push(session, BATCH, stand.target)
        found = stand.destination.find_delivery(session, BATCH, stand.target)
        assert found == Finding("taken", Delivery(None, ()))
    assert stand.taken() == [ANN, BOB]


def test_half_then_raise_takes_half(stand: Stand) -> None:
    fault = {"hook": "push", "do": "half_then_raise", "error": "outcome_unknown"}
    batch = make_batch("ann", "bob", "cyd", "dan")
    with stand.connect(fault) as session:
        with pytest.raises(OutcomeUnknownError):
            stand.destination.push(session, batch, stand.target)
        found = stand.destination.find_delivery(session, batch, stand.target)
        assert found == Finding("not_taken"), "the batch as such is not known"
        assert stand.taken() == [ANN, BOB]
        stand.destination.push(session, batch, stand.target)
    assert len(stand.taken()) == 6


def test_slow_is_slow(stand: Stand) -> None:
    with stand.connect({"hook": "push", "do": "slow", "seconds": 0.2}) as session:
        began = time.monotonic()
        assert stand.destination.push(session, BATCH, stand.target) == Delivery()
        assert time.monotonic() - began >= 0.2
    assert stand.taken() == [ANN, BOB]


ANSWERING = [hook for hook in HOOKS if hook != "finish"]


@pytest.mark.parametrize("hook", ANSWERING)
@pytest.mark.parametrize("do", ["none", "wrong_answer"])
def test_a_wrong_answer_is_the_plugins_fault(stand: Stand, hook: str, do: str) -> None:
    def failing() -> None:
        with stand.connect({"hook": hook, "do": do}) as session:
            call_of(stand, session, hook)()

    with pytest.raises(PluginError, match=rf"faulty \(exportkit-faulty 1.0\): {hook} "):
        failing()
    if hook == "push":
        assert stand.taken() == [ANN, BOB], "the work was done"


def test_the_host_takes_generators_where_it_can(stand: Stand) -> None:
    faults = [{"hook": hook, "do": "generator"} for hook in ("push", "settle", "find_delivery")]
    with stand.connect(*faults, refuse=[BOB]) as session:
        refused = Delivery(None, (Rejection(BOB, "on the list of refused keys"),))
        assert stand.destination.push(session, BATCH, stand.target) == refused
        found = stand.destination.find_delivery(session, BATCH, stand.target)
        assert found == Finding("taken", refused)
        (settled,) = stand.destination.settle(session, ["receipt-9"], stand.target, the_batch)
        assert settled.state == "failed"


SPOILED = [
    ("push", "extra_keys", "rejected 1 keys that are not in the batch"),
    ("push", "missing_keys", "rejected a key that is no text"),
    ("remove", "extra_keys", "rejected 1 keys that are not in the batch"),
    ("remove", "missing_keys", "rejected a key that is no text"),
    ("find_delivery", "extra_keys", "rejected 1 keys that are not in the batch"),
    ("find_delivery", "missing_keys", "rejected a key that is no text"),
    ("settle", "extra_keys", "settled a receipt that it was not asked about"),
    ("settle", "missing_keys", "left 1 of 1 receipts without an answer"),
    ("measure", "extra_keys", "answered 3 sizes for 2 rows"),
    ("measure", "missing_keys", "answered 1 sizes for 2 rows"),
    ("measure", "generator", "must answer an Arrow array of integers, not a generator"),
]


@pytest.mark.parametrize(("hook", "do", "said"), SPOILED)
def test_keys_too_many_or_too_few(stand: Stand, hook: str, do: str, said: str) -> None:
    with stand.connect({"hook": hook, "do": do}) as session, pytest.raises(PluginError) as caught:
        call_of(stand, session, hook)()
    assert said in str(caught.value)
    assert "nobody" not in str(caught.value)


def test_rules_count_calls_over_the_life_of_the_folder(stand: Stand) -> None:
    fault = {"hook": "push", "do": "raise_before", "error": "unavailable", "call": 2, "times": 2}
    raised = []
    for number in range(5):
        with stand.connect(fault) as session:
            try:
                batch = make_batch(f"person{number}", number=number)
                stand.destination.push(session, batch, stand.target)
            except UnavailableError:
                raised.append(number)
    assert raised == [1, 2]


def test_a_rule_can_hold_for_ever_and_the_first_that_applies_counts() -> None:
    for_ever = Rule("push", "slow", call=2, times=None)
    assert [call for call in range(1, 6) if for_ever.applies("push", call)] == [2, 3, 4, 5]
    assert not for_ever.applies("remove", 2)
    assert read_rules([{"hook": "push", "do": "none", "times": None, "call": 2}]) == (
        Rule("push", "none", 2, None),
    )


def rule_errors(rule: dict[str, Any]) -> list[str]:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(SCHEMA)
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors([rule])]


@pytest.mark.parametrize(
    "rule",
    [
        {"hook": "push"},
        {"hook": "shove", "do": "none"},
        {"hook": "push", "do": "explode"},
        {"hook": "push", "do": "none", "call": 0},
        {"hook": "push", "do": "none", "times": 0},
        {"hook": "push", "do": "raise_before", "error": "ImportError"},
        {"hook": "settle", "do": "half_then_raise"},
        {"hook": "push", "do": "say_failed"},
        {"hook": "push", "do": "slow", "second": 1},
    ],
)
def test_a_rule_that_cannot_be_is_refused(rule: dict[str, Any]) -> None:
    assert rule_errors(rule)


def test_every_deed_can_be_asked_for() -> None:
    for do in DEEDS:
        hook = "settle" if do == "say_failed" else "push"
        assert rule_errors({"hook": hook, "do": do}) == []


DYING = {
    "kill_before": (-signal.SIGKILL, 0),
    "kill_after": (-signal.SIGKILL, 4),
    "half_then_kill": (-signal.SIGKILL, 2),
    "exit": (70, 0),
}


@pytest.mark.parametrize("do", DYING)
def test_the_process_dies_and_the_ledger_knows_what_was_taken(stand: Stand, do: str) -> None:
    script = f"""
        from pathlib import Path
        from exportkit import Catalogue, Target
        from exportkit.host import load_plugins
        from tests.testing.conftest import Stand, make_batch
        stand = Stand(Path({str(stand.folder)!r}), load_plugins().destination("faulty"))
        with stand.connect({{"hook": "push", "do": {do!r}}}) as session:
            batch = make_batch("ann", "bob", "cyd", "dan")
            stand.destination.push(session, batch, stand.target)
        """
    paths = [str(stand.folder / "site"), str(ROOT)]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    code, rows = DYING[do]
    assert done.returncode == code, done.stderr
    assert len(stand.taken()) == rows
    with stand.connect({"hook": "push", "do": do}) as session:
        stand.destination.push(session, make_batch("eve", number=4), stand.target)
        batch = make_batch("ann", "bob", "cyd", "dan")
        found = stand.destination.find_delivery(session, batch, stand.target)
    assert found.state == ("taken" if do == "kill_after" else "not_taken")
    assert len(stand.taken()) == rows + 1


def test_receipts_settle_after_asks_and_seconds(stand: Stand) -> None:
    options = {"receipts": True, "settle_after_asks": 2, "settle_after_seconds": 0.2}
    with stand.connect(**options, refuse=[BOB]) as session:
        push, settle = stand.destination.push, stand.destination.settle
        receipt = push(session, BATCH, stand.target).receipt
        assert receipt
        assert stand.taken() == [ANN]
        assert settle(session, [receipt], stand.target, the_batch) == (
            Settlement(receipt, "pending"),
        )
        assert settle(session, [receipt], stand.target, the_batch) == (
            Settlement(receipt, "pending"),
        )
        time.sleep(0.2)
        refused = (Rejection(BOB, "on the list of refused keys"),)
        done = (Settlement(receipt, "done", refused),)
        with stand.ledger() as ledger:
            assert ledger.members("everybody") == {}
        assert settle(session, [receipt], stand.target, the_batch) == done
        assert settle(session, [receipt], stand.target, the_batch) == done, "the word is final"
    with stand.ledger() as ledger:
        assert ledger.members("everybody") == {ANN: {"email": ANN}}


def test_a_settlement_can_fail_and_then_nothing_was_taken(stand: Stand) -> None:
    fault = {"hook": "settle", "do": "say_failed", "call": 2}
    with stand.connect(fault, receipts=True, settle_after_asks=2) as session:
        receipt = stand.destination.push(session, BATCH, stand.target).receipt
        assert receipt
        settled = [
            stand.destination.settle(session, [receipt], stand.target, the_batch)[0].state
            for _ in range(3)
        ]
        assert settled == ["pending", "failed", "failed"]
        found = stand.destination.find_delivery(session, BATCH, stand.target)
        assert found == Finding("not_taken")
    assert stand.taken() == []


def test_a_found_delivery_brings_its_receipt(stand: Stand) -> None:
    with stand.connect({"hook": "push", "do": "none"}, receipts=True) as session:
        with pytest.raises(PluginError):
            stand.destination.push(session, BATCH, stand.target)
        found = stand.destination.find_delivery(session, BATCH, stand.target)
        receipt = found.delivery.receipt
        assert receipt
        settled = stand.destination.settle(session, [receipt], stand.target, the_batch)
        assert settled == (Settlement(receipt, "done"),)


def test_find_delivery_can_be_clueless(stand: Stand) -> None:
    with stand.connect(find_delivery="unknown") as session:
        stand.destination.push(session, BATCH, stand.target)
        found = stand.destination.find_delivery(session, BATCH, stand.target)
    assert found == Finding("unknown")


def test_optional_hooks_can_be_absent(install: Any) -> None:
    stand = install(without=("find_delivery", "remove", "settle", "measure"))
    absent = [hook for hook in HOOKS if not stand.destination.can(hook)]
    assert absent == ["measure", "settle", "find_delivery", "remove"]
    with stand.connect(receipts=True) as session, pytest.raises(PluginError, match="no hook"):
        stand.destination.push(session, BATCH, stand.target)


def test_what_cannot_be_absent_is_named(install: Any) -> None:
    from exportkit.testing import FaultDestination

    with pytest.raises(ValueError, match="not an optional hook: finish, push"):
        FaultDestination(without=["push", "finish", "settle"])


def test_what_the_host_has_to_know_first_is_said_at_installation(install: Any) -> None:
    from exportkit import Column, Limits

    stand = install(
        modes=("insert", "upsert"),
        limits=Limits(batch_rows=3, batch_bytes=1_000),
        fields=(Column("email", kind="email", key=True),),
        third_party=True,
    )
    facts = stand.destination.describe()
    assert facts.modes == ("insert", "upsert")
    assert (facts.limits.batch_rows, facts.limits.batch_bytes) == (3, 1_000)
    assert facts.third_party
    mapping = FieldMapping((MappedField("email"),))
    assert stand.destination.map_fields(mapping, stand.target) == facts.fields
    with pytest.raises(JobError, match="no field 'phone'"):
        stand.destination.map_fields(FieldMapping((MappedField("phone"),)), stand.target)


def test_a_row_is_as_large_as_the_connection_says(stand: Stand) -> None:
    with stand.connect(row_bytes=40):
        sizes = stand.destination.measure(stand.target, BATCH.data)
    assert sizes == pa.array([40, 40], pa.int64())


def test_the_ledger_knows_the_list_every_call_and_every_row(stand: Stand) -> None:
    with stand.connect() as session:
        stand.destination.push(session, BATCH, stand.target)
        stand.destination.push(session, BATCH, stand.target)
        gone = make_batch("ann", operation="remove")
        stand.destination.remove(session, gone, stand.target)
        catalogue = stand.destination.describe_target(session, {"list": "everybody"})
    assert (catalogue.name, catalogue.members) == ("everybody", 1)
    assert stand.taken() == [ANN, BOB, ANN, BOB, ANN]
    with stand.ledger() as ledger:
        assert ledger.members("everybody") == {BOB: {"email": BOB}}
        seen = [(call.hook, call.batch_id, call.rows) for call in ledger.calls()]
        assert seen == [
            ("connect", None, 0),
            ("push", BATCH.id, 2),
            ("push", BATCH.id, 2),
            ("remove", gone.id, 1),
            ("describe_target", None, 0),
        ]
        assert {call.pid for call in ledger.calls()} == {os.getpid()}
        deliveries = [(taken.batch_id, taken.removes, taken.state) for taken in ledger.deliveries()]
        assert deliveries == [
            (BATCH.id, False, "done"),
            (BATCH.id, False, "done"),
            (gone.id, True, "done"),
        ]
        assert [row.removes for row in ledger.rows([4])] == [True]
