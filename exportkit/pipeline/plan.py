"""Stage 4: what a run would add, update, remove and leave. Nothing is sent.

Written once, in narwhals, for every engine: the difference between the accepted rows and what was
delivered before.
"""

from __future__ import annotations

import os
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw

from exportkit.durable import make_folder, synced
from exportkit.engines.frames import KEY, Engine, aligned, collect, count_rows
from exportkit.engines.parquet import read_batches
from exportkit.pipeline.handover import Accepted, Before, Plan
from exportkit.records import Counts, Mode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Frame = nw.LazyFrame[Any]

WAS = "exportkit_was_"
"""Prefix of the columns that say what was delivered before, in the plan's updates."""
_TRIED = "exportkit_tried_"
_SAME = "exportkit_same"
_JOIN = "exportkit_join"
_NEVER = nw.lit(value=False)


def make_plan(
    accepted: Accepted,
    before: Before,
    columns: tuple[str, ...],
    mode: Mode,
    engine: Engine,
    folder: Path,
    *,
    streams: bool = False,
) -> Plan:
    """Compare the accepted rows with what was delivered before; write the plan to `folder`.

    With `streams` the accepted rows stay unwritten: who sends all of them writes them on the way.
    """
    make_folder(folder / "changes")
    rows, unsettled = accepted.rows, 0
    if before.unsettled is not None:
        unsettled = count_rows(rows.join(before.unsettled, on=KEY, how="semi"))
        rows = engine.hold(rows.join(before.unsettled, on=KEY, how="anti"))
    kept = accepted.kept - unsettled
    if not streams and (before.unsettled is not None or not (folder / "accepted.parquet").exists()):
        engine.write(rows, folder / "accepted.parquet")
    added, updated, refused = kept, 0, 0
    changed: dict[str, int] = {}
    stay: Frame | None = None
    if before.delivered is not None or before.refused is not None:
        beside = engine.hold(_changes(rows, before, columns, mode))
        added, updated, refused, changed = _compare(beside, before, columns, mode, engine, folder)
        stay = _stayed(beside, columns) if before.delivered is not None else None
    elif not streams:
        all_added(folder, kept)
    removed = _removals(accepted, before, columns, engine, folder) if mode == "mirror" else 0
    counts = Counts(
        selected=accepted.selected,
        rejected=accepted.rejected,
        duplicates=accepted.duplicates,
        suppressed=accepted.suppressed,
        unchanged=kept - added - updated - refused,
        added=added,
        updated=updated,
        refused=refused,
        removed=removed,
        sent=kept if mode == "full" else added + updated,
        unsettled=unsettled,
    )
    return Plan(folder, mode, columns, counts, rows, accepted.reasons, changed, stayed=stay)


def all_added(folder: Path, rows: int) -> None:
    """Say that every accepted row is new: as a second name of the file, not as a copy."""
    if rows:
        os.link(folder / "accepted.parquet", folder / "changes" / "add.parquet")
        synced(folder / "changes")


def sample(plan: Plan, rows: int = 10) -> list[dict[str, Any]]:
    """The first changes of each operation, column by column: operation, key, changes.

    `changes` is by column what was there before and what comes after. All of it is personal.
    """
    changes: list[dict[str, Any]] = []
    for operation in ("add", "update", "remove"):
        path = plan.changes(operation)
        if path.exists():
            found = next(read_batches(path, rows)).to_pylist()
            changes += [_change(operation, row, plan.columns) for row in found]
    return changes


