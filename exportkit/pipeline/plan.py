"""Stage 3: what a run would add, update, remove, leave and reject. Nothing is sent.

Written once, in narwhals, for every engine. What makes lazy frames slow is computing them twice,
so the mapped frame comes in held, and what is counted twice is held too. A row that occurs once
never meets the ranking of duplicates: only keys that occur twice do.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw

from exportkit.engines.frames import (
    FAULT,
    KEY,
    PREFER,
    SOURCE_KEY,
    SUPPRESSED,
    Engine,
    aligned,
    collect,
)
from exportkit.records import Check, Counts, Mode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Frame = nw.LazyFrame[Any]

WAS = "exportkit_was_"
"""Prefix of the columns that say what was delivered before, in the plan's updates."""
_TRIED = "exportkit_tried_"
_ROWS = "exportkit_rows"
_JOIN = "exportkit_join"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the plan obeys besides the frames. `streams` leaves the accepted rows unwritten: who
    sends all of them at once writes them on the way."""

    columns: tuple[str, ...]
    checks: tuple[Check, ...]
    mode: Mode
    prefer: Literal["ascending", "descending"] | None = None
    suppresses: bool = False
    streams: bool = False


@dataclass(frozen=True, slots=True)
class Before:
    """What is known from earlier runs. `delivered`, `refused` and `elsewhere` are held frames.

    `elsewhere` are the keys that other jobs have delivered to the same target.
    """

    delivered: Frame | None = None
    refused: Frame | None = None
    elsewhere: Frame | None = None


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many rows were rejected for one reason."""

    column: str
    reason: str
    rows: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as it was written to `folder`; the counts are what a run without refusals ends with.

    `rows` are the accepted rows as a frame. The folder holds accepted.parquet, rejections.parquet
    and changes/{add,update,remove}.parquet, of the last three only those that have rows.
    """

    folder: Path
    mode: Mode
    columns: tuple[str, ...]
    counts: Counts
    rows: Frame
    reasons: tuple[ReasonCount, ...] = ()
    changed_columns: dict[str, int] = field(default_factory=dict)

    @property
    def accepted(self) -> Path:
        """Every row that may be delivered, whether it changed or not."""
        return self.folder / "accepted.parquet"

    @property
    def rejections(self) -> Path:
        """The rows that cannot be delivered, with column, reason and value."""
        return self.folder / "rejections.parquet"

    def changes(self, operation: str) -> Path:
        """The rows of one operation: add, update or remove."""
        return self.folder / "changes" / f"{operation}.parquet"


def make_plan(mapped: Frame, before: Before, rules: Rules, engine: Engine, folder: Path) -> Plan:
    """Plan from the mapped frame (held) and what was delivered before; write it to `folder`."""
    (folder / "changes").mkdir(mode=0o700)
    tally = _tally(mapped, rules)
    reasons = _reasons(tally, rules.checks)
    rejected = sum(reason.rows for reason in reasons)
    suppressed = sum(row[_ROWS] for row in tally if row[FAULT] is None and row.get(SUPPRESSED))
    selected = sum(row[_ROWS] for row in tally)
    engine.write(_rejections(mapped, rules.checks), folder / "rejections.parquet")

    accepted, duplicates = _without_duplicates(_candidates(mapped, rules), rules, engine)
    accepted = accepted.select(KEY, *rules.columns)
    kept = selected - rejected - suppressed - duplicates
    if not rules.streams:
        engine.write(accepted, folder / "accepted.parquet")
    if before.delivered is None and before.refused is None:
        if not rules.streams:
            all_added(folder, kept)
        added, updated, refused = kept, 0, 0
        changed: dict[str, int] = {}
    else:
        added, updated, refused, changed = _compare(accepted, before, rules, engine, folder)
    removed = _removals(mapped, before, rules, engine, folder)
    counts = Counts(
        selected=selected,
        rejected=rejected,
        duplicates=duplicates,
        suppressed=suppressed,
        unchanged=kept - added - updated - refused,
        added=added,
        updated=updated,
        refused=refused,
        removed=removed,
        sent=kept if rules.mode == "full" else added + updated,
    )
    return Plan(folder, rules.mode, rules.columns, counts, accepted, reasons, changed)


def _tally(mapped: Frame, rules: Rules) -> list[dict[str, Any]]:
    groups = [FAULT, SUPPRESSED] if rules.suppresses else [FAULT]
    counted: list[dict[str, Any]] = collect(
        mapped.group_by(*groups).agg(nw.len().alias(_ROWS))
    ).to_pylist()
    return counted


def _reasons(tally: list[dict[str, Any]], checks: Sequence[Check]) -> tuple[ReasonCount, ...]:
    rows: dict[Check, int] = {}
    for group in tally:
        if group[FAULT] is not None:
            check = checks[group[FAULT]]
            rows[check] = rows.get(check, 0) + group[_ROWS]
    most_first = sorted(rows.items(), key=lambda item: (-item[1], item[0].column, item[0].reason))
    return tuple(ReasonCount(check.column, check.reason, n) for check, n in most_first)


def _rejections(mapped: Frame, checks: Sequence[Check]) -> Frame:
    """One row a rejected row: its keys, the column, the reason, and the value as text."""
    fault = nw.col(FAULT)

    def choose(values: Sequence[nw.Expr]) -> nw.Expr:
        nothing: nw.Expr = nw.lit(None, dtype=nw.String)
        return reduce(
            lambda rest, numbered: nw.when(fault == numbered[0]).then(numbered[1]).otherwise(rest),
            enumerate(values),
            nothing,
        )

    return mapped.filter(~fault.is_null()).select(
        nw.col(KEY),
        nw.col(SOURCE_KEY),
        choose([nw.lit(check.column) for check in checks]).alias("column"),
        choose([nw.lit(check.reason) for check in checks]).alias("reason"),
        choose([nw.col(check.column) for check in checks]).alias("value"),
    )


def _candidates(mapped: Frame, rules: Rules) -> Frame:
    fit = nw.col(FAULT).is_null()
    return mapped.filter(fit & ~nw.col(SUPPRESSED) if rules.suppresses else fit)


def _without_duplicates(rows: Frame, rules: Rules, engine: Engine) -> tuple[Frame, int]:
    """One row a key, and how many rows that leaves out.

    Ties go to the source's key, then to the columns, bytewise, nulls last.
    """
    repeated = engine.hold(
        rows.group_by(KEY).agg(nw.len().alias(_ROWS)).filter(nw.col(_ROWS) > 1).select(KEY)
    )
    keys = _count(repeated)
    if not keys:
        return rows, 0
    tied = engine.hold(rows.join(repeated, on=KEY, how="semi"))
    duplicates = _count(tied) - keys
    if rules.prefer is not None:
        preferred = nw.col(PREFER)
        best = preferred.max() if rules.prefer == "descending" else preferred.min()
        tops = tied.group_by(KEY).agg(best.alias(WAS))
        is_top = (nw.col(PREFER) == nw.col(WAS)) | nw.col(WAS).is_null()
        tied = tied.join(tops, on=KEY, how="left").filter(is_top).drop(WAS)
    tied = engine.hold(tied.with_columns(_order([SOURCE_KEY, *rules.columns]).alias(WAS)))
    first = tied.group_by(KEY).agg(nw.col(WAS).min().alias(_ROWS))
    winners = (
        tied.join(first, on=KEY, how="left")
        .filter(nw.col(WAS) == nw.col(_ROWS))
        .drop(WAS, _ROWS)
        .unique(subset=[KEY], keep="any")
    )
    alone = rows.join(repeated, on=KEY, how="anti")
    return nw.concat([alone, winners.select(alone.collect_schema().names())]), duplicates


def _order(columns: Sequence[str]) -> nw.Expr:
    """A text that sorts rows by the columns in turn, bytewise, nulls last."""
    parts = [
        nw.when(nw.col(name).is_null())
        .then(nw.lit("1"))
        .otherwise(nw.concat_str([nw.lit("0"), nw.col(name)]))
        for name in columns
    ]
    return nw.concat_str(parts, separator="\x01")


def all_added(folder: Path, rows: int) -> None:
    """Say that every accepted row is new: as a second name of the file, not as a copy."""
    if rows:
        os.link(folder / "accepted.parquet", folder / "changes" / "add.parquet")


def _compare(
    accepted: Frame, before: Before, rules: Rules, engine: Engine, folder: Path
) -> tuple[int, int, int, dict[str, int]]:
    """Added, updated and still refused rows, and how many rows changed in each column."""
    columns = rules.columns
    joined = _beside(accepted, before.delivered, columns, WAS)
    is_new = nw.col(WAS + KEY).is_null()
    is_change = is_new if rules.mode == "insert" else is_new | _differs(columns, WAS)
    changed = engine.hold(joined.filter(is_change))
    refused = 0
    if before.refused is not None:
        tried = _beside(changed, before.refused, columns, _TRIED)
        as_refused = ~nw.col(_TRIED + KEY).is_null() & ~_differs(columns, _TRIED)
        tried = engine.hold(tried.with_columns(as_refused.alias(_ROWS)))
        refused = _count(tried.filter(nw.col(_ROWS)))
        changed = tried.filter(~nw.col(_ROWS)).select(changed.collect_schema().names())
    updates = changed.filter(~is_new)
    added = _write_some(changed.filter(is_new).select(KEY, *columns), engine, folder, "add")
    updated = _write_some(updates, engine, folder, "update")
    return added, updated, refused, _by_column(updates, columns) if updated else {}


def _by_column(updates: Frame, columns: Sequence[str]) -> dict[str, int]:
    sums = [_differs([name], WAS).cast(nw.Int64).sum().alias(name) for name in columns]
    rows = collect(updates.select(*sums)).to_pylist()[0]
    return {name: int(rows[name]) for name in columns if rows[name]}


def _removals(mapped: Frame, before: Before, rules: Rules, engine: Engine, folder: Path) -> int:
    """Only leaving the segments or being suppressed removes; a rejected row stays where it is."""
    if rules.mode != "mirror" or before.delivered is None:
        return 0
    staying = mapped.filter(~nw.col(KEY).is_null())
    if rules.suppresses:
        staying = staying.filter(~nw.col(SUPPRESSED))
    gone = before.delivered.join(staying.select(KEY), on=KEY, how="anti")
    if before.elsewhere is not None:
        gone = gone.join(before.elsewhere.select(KEY), on=KEY, how="anti")
    return _write_some(aligned(gone, rules.columns), engine, folder, "remove")


def _beside(rows: Frame, other: Frame | None, columns: Sequence[str], prefix: str) -> Frame:
    """The rows with the other frame's key and columns beside them, null where it lacks the key."""
    names = [KEY, *columns]
    if other is None:
        nothing = [nw.lit(None, dtype=nw.String).alias(prefix + name) for name in names]
        return rows.with_columns(*nothing)
    renamed = aligned(other, columns).select(*(nw.col(n).alias(prefix + n) for n in names))
    return rows.join(
        renamed.with_columns(nw.col(prefix + KEY).alias(_JOIN)),
        left_on=KEY,
        right_on=_JOIN,
        how="left",
    )


def _differs(columns: Sequence[str], prefix: str) -> nw.Expr:
    # An empty text is null since the mapping, so it can stand for null here.
    return nw.any_horizontal(
        *(nw.col(n).fill_null("") != nw.col(prefix + n).fill_null("") for n in columns),
        ignore_nulls=False,
    )


def _count(frame: Frame) -> int:
    return int(collect(frame.select(nw.len().alias(_ROWS)))[_ROWS][0].as_py())


def _write_some(frame: Frame, engine: Engine, folder: Path, operation: str) -> int:
    """Write the rows of one operation; no file where there are none."""
    path = folder / "changes" / f"{operation}.parquet"
    rows = engine.write(frame, path)
    if not rows:
        path.unlink()
    return rows
