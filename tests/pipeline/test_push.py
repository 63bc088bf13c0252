"""Each row gets one answer, whatever becomes of the call; and the journal knew of it before."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from exportkit.engines.frames import KEY
from exportkit.errors import (
    AccessDeniedError,
    BusyError,
    DestinationError,
    ExportkitError,
    InterruptedRun,
    OutcomeUnknownError,
    PluginError,
    QuotaSpentError,
    ThrottledError,
    UnavailableError,
)
from exportkit.pipeline import push, settle
from exportkit.pipeline.line import Line, refusals_of
from exportkit.pipeline.patience import LONGEST, MOST_TRIES
from exportkit.records import (
    Batch,
    Catalogue,
    Column,
    Delivery,
    Finding,
    Limits,
    Rejection,
    Settlement,
    Target,
)
from exportkit.state.journal import open_journal

from .tables import file_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from exportkit.records import Operation
    from exportkit.state.batches import JournaledBatch
    from exportkit.state.journal import Journal

COLUMNS = ("a.b", "select")


@dataclass
class Stand:
    """A destination that answers as it was told, call by call; a yes where it was told nothing.

    What is told is an answer, an error to raise, or something to call with the batch.
    """

    told: dict[str, list[Any]] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    calls: list[tuple[str, Any]] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    again: Callable[[str], Batch] | None = None

    def tell(self, hook: str, *answers: Any) -> None:
        self.told.setdefault(hook, []).extend(answers)

    def can(self, hook: str) -> bool:
        return hook not in self.lacks

    def measure(self, target: Target, columns: pa.RecordBatch) -> pa.Array:
        assert columns.schema.names == list(COLUMNS), "the plugin sees its own columns alone"
        return pa.array([10] * columns.num_rows, pa.int64())

    def push(self, session: Any, batch: Batch, target: Target) -> Delivery:
        self.batches.append(batch)
        return self._answer("push", batch.id, batch, Delivery())

    def remove(self, session: Any, batch: Batch, target: Target) -> Delivery:
        self.batches.append(batch)
        return self._answer("remove", batch.id, batch, Delivery())

    def settle(
        self,
        session: Any,
        receipts: Sequence[str],
        target: Target,
        batch_of: Callable[[str], Batch],
    ) -> Sequence[Settlement]:
        self.again = batch_of
        done = [Settlement(receipt, "done") for receipt in receipts]
        return self._answer("settle", tuple(receipts), receipts, done)

    def find_delivery(self, session: Any, batch: Batch, target: Target) -> Finding:
        return self._answer("find_delivery", batch.id, batch, Finding("not_taken"))

    def _answer(self, hook: str, subject: Any, given: Any, otherwise: Any) -> Any:
        self.calls.append((hook, subject))
        told = self.told.get(hook) or [otherwise]
        answer = told.pop(0)
        if callable(answer):
            answer = answer(given)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass
class Office:
    """A line to a stand, and what lies around it."""

    line: Line
    stand: Stand
    journal: Journal
    slept: list[float]
    progress: list[int]

    def send(self, rows: int = 5, operation: Operation = "add") -> None:
        push.send(self.line, batches(rows), operation)

    def fails(self, kind: type[ExportkitError], operation: Operation = "add") -> Any:
        with pytest.raises(kind) as raised:
            self.send(operation=operation)
        return raised.value

    @property
    def states(self) -> list[str]:
        return [batch.state for batch in self.known]

    @property
    def known(self) -> Sequence[JournaledBatch]:
        return self.journal.batches("r1")

    def refused(self, first: int = 0) -> list[dict[str, Any]]:
        return file_rows(refusals_of(self.line.refusals, f"r1-add-{first:09}"))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    target = Target({}, Catalogue("mill"), tmp_path, tuple(map(Column, COLUMNS)))
    stand, slept, progress = Stand(), list[float](), list[int]()
    with open_journal(tmp_path / "journal.sqlite") as journal:
        journal.begin_run("r1", "vip", datetime.now(UTC), target="t", folded=False)
        line = Line(
            sender=stand,
            session=None,
            target=target,
            ledger=journal,
            run_id="r1",
            refusals=tmp_path,
            limits=Limits(batch_rows=2),
            columns=COLUMNS,
            rows_of=rows_of,
            sent=progress.append,
            sleep=slept.append,
        )
        yield Office(line, stand, journal, slept, progress)


def batches(rows: int, first: int = 0) -> Iterator[pa.RecordBatch]:
    """Rows of the plan's columns with the key and what was there before, three a batch."""
    for start in range(first, first + rows, 3):
        numbers = [str(n) for n in range(start, min(start + 3, first + rows))]
        columns = {"exportkit_was_a.b": numbers, "select": numbers, KEY: numbers, "a.b": numbers}
        yield pa.record_batch({n: pa.array(v, pa.string()) for n, v in columns.items()})