def _change(operation: str, row: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    known = {name: row.get(name) for name in columns}
    nothing = dict.fromkeys(columns)
    was = {name: row.get(WAS + name) for name in columns}
    before, after = {
        "add": (nothing, known),
        "update": (was, known),
        "remove": (known, nothing),
    }[operation]
    return {
        "operation": operation,
        "key": row[KEY],
        "changes": {
            name: {"before": before[name], "after": after[name]}
            for name in columns
            if before[name] != after[name]
        },
    }


_IS_NEW = nw.col(WAS + KEY).is_null()
_IS_GONE = nw.col(KEY).is_null()


def _changes(rows: Frame, before: Before, columns: Sequence[str], mode: Mode) -> Frame:
    """The rows that are new or differ, beside what was delivered; and what did not come again."""
    joined = _beside(rows, before.delivered, columns, WAS, how="full")
    is_change = _IS_NEW if mode == "insert" else _IS_NEW | _differs(columns, WAS)
    return joined.filter(is_change | _IS_GONE)


def _stayed(beside: Frame, columns: Sequence[str]) -> Frame:
    names = [KEY, *columns]
    return beside.filter(_IS_GONE).select(*(nw.col(WAS + name).alias(name) for name in names))


def _compare(
    beside: Frame,
    before: Before,
    columns: Sequence[str],
    mode: Mode,
    engine: Engine,
    folder: Path,
) -> tuple[int, int, int, dict[str, int]]:
    """Added, updated and still refused rows, and how many rows changed in each column."""
    changed, refused = beside.filter(~_IS_GONE), 0
    if before.refused is not None and mode != "full":
        tried = _beside(changed, before.refused, columns, _TRIED)
        as_refused = ~nw.col(_TRIED + KEY).is_null() & ~_differs(columns, _TRIED)
        tried = engine.hold(tried.with_columns(as_refused.alias(_SAME)))
        refused = count_rows(tried.filter(nw.col(_SAME)))
        changed = tried.filter(~nw.col(_SAME)).select(changed.collect_schema().names())
    updates = changed.filter(~_IS_NEW)
    added = _write_some(changed.filter(_IS_NEW).select(KEY, *columns), engine, folder, "add")
    updated = _write_some(updates, engine, folder, "update")
    return added, updated, refused, _by_column(updates, columns) if updated else {}


def _by_column(updates: Frame, columns: Sequence[str]) -> dict[str, int]:
    sums = [_differs([name], WAS).cast(nw.Int64).sum().alias(name) for name in columns]
    rows = collect(updates.select(*sums)).to_pylist()[0]
    return {name: int(rows[name]) for name in columns if rows[name]}


def _removals(
    accepted: Accepted, before: Before, columns: Sequence[str], engine: Engine, folder: Path
) -> int:
    """Only leaving the segments or being suppressed removes; a rejected row stays where it is.

    Whom another job has delivered too is left to it: `left` are those, so that they are no longer
    this job's, and the other one takes them out when its turn comes.
    """
    if before.delivered is None:
        return 0
    gone = before.delivered.join(accepted.staying, on=KEY, how="anti")
    if before.unsettled is not None:
        gone = gone.join(before.unsettled, on=KEY, how="anti")
    if before.elsewhere is not None:
        left = gone.join(before.elsewhere, on=KEY, how="semi").select(KEY)
        _write_some(left, engine, folder, "left")
        gone = gone.join(before.elsewhere, on=KEY, how="anti")
    return _write_some(aligned(gone, columns), engine, folder, "remove")


def _beside(
    rows: Frame,
    other: Frame | None,
    columns: Sequence[str],
    prefix: str,
    how: Literal["left", "full"] = "left",
) -> Frame:
    """The rows with the other frame's key and columns beside them, null where it lacks the key.

    `full` brings the other frame's rows too that have nothing beside them.
    """
    names = [KEY, *columns]
    if other is None:
        nothing = [nw.lit(None, dtype=nw.String).alias(prefix + name) for name in names]
        return rows.with_columns(*nothing)
    renamed = aligned(other, columns).select(*(nw.col(n).alias(prefix + n) for n in names))
    return rows.join(
        renamed.with_columns(nw.col(prefix + KEY).alias(_JOIN)),
        left_on=KEY,
        right_on=_JOIN,
        how=how,
    )


def _differs(columns: Sequence[str], prefix: str) -> nw.Expr:
    # An empty text is null since the mapping, so it can stand for null here.
    each = [nw.col(n).fill_null("") != nw.col(prefix + n).fill_null("") for n in columns]
    while len(each) > 1:  # in pairs, since an expression must not be deep
        each = [one | other for one, other in zip_longest(each[::2], each[1::2], fillvalue=_NEVER)]
    return each[0] if each else _NEVER


def _write_some(frame: Frame, engine: Engine, folder: Path, operation: str) -> int:
    """Write the rows of one operation; no file where there are none.

    In the order of their keys: joins on several cores come out in another order each time.
    """
    path = folder / "changes" / f"{operation}.parquet"
    rows = engine.write(frame.sort(KEY), path)
    if not rows:
        path.unlink()
    return rows
