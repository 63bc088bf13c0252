"""After push: what the destination's answers come to, as counts and as rows to remember."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import narwhals as nw

from exportkit.engines.frames import KEY, Engine, count_rows
from exportkit.state.snapshots import REASON, Confirmed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from exportkit.pipeline.handover import Plan
    from exportkit.records import Counts, Operation
    from exportkit.state.batches import JournaledBatch

Frame = nw.LazyFrame[Any]


def confirm(plan: Plan, batches: Sequence[JournaledBatch], engine: Engine) -> Confirmed:
    """The rows of these batches, which were answered for good, by what was said of them."""
    delivered: list[Frame] = []
    removed: list[Frame] = []
    refused: list[Frame] = []
    for operation in ("add", "update", "remove"):
        done = [batch for batch in batches if batch.operation == operation]
        if not done:
            continue
        rows = rows_of(plan, operation, done, engine)
        noted = [b.batch_id for b in done if b.refused]
        if noted:
            reasons = _refusals(plan.folder, noted, engine)
            if operation != "remove":
                refused.append(rows.join(reasons, on=KEY, how="inner"))
            rows = rows.join(reasons, on=KEY, how="anti")
        (removed if operation == "remove" else delivered).append(rows)
    path = plan.changes("left")
    left = [engine.load(path)] if path.exists() else []
    return Confirmed(*(_held(frames, engine) for frames in (delivered, removed, refused, left)))


def rows_of(
    plan: Plan, operation: Operation, batches: Sequence[JournaledBatch], engine: Engine
) -> Frame:
    """The rows of these batches of one operation, key and columns."""
    ranges = [(batch.first_row, batch.rows) for batch in batches]
    return engine.load(plan.sent_file(operation), ranges).select(KEY, *plan.columns)


def count(
    plan: Plan, confirmed: Confirmed, batches: Sequence[JournaledBatch], engine: Engine
) -> Counts:
    """The plan's counts, corrected by what the destination took, refused and left open."""
    delivered = None if confirmed.delivered is None else confirmed.delivered.select(KEY)
    added = _in_both(plan.changes("add"), delivered, engine)
    updated = _in_both(plan.changes("update"), delivered, engine)
    taken, refused = _size(confirmed.delivered), _size(confirmed.refused)
    full = plan.mode == "full"
    return replace(
        plan.counts,
        unchanged=taken - added - updated if full else plan.counts.unchanged,
        added=added,
        updated=updated,
        refused=refused if full else plan.counts.refused + refused,
        removed=_size(confirmed.removed),
        sent=sum(batch.rows for batch in batches if batch.operation != "remove"),
        unsettled=plan.counts.unsettled + plan.counts.sent - taken - refused,
    )


def _refusals(folder: Path, batch_ids: Sequence[str], engine: Engine) -> Frame:
    files = [engine.load(folder / "refused" / f"{batch_id}.parquet") for batch_id in batch_ids]
    return nw.concat(files).select(nw.col("key").alias(KEY), nw.col("reason").alias(REASON))


def _held(frames: list[Frame], engine: Engine) -> Frame | None:
    return engine.hold(nw.concat(frames)) if frames else None


def _in_both(path: Path, keys: Frame | None, engine: Engine) -> int:
    if keys is None or not path.exists():
        return 0
    return _size(engine.load(path).select(KEY).join(keys, on=KEY, how="semi"))


def _size(frame: Frame | None) -> int:
    return 0 if frame is None else count_rows(frame)