def rows_of(_operation: Operation, first: int, rows: int) -> pa.RecordBatch:
    (found,) = pa.Table.from_batches(batches(rows, first)).combine_chunks().to_batches()
    return found


def rejecting(*keys: str, receipt: str | None = None) -> Delivery:
    return Delivery(receipt, [Rejection(key, "on hold", "select") for key in keys])


def test_every_row_goes_out_once_in_its_order(office: Office) -> None:
    office.send(7)
    sent = office.stand.batches
    assert [len(batch) for batch in sent] == [2, 2, 2, 1]
    assert [batch.id for batch in sent] == [f"r1-add-{first:09}" for first in (0, 2, 4, 6)]
    assert [row for batch in sent for row in batch.rows()] == [
        {"a.b": str(n), "select": str(n)} for n in range(7)
    ]
    assert [key for batch in sent for key in batch.keys.to_pylist()] == [*"0123456"]
    assert {batch.columns for batch in sent} == {COLUMNS}
    assert office.progress == [2, 2, 2, 1]
    assert [(b.first_row, b.rows, b.state) for b in office.known] == [
        (0, 2, "done"),
        (2, 2, "done"),
        (4, 2, "done"),
        (6, 1, "done"),
    ]


def test_batches_are_cut_by_bytes_too(office: Office) -> None:
    limits = Limits(batch_rows=4, batch_bytes=35)
    push.send(replace(office.line, limits=limits), batches(7), "add")
    assert [len(batch) for batch in office.stand.batches] == [3, 3, 1]


def test_who_cannot_measure_gets_batches_of_rows(office: Office) -> None:
    office.stand.lacks = ("measure",)
    limits = Limits(batch_rows=4, batch_bytes=1)
    push.send(replace(office.line, limits=limits), batches(7), "add")
    assert [len(batch) for batch in office.stand.batches] == [4, 3]


def test_nobody_is_nothing(office: Office) -> None:
    office.send(0)
    assert office.stand.calls == []
    assert settle.settle(office.line) == settle.Lost()


@pytest.mark.parametrize(
    ("operation", "hook"), [("add", "push"), ("update", "push"), ("remove", "remove")]
)
def test_the_journal_knows_before_the_call(office: Office, operation: Any, hook: str) -> None:
    seen = []

    def look(batch: Batch) -> Delivery:
        (known,) = [each for each in office.known if each.batch_id == batch.id]
        seen.append((known.state, known.operation, batch.operation))
        return Delivery()

    office.stand.tell(hook, look)
    office.send(2, operation)
    assert seen == [("intended", operation, operation)]
    assert office.states == ["done"]


def test_refused_rows_are_noted_beside_the_run(office: Office) -> None:
    office.stand.tell("push", rejecting("1"), Delivery())
    office.send(4)
    assert office.refused(0) == [{"key": "1", "column": "select", "reason": "on hold"}]
    assert office.refused(2) == []
    assert [batch.refused for batch in office.known] == [1, 0]
    (file,) = office.line.refusals.glob("*.parquet")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("error", [ThrottledError("slow down"), UnavailableError("nap")])
def test_a_batch_that_was_not_taken_goes_again(office: Office, error: Exception) -> None:
    office.stand.tell("push", Delivery(), error, error, error)
    office.send(4)
    names = [subject for _, subject in office.stand.calls]
    assert names == ["r1-add-000000000", *["r1-add-000000002"] * 4]
    assert office.states == ["done", "done"]
    assert office.progress == [2, 2]
    assert sum(office.slept) >= 2


@pytest.mark.parametrize("times", [1, 3])
def test_it_waits_as_long_as_it_is_asked_to(office: Office, times: int) -> None:
    office.stand.tell("push", *[ThrottledError("slow down", retry_after=7.5)] * times)
    office.send(2)
    assert sum(office.slept) == 7.5 * times
    assert max(office.slept) <= 1, "whoever wants to stop need not wait"


def test_at_last_it_is_given_up(office: Office) -> None:
    office.stand.tell("push", *[UnavailableError("nap")] * 99)
    office.fails(UnavailableError)
    assert len(office.stand.calls) == MOST_TRIES + 1
    assert office.states == ["not_taken"]
    assert office.progress == []


