"""A batch as it is written down: which rows of which file of its run, and how far it got."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from exportkit.records import Operation

BatchState = Literal["intended", "pending", "done", "not_taken", "unknown"]
"""`intended`: the call may have left; `pending`: a receipt waits; `unknown`: nobody can say."""


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
