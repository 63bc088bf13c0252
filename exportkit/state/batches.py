"""A batch as it is written down: which rows of which file of its run, and how far it got."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from exportkit.records import Operation

BatchState = Literal["intended", "pending", "done", "folded", "not_taken", "unknown"]
"""`intended`: the call may have left; `pending`: a receipt waits; `unknown`: nobody can say;
`folded`: done, and in the snapshot."""
COLUMNS = "batch_id, run_id, operation, first_row, rows, state, receipt, refused, intended_at"
"""What `batch_of` reads of the journal's table."""


@dataclass(frozen=True, slots=True)
class JournaledBatch:
    """A batch as the journal knows it: which rows of which file of its run, and how far it got."""

    batch_id: str
    run_id: str
    operation: Operation
    first_row: int
    rows: int
    state: BatchState
    receipt: str | None = None
    refused: int = 0
    intended_at: str = ""


def batch_of(row: Mapping[str, Any], skew: timedelta) -> JournaledBatch:
    """The batch of a row of the journal's table, whose clock is ahead of this host's by `skew`."""
    intended_at = datetime.fromisoformat(row["intended_at"]) - skew
    return JournaledBatch(**{**row, "intended_at": intended_at.isoformat(timespec="microseconds")})


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