def test_nobody_waits_for_hours(office: Office) -> None:
    tomorrow = ThrottledError("tomorrow", retry_after=LONGEST + 1)
    office.stand.tell("push", Delivery(), tomorrow, UnavailableError("nap"), tomorrow)
    assert office.fails(ThrottledError) is tomorrow
    assert office.slept == []
    assert office.fails(ThrottledError, "update") is tomorrow
    assert sum(office.slept) < 60
    assert office.states == ["done", "not_taken", "not_taken"]


@pytest.mark.parametrize(
    "error", [AccessDeniedError("no"), QuotaSpentError("enough"), DestinationError("broken")]
)
def test_what_stops_a_run_was_not_taken(office: Office, error: ExportkitError) -> None:
    office.stand.tell("push", Delivery(), error)
    assert office.fails(type(error)) is error
    assert office.states == ["done", "not_taken"]
    assert len(office.stand.calls) == 2


def test_after_a_defect_nobody_knows(office: Office) -> None:
    office.stand.tell("push", PluginError("defect"))
    office.fails(PluginError)
    assert office.states == ["intended"]


LOST = OutcomeUnknownError("the line went dead")


def test_a_lost_answer_is_asked_for(office: Office) -> None:
    office.stand.tell("push", LOST)
    office.stand.tell("find_delivery", Finding("taken", rejecting("1")))
    office.send(2)
    assert [hook for hook, _ in office.stand.calls] == ["push", "find_delivery"]
    assert len({subject for _, subject in office.stand.calls}) == 1
    assert (office.states, office.refused()[0]["key"]) == (["done"], "1")


def test_a_batch_that_surely_was_not_taken_goes_again(office: Office) -> None:
    office.stand.tell("push", LOST)
    office.send(2)
    assert [hook for hook, _ in office.stand.calls] == ["push", "find_delivery", "push"]
    assert len({subject for _, subject in office.stand.calls}) == 1
    assert office.states == ["done"]


def test_a_line_that_goes_dead_each_time_is_given_up(office: Office) -> None:
    office.stand.tell("push", *[LOST] * 99)
    office.fails(OutcomeUnknownError)
    hooks = [hook for hook, _ in office.stand.calls]
    assert hooks.count("push") == hooks.count("find_delivery") == push.MOST_CALLS
    assert office.states == ["not_taken"], "it was looked for after the last call as well"


def test_what_may_come_twice_goes_again_and_is_never_said_to_be_not_taken(office: Office) -> None:
    office.stand.tell("push", LOST, Delivery(), LOST, DestinationError("no more"))
    office.stand.tell("find_delivery", *[Finding("repeat")] * 2)
    office.fails(DestinationError)
    hooks = [hook for hook, _ in office.stand.calls]
    assert hooks == ["push", "find_delivery", "push"] * 2
    assert office.states == ["done", "intended"]
    office.stand.tell("push", LOST, rejecting("3"))
    office.stand.tell("find_delivery", *[Finding("repeat")] * 2)
    assert resumed(office) == ["find_delivery", "push", "find_delivery", "push"]
    assert office.states == ["done", "done"]
    assert [row["key"] for row in office.refused(2)] == ["3"]


def test_what_nobody_knows_is_kept_back(office: Office) -> None:
    office.stand.tell("push", LOST)
    office.stand.tell("find_delivery", Finding("unknown"))
    error = office.fails(OutcomeUnknownError)
    assert "sends nothing twice" in error.hint
    assert office.states == ["unknown"]


def test_where_nobody_can_be_asked_the_next_run_decides(office: Office) -> None:
    office.stand.lacks = ("find_delivery",)
    office.stand.tell("push", LOST)
    error = office.fails(OutcomeUnknownError)
    assert "at most the rows of that one call" in error.hint
    assert office.states == ["intended"]
    assert [hook for hook, _ in office.stand.calls] == ["push"]


def test_asking_has_patience_too(office: Office) -> None:
    office.stand.tell("push", LOST)
    office.stand.tell("find_delivery", UnavailableError("nap"), Finding("taken"))
    office.send(2)
    assert office.states == ["done"]
    assert [hook for hook, _ in office.stand.calls].count("push") == 1


