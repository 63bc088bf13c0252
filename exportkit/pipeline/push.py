"""Stage 4: the changes go out in batches, and every row gets an answer.

The journal knows of a batch before it leaves. Nothing here keeps rows: a batch is a range of a
file of the plan, so after a crash the same rows can be found again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from exportkit.engines.frames import KEY
from exportkit.engines.parquet import read_batches, write_batches
from exportkit.engines.pieces import pieces
from exportkit.errors import (
    BusyError,
    DestinationError,
    InterruptedRun,
    OutcomeUnknownError,
    PluginError,
)
from exportkit.pipeline.patience import patiently
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from exportkit.state.batches import BatchState, JournaledBatch

Answer = TypeVar("Answer")

SETTLE_FIRST, SETTLE_LONGEST = 1.0, 30.0
"""Seconds between questions to `settle`: doubled from the first to the longest."""
MOST_CALLS = 5
"""How often one batch is handed over whose answer is lost, and which was not taken, each time."""


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
class Pending:
    """A batch that waits under a receipt: its id and how many rows it has."""

    id: str
    rows: int


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
    pending: dict[str, Pending] = field(default_factory=dict)


def send(line: Line, rows: Iterable[pa.RecordBatch], operation: Operation) -> None:
    """Hand over every row; what is answered with a receipt waits for `settle`.

    Raises what stops the run: DestinationError, InterruptedRun between two calls, or PluginError.
    """
    for first, piece in _pieces(line, rows):
        batch = batch_of(line, piece, first, operation)
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
        lost += _settled(line)
        if not line.pending:
            break
        if waited >= line.settle_for.total_seconds():
            raise BusyError(
                f"the destination is still working on {len(line.pending)} batches",
                hint="nothing is lost: the next run asks again before it sends anything",
            )
        _rest(line, pause)
        waited, pause = waited + pause, min(pause * 2, SETTLE_LONGEST)
    return lost


def resume(
    line: Line,
    batches: Sequence[JournaledBatch],
    rows_of: Callable[[JournaledBatch], pa.RecordBatch],
) -> None:
    """Take up the batches that an earlier run, whose line this is, left without a final answer.

    What nobody can tell stays `unknown` for as long as the destination declares. Raises as `send`
    and `settle` do.
    """
    for known in batches:
        if known.state == "pending" and known.receipt is not None:
            line.pending[known.receipt] = Pending(known.batch_id, known.rows)
        elif known.state in ("intended", "unknown"):
            batch = batch_of(line, rows_of(known), known.first_row, known.operation)
            _look_for(line, batch, known)
    settle(line)


def _look_for(line: Line, batch: Batch, known: JournaledBatch) -> None:
    if not line.sender.can("find_delivery"):
        line.ledger.answer(batch.id, "not_taken")
        return
    finding = _patiently(line, lambda: line.sender.find_delivery(line.session, batch, line.target))
    if finding.state == "taken":
        _accept(line, batch, finding.delivery)
    elif finding.state == "not_taken" or _age(known) > timedelta(hours=line.limits.unknown_hours):
        line.ledger.answer(batch.id, "not_taken")
    else:
        line.ledger.answer(batch.id, "unknown")


def _age(known: JournaledBatch) -> timedelta:
    return datetime.now(UTC) - datetime.fromisoformat(known.intended_at)


def _settled(line: Line) -> int:
    """Ask once for all that is pending; answers how many rows were taken back."""
    lost = 0
    receipts = tuple(line.pending)
    for settlement in _patiently(
        line, lambda: line.sender.settle(line.session, receipts, line.target)
    ):
        if settlement.state == "pending":
            continue
        waiting = line.pending.pop(settlement.receipt)
        if settlement.state == "failed":
            line.ledger.answer(waiting.id, "not_taken", receipt=settlement.receipt)
            lost += waiting.rows
        else:
            _close(line, waiting.id, settlement.rejections, settlement.receipt)
    return lost


def _rest(line: Line, seconds: float) -> None:
    """Sleep, but no longer than a second after somebody asked to stop."""
    while seconds > 0:
        if line.stopped():
            raise InterruptedRun(
                "the run was asked to stop while the destination was still working",
                hint="run the job again: it asks for the answers first",
            )
        line.sleep(min(seconds, 1.0))
        seconds -= 1.0


def _handed_over(line: Line, batch: Batch) -> Delivery:
    """The destination's answer to one batch; a batch whose answer is lost is looked for first."""
    call = line.sender.remove if batch.operation == "remove" else line.sender.push
    lost = None
    for _ in range(MOST_CALLS):
        try:
            return _patiently(line, lambda: call(line.session, batch, line.target))
        except OutcomeUnknownError as error:
            lost = error
        except DestinationError:
            line.ledger.answer(batch.id, "not_taken")
            raise
        if (found := _found(line, batch)) is not None:
            return found
        _rest(line, 1.0)
    line.ledger.answer(batch.id, "not_taken")
    raise lost or OutcomeUnknownError("the connection died during a call, again and again")


