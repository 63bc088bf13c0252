"""Stage 4: the changes go out in batches, and every row gets an answer.

The journal knows of a batch before it leaves. Nothing here keeps rows: a batch is a range of a
file of the plan, so after a crash the same rows can be found again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from exportkit.engines.frames import KEY
from exportkit.engines.parquet import read_batches, write_batches
from exportkit.errors import (
    BusyError,
    DestinationError,
    InterruptedRun,
    OutcomeUnknownError,
    ThrottledError,
    UnavailableError,
)
from exportkit.records import (
    Batch,
    Delivery,
    Finding,
    Limits,
    Operation,
    Rejection,
    Settlement,
    Target,
)
from exportkit.state.batches import BatchState, JournaledBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

Answer = TypeVar("Answer")

SETTLE_FIRST, SETTLE_LONGEST = 1.0, 30.0
"""Seconds between questions to `settle`: doubled from the first to the longest."""
RETRY_FOR = 600.0
"""Seconds for which a batch that the destination cannot take right now is tried again."""


class Sender(Protocol):
    """The hooks of a destination that this stage calls, as `host.Destination` has them."""

    def can(self, hook: str) -> bool: ...
    def measure(self, target: Target, columns: pa.RecordBatch) -> pa.Array: ...
    def push(self, session: Any, batch: Batch, target: Target) -> Delivery: ...
    def remove(self, session: Any, batch: Batch, target: Target) -> Delivery: ...
    def settle(
        self, session: Any, receipts: Sequence[str], target: Target
    ) -> Sequence[Settlement]: ...
    def find_delivery(self, session: Any, batch: Batch, target: Target) -> Finding: ...


class Unjournaled:
    """The ledger of a destination that is a whole: nothing of it shows before `finish`, so no
    batch has to be known after a crash."""

    def __init__(self) -> None:
        self._batches: dict[str, JournaledBatch] = {}

    def intend(
        self, batch_id: str, run_id: str, operation: Operation, first_row: int, rows: int
    ) -> None:
        """Remember the batch for this run."""
        self._batches[batch_id] = JournaledBatch(
            batch_id, run_id, operation, first_row, rows, "intended"
        )

    def answer(
        self,
        batch_id: str,
        state: BatchState,
        *,
        receipt: str | None = None,
        refused: int = 0,
    ) -> None:
        """Remember the answer for this run."""
        batch = self._batches[batch_id]
        self._batches[batch_id] = replace(batch, state=state, receipt=receipt, refused=refused)

    def batches(self, run_id: str) -> Sequence[JournaledBatch]:
        """The batches of the run so far."""
        return [batch for batch in self._batches.values() if batch.run_id == run_id]


class Ledger(Protocol):
    """What this stage writes down: the journal's part for batches."""

    def intend(
        self, batch_id: str, run_id: str, operation: Operation, first_row: int, rows: int
    ) -> None: ...
    def answer(
        self,
        batch_id: str,
        state: BatchState,
        *,
        receipt: str | None = None,
        refused: int = 0,
    ) -> None: ...
    def batches(self, run_id: str) -> Sequence[JournaledBatch]: ...


@dataclass(frozen=True, slots=True)
class Line:
    """The way to one target in one run: whom to call, where to write down, when to stop."""

    sender: Sender
    session: Any
    target: Target
    ledger: Ledger
    run_id: str
    refusals: Path
    limits: Limits
    columns: tuple[str, ...]
    settle_for: timedelta = timedelta(hours=1)
    stopped: Callable[[], bool] = lambda: False
    sent: Callable[[int], None] = lambda _rows: None
    sleep: Callable[[float], None] = time.sleep
    pending: dict[str, Batch] = field(default_factory=dict)


def cut(
    line: Line, rows: Iterable[pa.RecordBatch], operation: Operation
) -> Iterator[tuple[int, Batch]]:
    """The rows in batches that one call can take, each with the number of its first row."""
    first = 0
    rest: pa.RecordBatch | None = None
    for read in rows:
        rest = read if rest is None else _glued(rest, read)
        while rest.num_rows >= line.limits.batch_rows:
            size = _fitting(line, rest)
            yield first, _batch(line, rest.slice(0, size), first, operation)
            first, rest = first + size, rest.slice(size)
        if not rest.num_rows:
            rest = None
    while rest is not None and rest.num_rows:
        size = _fitting(line, rest)
        yield first, _batch(line, rest.slice(0, size), first, operation)
        first, rest = first + size, rest.slice(size)


def send(line: Line, rows: Iterable[pa.RecordBatch], operation: Operation) -> None:
    """Hand over every row; what is answered with a receipt waits for `settle`.

    Raises what stops the run: DestinationError, InterruptedRun between two calls, or PluginError.
    """
    for first, batch in cut(line, rows, operation):
        if line.stopped():
            raise InterruptedRun(
                "the run was asked to stop; the call in flight was finished",
                hint="run the job again: it goes on where this run stopped",
            )
        line.ledger.intend(batch.id, batch.run_id, operation, first, len(batch))
        _accept(line, batch, _handed_over(line, batch))
        line.sent(len(batch))


