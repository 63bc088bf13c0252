"""Stage 5: the changes go out in batches, each written down before its call leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exportkit.engines.pieces import pieces
from exportkit.errors import DestinationError, InterruptedRun, OutcomeUnknownError
from exportkit.pipeline.line import Line, accept, batch_of, called, rest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from exportkit.records import Batch, Delivery, Finding, Operation

MOST_CALLS = 5
"""How often one batch is handed over whose answer is lost, and which was not taken, each time."""


def send(
    line: Line, rows: Iterable[pa.RecordBatch], operation: Operation, *, glue: bool = True
) -> None:
    """Hand over every row; what is answered with a receipt waits for `settle`.

    Without `glue` in more batches than need be, for who does not mind a call more.
    Raises what stops the run: DestinationError, InterruptedRun between two calls, or PluginError.
    """
    for first, piece in cut(line, rows, operation, glue=glue):
        batch = batch_of(line, piece, first, operation)
        if line.stopped():
            raise InterruptedRun(
                "the run was asked to stop; the call in flight was finished",
                hint="run the job again: it goes on where this run stopped",
            )
        line.ledger.intend(batch.id, batch.run_id, operation, first, len(batch))
        accept(line, batch, first, _handed_over(line, batch))
        line.sent(len(batch))


def cut(
    line: Line, rows: Iterable[pa.RecordBatch], operation: Operation, *, glue: bool = True
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows in batches that the destination can take, each with its first row's number."""

    def measure(piece: pa.RecordBatch) -> pa.Array:
        return line.sender.measure(line.target, piece.select(list(line.columns)))

    limits = line.limits
    most = limits.removal_rows if operation == "remove" else None
    asked = measure if line.sender.can("measure") else None
    return pieces(rows, most or limits.batch_rows, limits.batch_bytes, asked, glue=glue)


def again(line: Line, batch: Batch, first: int) -> None:
    """Hand a batch over that may have been taken before: its destination takes it once."""
    accept(line, batch, first, _handed_over(line, batch, in_doubt=True))


def _handed_over(line: Line, batch: Batch, *, in_doubt: bool = False) -> Delivery:
    """The destination's answer to one batch; a batch whose answer is lost is looked for first.

    One that stays `in_doubt` is not said to be not taken: a later run looks for it again.
    """
    call = line.sender.remove if batch.operation == "remove" else line.sender.push
    lost = None
    for _ in range(MOST_CALLS):
        try:
            return called(line, lambda: call(line.session, batch, line.target))
        except OutcomeUnknownError as error:
            lost = error
        except DestinationError:
            if not in_doubt:
                line.ledger.answer(batch.id, "not_taken")
            raise
        finding = _found(line, batch)
        if finding.state == "taken":
            return finding.delivery
        in_doubt = finding.state == "repeat"
        rest(line, 1.0)
    if not in_doubt:
        line.ledger.answer(batch.id, "not_taken")
    raise lost or OutcomeUnknownError("the connection died during a call, again and again")


def _found(line: Line, batch: Batch) -> Finding:
    """What became of a batch whose answer was lost. Raises where nobody knows, and it matters."""
    if not line.sender.can("find_delivery"):
        raise OutcomeUnknownError(
            "the connection died during a call, and this destination cannot say what became of it",
            hint="run the job again: at most the rows of that one call are sent a second time",
        )
    finding = called(line, lambda: line.sender.find_delivery(line.session, batch, line.target))
    if finding.state == "unknown":
        line.ledger.answer(batch.id, "unknown")
        raise OutcomeUnknownError(
            "the connection died during a call, and the destination does not know what became of "
            "it yet",
            hint="run the job again later: it asks first, and sends nothing twice",
        )
    return finding
