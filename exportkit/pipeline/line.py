"""The way to one target in one run: what sending and settling share.

Nothing here keeps rows: a batch is a range of a file of the plan, so it can be made again, also
after a crash.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from exportkit.engines.frames import KEY
from exportkit.engines.parquet import read_batches, write_batches
from exportkit.errors import InterruptedRun, PluginError
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
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pyarrow as pa

    from exportkit.state.batches import BatchState, JournaledBatch

Answer = TypeVar("Answer")


class Sender(Protocol):
    """The hooks of a destination that are called here, as `host.Destination` has them."""

    def can(self, hook: str) -> bool: ...
    def measure(self, target: Target, columns: pa.RecordBatch) -> pa.Array: ...
    def push(self, session: Any, batch: Batch, target: Target) -> Delivery: ...
    def remove(self, session: Any, batch: Batch, target: Target) -> Delivery: ...
    def settle(
        self,
        session: Any,
        receipts: Sequence[str],
        target: Target,
        batch_of: Callable[[str], Batch],
    ) -> Sequence[Settlement]: ...
    def find_delivery(self, session: Any, batch: Batch, target: Target) -> Finding: ...


class Ledger(Protocol):
    """What is written down: the journal's part for batches."""

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
    """A batch that waits under a receipt: its id, and where its rows lie."""

    id: str
    operation: Operation
    first_row: int
    rows: int


@dataclass(frozen=True, slots=True)
class Line:
    """The way to one target in one run: whom to call, where to write down, when to stop.

    `rows_of` reads rows of the plan again: of this operation, from this one on, so many. `share`
    shows a new file to all runners; `may_call` raises if this is not the one that runs the job any
    more.
    """

    sender: Sender
    session: Any
    target: Target
    ledger: Ledger
    run_id: str
    refusals: Path
    limits: Limits
    columns: tuple[str, ...]
    rows_of: Callable[[Operation, int, int], pa.RecordBatch]
    settle_for: timedelta = timedelta(hours=1)
    stopped: Callable[[], bool] = lambda: False
    sent: Callable[[int], None] = lambda _rows: None
    share: Callable[[Path], None] = lambda _path: None
    may_call: Callable[[], None] = lambda: None
    sleep: Callable[[float], None] = time.sleep
    pending: dict[str, Pending] = field(default_factory=dict)


def accept(line: Line, batch: Batch, first_row: int, delivery: Delivery) -> None:
    """Write down the answer to a batch: done, or pending under its receipt."""
    if delivery.receipt is None:
        close(line, batch.id, delivery.rejections, None)
        return
    waiting = line.pending.get(delivery.receipt)
    if waiting is not None and waiting.id != batch.id:
        raise PluginError(
            "the destination answered two batches with one receipt",
            hint="this is a fault of the plugin: update it, or tell its authors",
        )
    # A receipt may come with rejections: those rows are answered, the others wait.
    _note_refusals(line, batch.id, delivery.rejections)
    line.ledger.answer(
        batch.id, "pending", receipt=delivery.receipt, refused=len(delivery.rejections)
    )
    line.pending[delivery.receipt] = Pending(batch.id, batch.operation, first_row, len(batch))


def close(line: Line, batch_id: str, rejections: Sequence[Rejection], receipt: str | None) -> None:
    """Write down that every row of a batch has its answer."""
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
        line.share(path)
    return len(rows)


def refusals_of(folder: Path, batch_id: str) -> Path:
    """The file with the refused rows of a batch: key, column, reason."""
    return folder / f"{batch_id}.parquet"


def rest(line: Line, seconds: float) -> None:
    """Sleep, but no longer than a second after somebody asked to stop."""
    while seconds > 0:
        if line.stopped():
            raise InterruptedRun(
                "the run was asked to stop while the destination was still working",
                hint="run the job again: it asks for the answers first",
            )
        line.sleep(min(seconds, 1.0))
        seconds -= 1.0


def called(line: Line, call: Callable[[], Answer]) -> Answer:
    """The answer of a hook, waited for where the destination asks for patience."""

    def ours() -> Answer:
        line.may_call()
        return call()

    return patiently(ours, lambda seconds: rest(line, seconds))


def made_again(line: Line, waiting: Pending) -> Batch:
    """The batch that waits, its rows read from the plan."""
    rows = line.rows_of(waiting.operation, waiting.first_row, waiting.rows)
    return batch_of(line, rows, waiting.first_row, waiting.operation)


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