def test_whoever_stops_waits_for_the_call_in_flight(office: Office) -> None:
    stop: list[bool] = []

    def stopping(_batch: Batch) -> Delivery:
        stop.append(True)
        return Delivery()

    office.stand.tell("push", Delivery(), stopping)
    line = replace(office.line, stopped=lambda: bool(stop))
    with pytest.raises(InterruptedRun):
        push.send(line, batches(9), "add")
    assert office.states == ["done", "done"]
    assert len(office.stand.calls) == 2


def test_whoever_stops_need_not_wait_for_a_destination_that_naps(office: Office) -> None:
    calls: list[float] = []
    line = replace(office.line, sleep=calls.append, stopped=lambda: len(calls) >= 3)
    office.stand.tell("push", *[ThrottledError("slow down", retry_after=300)] * 9)
    with pytest.raises(InterruptedRun):
        push.send(line, batches(2), "add")
    assert len(calls) == 3
    assert len(office.stand.calls) == 1


def pending(*receipts: str) -> list[Settlement]:
    return [Settlement(receipt, "pending") for receipt in receipts]


def test_receipts_wait_for_their_settlement(office: Office) -> None:
    office.stand.tell("push", Delivery("A"), Delivery(), Delivery("C"))
    office.send(5)
    assert office.states == ["pending", "done", "pending"]
    assert [batch.receipt for batch in office.known] == ["A", None, "C"]
    office.stand.tell("settle", [Settlement("A", "done"), Settlement("C", "pending")])
    assert settle.settle(office.line) == settle.Lost()
    asked = [subject for hook, subject in office.stand.calls if hook == "settle"]
    assert asked == [("A", "C"), ("C",)]
    assert office.states == ["done"] * 3
    assert [batch.receipt for batch in office.known] == ["A", None, "C"]


def test_it_asks_ever_more_slowly(office: Office) -> None:
    moments: list[float] = []

    def later(receipts: Sequence[str]) -> list[Settlement]:
        moments.append(sum(office.slept))
        return pending(*receipts)

    office.stand.tell("push", Delivery("A"))
    office.send(2)
    office.stand.tell("settle", *[later] * 9)
    settle.settle(office.line)
    waits = [b - a for a, b in pairwise(moments)]
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_it_does_not_wait_for_ever(office: Office) -> None:
    line = replace(office.line, settle_for=timedelta(minutes=2))
    office.stand.tell("push", Delivery("A"), Delivery("B"))
    push.send(line, batches(4), "add")
    office.stand.tell("settle", *[lambda receipts: pending(*receipts)] * 99)
    with pytest.raises(BusyError, match="still working on 2 batches") as raised:
        settle.settle(line)
    assert raised.value.exit_code == 75
    assert 120 <= sum(office.slept) < 180
    assert office.states == ["pending", "pending"]


def test_an_import_that_failed_took_nothing(office: Office) -> None:
    office.stand.tell("push", Delivery("A"), Delivery("B"), Delivery("C"))
    office.send(5)
    failed = [Settlement(r, "failed", reason=f"{r} broke") for r in "AC"]
    office.stand.tell("settle", [*failed, Settlement("B", "done")])
    assert settle.settle(office.line) == settle.Lost(3, "A broke")
    assert office.states == ["not_taken", "done", "not_taken"]


def test_refusals_of_the_call_and_of_the_settlement_add_up(office: Office) -> None:
    office.stand.tell("push", rejecting("0", receipt="A"))
    office.send(2)
    assert [(batch.state, batch.refused) for batch in office.known] == [("pending", 1)]
    rest = [Rejection("1", "bounced"), Rejection("0", "on hold, still")]
    office.stand.tell("settle", [Settlement("A", "done", rest)])
    settle.settle(office.line)
    assert [(batch.state, batch.refused) for batch in office.known] == [("done", 2)]
    assert {row["key"]: row["reason"] for row in office.refused()} == {
        "0": "on hold, still",
        "1": "bounced",
    }


@pytest.mark.parametrize("error", [ThrottledError("slow down"), UnavailableError("nap")])
def test_settling_has_patience(office: Office, error: Exception) -> None:
    office.stand.tell("push", Delivery("A"))
    office.send(2)
    office.stand.tell("settle", error, error)
    assert settle.settle(office.line) == settle.Lost()
    assert office.states == ["done"]


def test_whoever_stops_need_not_wait_for_settlements(office: Office) -> None:
    line = replace(office.line, stopped=lambda: bool(office.slept))
    office.stand.tell("push", Delivery("A"))
    push.send(line, batches(2), "add")
    office.stand.tell("settle", *[lambda receipts: pending(*receipts)] * 9)
    with pytest.raises(InterruptedRun):
        settle.settle(line)
    assert office.states == ["pending"]