def settle(line: Line) -> int:
    """Ask until nothing is pending; answers how many rows were taken back as failed.

    Raises BusyError when the destination needs longer than the job wants to wait.
    """
    waited, pause, lost = 0.0, SETTLE_FIRST, 0
    while line.pending:
        for settlement in line.sender.settle(line.session, tuple(line.pending), line.target):
            if settlement.state == "pending":
                continue
            batch = line.pending.pop(settlement.receipt)
            if settlement.state == "failed":
                line.ledger.answer(batch.id, "not_taken", receipt=settlement.receipt)
                lost += len(batch)
            else:
                _close(line, batch, settlement.rejections, settlement.receipt)
        if not line.pending:
            break
        if waited >= line.settle_for.total_seconds() or line.stopped():
            raise BusyError(
                f"the destination is still working on {len(line.pending)} batches",
                hint="nothing is lost: the next run asks again before it sends anything",
            )
        line.sleep(pause)
        waited, pause = waited + pause, min(pause * 2, SETTLE_LONGEST)
    return lost


def _handed_over(line: Line, batch: Batch) -> Delivery:
    """The destination's answer to one batch, tried again while it only asks for patience."""
    call = line.sender.remove if batch.operation == "remove" else line.sender.push
    try:
        return _patiently(line, lambda: call(line.session, batch, line.target))
    except OutcomeUnknownError:
        return _found(line, batch)
    except DestinationError:
        line.ledger.answer(batch.id, "not_taken")
        raise


def _found(line: Line, batch: Batch) -> Delivery:
    """What became of a batch whose answer was lost; sent again if it surely was not taken."""
    if not line.sender.can("find_delivery"):
        raise OutcomeUnknownError(
            "the connection died during a call, and this destination cannot say what became of it",
            hint="run the job again: at most the rows of that one call are sent a second time",
        )
    finding = _patiently(line, lambda: line.sender.find_delivery(line.session, batch, line.target))
    if finding.state == "taken":
        return finding.delivery
    if finding.state == "not_taken":
        return _handed_over(line, batch)
    line.ledger.answer(batch.id, "unknown")
    raise OutcomeUnknownError(
        "the connection died during a call, and the destination does not know what became of it",
        hint="run the job again later: it asks first, and sends nothing twice",
    )


def _patiently(line: Line, call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except (ThrottledError, UnavailableError) as error:
        return _again(line, call, error)


def _again(line: Line, call: Callable[[], Answer], first: Exception) -> Answer:
    """Call again, after what the destination asks for or ever longer, for up to RETRY_FOR."""
    import tenacity

    backing_off = tenacity.wait_exponential_jitter(initial=1, max=60)

    def pause(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else first
        asked = getattr(error, "retry_after", None)
        return float(asked) if asked is not None else float(backing_off(state))

    line.sleep(getattr(first, "retry_after", None) or 1.0)
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type((ThrottledError, UnavailableError)),
        wait=pause,
        stop=tenacity.stop_after_delay(RETRY_FOR) | tenacity.stop_after_attempt(12),
        sleep=line.sleep,
        reraise=True,
    )
    return retrying(call)


def _accept(line: Line, batch: Batch, delivery: Delivery) -> None:
    if delivery.receipt is None:
        _close(line, batch, delivery.rejections, None)
        return
    # A receipt may come with rejections: those rows are answered, the others wait.
    _note_refusals(line, batch, delivery.rejections)
    line.ledger.answer(
        batch.id, "pending", receipt=delivery.receipt, refused=len(delivery.rejections)
    )
    line.pending[delivery.receipt] = batch


def _close(line: Line, batch: Batch, rejections: Sequence[Rejection], receipt: str | None) -> None:
    noted = _note_refusals(line, batch, rejections)
    line.ledger.answer(batch.id, "done", receipt=receipt, refused=noted)


def _note_refusals(line: Line, batch: Batch, rejections: Sequence[Rejection]) -> int:
    """Write the refused rows of a batch beside its run: they are personal, the journal is not.

    Answers how many are noted for the batch in all.
    """
    import pyarrow as pa

    path = refusals_of(line.refusals, batch.id)
    known = [r for read in read_batches(path) for r in read.to_pylist()] if path.exists() else []
    rows = {row["key"]: row for row in known}
    for rejection in rejections:
        rows[rejection.key] = {
            "key": rejection.key,
            "column": rejection.column,
            "reason": rejection.reason,
        }
    if rejections:
        schema = pa.schema([(name, pa.string()) for name in ("key", "column", "reason")])
        write_batches([pa.RecordBatch.from_pylist(list(rows.values()), schema)], schema, path)
    return len(rows)


def refusals_of(folder: Path, batch_id: str) -> Path:
    """The file with the refused rows of a batch: key, column, reason."""
    return folder / f"{batch_id}.parquet"


def _batch(line: Line, rows: pa.RecordBatch, first: int, operation: Operation) -> Batch:
    return Batch(
        id=f"{line.run_id}-{operation}-{first:09d}",
        run_id=line.run_id,
        operation=operation,
        data=rows.select(list(line.columns)),
        keys=rows.column(KEY),
    )


def _fitting(line: Line, rows: pa.RecordBatch) -> int:
    """How many of the rows one call can take; at least one."""
    import pyarrow.compute as pc

    most: int = min(rows.num_rows, line.limits.batch_rows)
    if line.limits.batch_bytes is None or not line.sender.can("measure"):
        return most
    sizes = line.sender.measure(line.target, rows.slice(0, most).select(list(line.columns)))
    over: int = pc.index(
        pc.greater(pc.cumulative_sum(sizes), line.limits.batch_bytes), True
    ).as_py()
    return most if over < 0 else max(over, 1)


def _glued(one: pa.RecordBatch, other: pa.RecordBatch) -> pa.RecordBatch:
    import pyarrow as pa

    both = pa.Table.from_batches([one, other]).combine_chunks().to_batches()
    return both[0]