def _found(line: Line, batch: Batch) -> Delivery | None:
    """The answer to a batch that was taken although its answer was lost; None if it was not."""
    if not line.sender.can("find_delivery"):
        raise OutcomeUnknownError(
            "the connection died during a call, and this destination cannot say what became of it",
            hint="run the job again: at most the rows of that one call are sent a second time",
        )
    finding = _patiently(line, lambda: line.sender.find_delivery(line.session, batch, line.target))
    if finding.state == "unknown":
        line.ledger.answer(batch.id, "unknown")
        raise OutcomeUnknownError(
            "the connection died during a call, and the destination does not know what became of "
            "it yet",
            hint="run the job again later: it asks first, and sends nothing twice",
        )
    return finding.delivery if finding.state == "taken" else None


def _patiently(line: Line, call: Callable[[], Answer]) -> Answer:
    return patiently(call, lambda seconds: _rest(line, seconds))


def _accept(line: Line, batch: Batch, delivery: Delivery) -> None:
    if delivery.receipt is None:
        _close(line, batch.id, delivery.rejections, None)
        return
    if line.pending.get(delivery.receipt, batch).id != batch.id:
        raise PluginError(
            "the destination answered two batches with one receipt",
            hint="this is a fault of the plugin: update it, or tell its authors",
        )
    # A receipt may come with rejections: those rows are answered, the others wait.
    _note_refusals(line, batch.id, delivery.rejections)
    line.ledger.answer(
        batch.id, "pending", receipt=delivery.receipt, refused=len(delivery.rejections)
    )
    line.pending[delivery.receipt] = Pending(batch.id, len(batch))


def _close(line: Line, batch_id: str, rejections: Sequence[Rejection], receipt: str | None) -> None:
    noted = _note_refusals(line, batch_id, rejections)
    line.ledger.answer(batch_id, "done", receipt=receipt, refused=noted)


def _note_refusals(line: Line, batch_id: str, rejections: Sequence[Rejection]) -> int:
    """Write the refused rows of a batch beside its run: they are personal, the journal is not.

    Answers how many are noted for the batch in all.
    """
    import pyarrow as pa

    path = refusals_of(line.refusals, batch_id)
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


def _pieces(line: Line, rows: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    def measure(piece: pa.RecordBatch) -> pa.Array:
        return line.sender.measure(line.target, piece.select(list(line.columns)))

    limits = line.limits
    asked = measure if line.sender.can("measure") else None
    return pieces(rows, limits.batch_rows, limits.batch_bytes, asked)


def batch_of(line: Line, rows: pa.RecordBatch, first: int, operation: Operation) -> Batch:
    """The batch of these rows of the run, whose first row has this number among the operation's.

    Its id depends on nothing else, so it is the same when the batch is made again.
    """
    return Batch(
        id=f"{line.run_id}-{operation}-{first:09d}",
        run_id=line.run_id,
        operation=operation,
        data=rows.select(list(line.columns)),
        keys=rows.column(KEY),
    )