def test_one_receipt_for_two_batches_is_a_fault_of_the_plugin(office: Office) -> None:
    office.stand.tell("push", Delivery("A"), Delivery("A"))
    error = office.fails(PluginError)
    assert "receipt" in error.message
    assert office.states == ["pending", "intended"]


def resumed(office: Office) -> list[str]:
    """Another line of the same run takes up what is open; answers the calls that it makes."""
    before = len(office.stand.calls)
    settle.resume(replace(office.line, pending={}), office.known, push.again)
    return [hook for hook, _ in office.stand.calls[before:]]


@pytest.fixture
def died(office: Office) -> Callable[..., None]:
    """The line dies during the call for the second of two batches."""

    def die(*first: Any) -> None:
        office.stand.tell("push", *(first or [Delivery()]), PluginError("killed"))
        office.fails(PluginError)

    return die


def test_what_is_final_is_not_asked_about(office: Office) -> None:
    office.stand.tell("push", Delivery(), DestinationError("broken"))
    office.fails(DestinationError)
    assert resumed(office) == []
    assert office.states == ["done", "not_taken"]


def test_a_receipt_is_redeemed_by_the_next_run(office: Office, died: Any) -> None:
    died(rejecting("0", receipt="A"))
    office.stand.tell("settle", [Settlement("A", "done", [Rejection("1", "bounced")])])
    assert sorted(resumed(office)) == ["find_delivery", "settle"]
    assert office.states == ["done", "not_taken"]
    assert [row["key"] for row in office.refused()] == ["0", "1"]


@pytest.mark.parametrize(
    ("finding", "state"),
    [("taken", "done"), ("not_taken", "not_taken"), ("unknown", "unknown")],
)
def test_a_call_without_an_answer_is_looked_for(
    office: Office, died: Any, finding: Any, state: str
) -> None:
    died()
    office.stand.tell("find_delivery", Finding(finding))
    assert resumed(office) == ["find_delivery"]
    assert office.states == ["done", state]
    assert office.stand.calls[-1][1] == "r1-add-000000002"


def test_a_call_that_was_taken_may_have_a_receipt(office: Office, died: Any) -> None:
    died()
    office.stand.tell("find_delivery", Finding("taken", rejecting("3", receipt="B")))
    assert resumed(office) == ["find_delivery", "settle"]
    assert office.states == ["done", "done"]
    assert [row["key"] for row in office.refused(2)] == ["3"]


def test_what_nobody_knows_counts_as_not_taken_when_it_is_old(office: Office, died: Any) -> None:
    died()
    office.stand.tell("find_delivery", *[Finding("unknown")] * 3)
    office.line = replace(office.line, limits=Limits(batch_rows=2, unknown_hours=1))
    resumed(office)
    assert office.states == ["done", "unknown"]
    old = [replace(b, intended_at="2020-01-01T00:00:00+00:00") for b in office.known]
    settle.resume(office.line, old, push.again)
    assert office.states == ["done", "not_taken"]


def test_where_nobody_can_be_asked_it_goes_again(office: Office, died: Any) -> None:
    died()
    office.stand.lacks = ("find_delivery",)
    assert resumed(office) == []
    assert office.states == ["done", "not_taken"]


def test_who_settles_can_have_the_batch_again(office: Office) -> None:
    office.stand.tell("push", Delivery("A"), Delivery("B"))
    office.send(rows=3)
    again: list[Batch] = []

    def look(receipts: Sequence[str]) -> list[Settlement]:
        assert office.stand.again is not None
        again.extend(office.stand.again(receipt) for receipt in receipts)
        refused = [Rejection(again[1].keys[0].as_py(), "line 2")]
        return [Settlement("A", "done"), Settlement("B", "done", refused)]

    office.stand.tell("settle", look)
    settle.settle(office.line)
    assert [batch.id for batch in again] == [batch.id for batch in office.stand.batches]
    assert [batch.keys.to_pylist() for batch in again] == [["0", "1"], ["2"]]
    assert [row["key"] for row in office.refused(2)] == ["2"]


def test_fewer_may_be_taken_out_than_sent_at_once(office: Office) -> None:
    line = replace(office.line, limits=Limits(batch_rows=4, removal_rows=3))
    push.send(line, batches(6), "remove")
    push.send(line, batches(6), "add")
    assert [len(batch) for batch in office.stand.batches] == [3, 3, 4, 2]
