"""Stage 6: what was answered with a receipt gets its final word, in this run or a later one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from exportkit.errors import BusyError
from exportkit.pipeline.line import (
    Line,
    Pending,
    accept,
    batch_of,
    called,
    close,
    made_again,
    rest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exportkit.records import Batch
    from exportkit.state.batches import JournaledBatch

SETTLE_FIRST, SETTLE_LONGEST = 1.0, 30.0
"""Seconds between questions to `settle`: doubled from the first to the longest."""


@dataclass(frozen=True, slots=True)
class Lost:
    """How many rows were taken, and then failed; and why, as far as the destination says."""

    rows: int = 0
    reason: str = ""

    def __add__(self, more: Lost) -> Lost:
        return Lost(self.rows + more.rows, self.reason or more.reason)


def settle(line: Line) -> Lost:
    """Ask until nothing is pending; answers what failed.

    Raises BusyError when the destination needs longer than the job wants to wait.
    """
    waited, pause, lost = 0.0, SETTLE_FIRST, Lost()
    while line.pending:
        lost += _settled(line)
        if not line.pending:
            break
        if waited >= line.settle_for.total_seconds():
            raise BusyError(
                f"the destination is still working on {len(line.pending)} batches",
                hint="nothing is lost: the next run asks again before it sends anything",
            )
        rest(line, pause)
        waited, pause = waited + pause, min(pause * 2, SETTLE_LONGEST)
    return lost


def resume(
    line: Line, batches: Sequence[JournaledBatch], again: Callable[[Line, Batch, int], None]
) -> None:
    """Take up the batches that an earlier run, whose line this is, left without a final answer.

    What nobody can tell stays `unknown` for as long as the destination declares; `again` hands
    over once more what may be. Raises as `send` and `settle` do.
    """
    for known in batches:
        if known.state == "pending" and known.receipt is not None:
            line.pending[known.receipt] = Pending(
                known.batch_id, known.operation, known.first_row, known.rows
            )
        elif known.state in ("intended", "unknown"):
            _look_for(line, known, again)
    settle(line)


def _look_for(line: Line, known: JournaledBatch, again: Callable[[Line, Batch, int], None]) -> None:
    if not line.sender.can("find_delivery"):
        line.ledger.answer(known.batch_id, "not_taken")
        return
    rows = line.rows_of(known.operation, known.first_row, known.rows)
    batch = batch_of(line, rows, known.first_row, known.operation)
    finding = called(line, lambda: line.sender.find_delivery(line.session, batch, line.target))
    if finding.state == "taken":
        accept(line, batch, known.first_row, finding.delivery)
    elif finding.state == "not_taken" or _age(known) > timedelta(hours=line.limits.unknown_hours):
        line.ledger.answer(batch.id, "not_taken")
    elif finding.state == "repeat":
        again(line, batch, known.first_row)
    else:
        line.ledger.answer(batch.id, "unknown")


def _age(known: JournaledBatch) -> timedelta:
    return datetime.now(UTC) - datetime.fromisoformat(known.intended_at)


def _settled(line: Line) -> Lost:
    """Ask once for all that is pending; answers what failed."""
    lost = Lost()
    receipts = tuple(line.pending)

    def batch_of_receipt(receipt: str) -> Batch:
        return made_again(line, line.pending[receipt])

    for settlement in called(
        line,
        lambda: line.sender.settle(line.session, receipts, line.target, batch_of_receipt),
    ):
        if settlement.state == "pending":
            continue
        waiting = line.pending.pop(settlement.receipt)
        if settlement.state == "failed":
            line.ledger.answer(waiting.id, "not_taken", receipt=settlement.receipt)
            lost += Lost(waiting.rows, settlement.reason)
        else:
            close(line, waiting.id, settlement.rejections, settlement.receipt)
    return lost
