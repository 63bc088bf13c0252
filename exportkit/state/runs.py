"""A run as it is written down: how it ended, and what it was planned from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from exportkit.records import Counts, Failure, Run

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = (
    "run_id, job, target, status, started_at, finished_at, CAST(counts AS TEXT) AS counts,"
    " CAST(error AS TEXT) AS error, CAST(reasons AS TEXT) AS reasons,"
    " CAST(facts AS TEXT) AS facts, folded"
)
"""What `run_of` reads of the journal's table."""


@dataclass(frozen=True, slots=True)
class JournaledRun:
    """A run as the journal knows it. `facts` say what it was planned from."""

    run_id: str
    job: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    counts: Counts
    error: Failure | None
    reasons: tuple[Mapping[str, Any], ...]
    facts: Mapping[str, Any]
    target: str = ""
    folded: bool = True

    @property
    def run(self) -> Run:
        """The run as `run --json` shows it. One that nobody finished was interrupted."""
        return Run(
            self.run_id,
            self.job,
            self.status if self.finished_at else "interrupted",  # type: ignore[arg-type]
            self.started_at,
            self.finished_at or self.started_at,
            self.counts,
            self.error,
        )


def run_of(row: Mapping[str, Any]) -> JournaledRun:
    """The run of a row of the journal's table."""
    finished_at, error = row["finished_at"], json.loads(row["error"] or "null")
    return JournaledRun(
        row["run_id"],
        row["job"],
        row["status"],
        datetime.fromisoformat(row["started_at"]),
        datetime.fromisoformat(finished_at) if finished_at else None,
        Counts(**json.loads(row["counts"])),
        Failure(**error) if error else None,
        tuple(json.loads(row["reasons"])),
        json.loads(row["facts"]),
        row["target"],
        bool(row["folded"]),
    )
