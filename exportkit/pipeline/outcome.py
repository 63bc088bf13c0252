"""After push: what the destination's answers come to, as counts and as rows to remember."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import narwhals as nw

from exportkit.engines.frames import KEY, Engine, collect
from exportkit.state.snapshots import REASON, Confirmed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from exportkit.records import Counts, Mode
    from exportkit.state.batches import JournaledBatch

Frame = nw.LazyFrame[Any]


def sent_file(folder: Path, mode: Mode, operation: str) -> Path:
    """The file of a plan whose rows the batches of this operation are: `full` sends all."""
    if mode == "full":
        return folder / "accepted.parquet"
    return folder / "changes" / f"{operation}.parquet"


def confirm(
    folder: Path,
    mode: Mode,
    columns: Sequence[str],
    batches: Sequence[JournaledBatch],
    engine: Engine,
) -> Confirmed:
    """The rows that the destination has answered for good, by what it said of them."""
    delivered: list[Frame] = []
    removed: list[Frame] = []
    refused: list[Frame] = []
    for operation in ("add", "update", "remove"):
        done = [b for b in batches if b.operation == operation and b.state == "done"]
        if not done:
            continue
        ranges = [(batch.first_row, batch.rows) for batch in done]
        rows = engine.load(sent_file(folder, mode, operation), ranges).select(KEY, *columns)
        noted = [b.batch_id for b in done if b.refused]
        if noted:
            reasons = _refusals(folder, noted, engine)
            if operation != "remove":
                refused.append(rows.join(reasons, on=KEY, how="inner"))
            rows = rows.join(reasons, on=KEY, how="anti")
        (removed if operation == "remove" else delivered).append(rows)
    return Confirmed(*(_held(frames, engine) for frames in (delivered, removed, refused)))


def count(
    planned: Counts,
    confirmed: Confirmed,
    folder: Path,
    mode: Mode,
    batches: Sequence[JournaledBatch],
    engine: Engine,
) -> Counts:
    """The plan's counts, corrected by what the destination took, refused and left open."""
    delivered = _keys(confirmed.delivered)
    added, updated = (
        _in_both(folder / "changes" / f"{operation}.parquet", delivered, engine)
        for operation in ("add", "update")
    )
    refused = _size(confirmed.refused)
    taken = _size(confirmed.delivered)
    unchanged = taken - added - updated if mode == "full" else planned.unchanged
    open_rows = planned.sent - taken - refused
    return replace(
        planned,
        unchanged=unchanged,
        added=added,
        updated=updated,
        refused=planned.refused + refused,
        removed=_size(confirmed.removed),
        sent=sum(batch.rows for batch in batches if batch.operation != "remove"),
        unsettled=open_rows,
    )


def _refusals(folder: Path, batch_ids: Sequence[str], engine: Engine) -> Frame:
    files = [engine.load(folder / "refused" / f"{batch_id}.parquet") for batch_id in batch_ids]
    return nw.concat(files).select(nw.col("key").alias(KEY), nw.col("reason").alias(REASON))


def _held(frames: list[Frame], engine: Engine) -> Frame | None:
    return engine.hold(nw.concat(frames)) if frames else None


def _keys(frame: Frame | None) -> Frame | None:
    return None if frame is None else frame.select(KEY)


def _in_both(path: Path, keys: Frame | None, engine: Engine) -> int:
    if keys is None or not path.exists():
        return 0
    return _size(engine.load(path).select(KEY).join(keys, on=KEY, how="semi"))


def _size(frame: Frame | None) -> int:
    return 0 if frame is None else int(collect(frame.select(nw.len().alias("n")))["n"][0].as_py())
