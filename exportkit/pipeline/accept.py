"""Stage 3: which of the mapped rows may be delivered: faults become reasons, one row a person.

Written once, in narwhals, for every engine. What makes lazy frames slow is computing them twice,
so the mapped frame comes in held, and what is counted twice is held too. A row that occurs once
never meets the ranking of duplicates: only keys that occur twice do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw

from exportkit.engines.frames import (
    FAULT,
    KEY,
    PREFER,
    SOURCE_KEY,
    SUPPRESSED,
    Engine,
    collect,
    count_rows,
)
from exportkit.pipeline.handover import Accepted, ReasonCount, Rules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from exportkit.records import Check

Frame = nw.LazyFrame[Any]

_ROWS = "exportkit_rows"
_BEST = "exportkit_best"


def accept(mapped: Frame, rules: Rules, engine: Engine, rejections: Path) -> Accepted:
    """Sort the mapped rows (a held frame): the order is reject, suppress, dedupe.

    The rejected ones are written to `rejections`.
    """
    tally = _tally(mapped, rules)
    reasons = _reasons(tally, rules.checks)
    engine.write(_rejections(mapped, rules.checks), rejections)
    rows, duplicates = _without_duplicates(_candidates(mapped, rules), rules, engine)
    present = mapped.filter(~nw.col(KEY).is_null())
    staying = present.filter(~nw.col(SUPPRESSED)) if rules.suppresses else present
    return Accepted(
        rows=rows.select(KEY, *rules.columns),
        staying=staying.select(KEY),
        selected=sum(row[_ROWS] for row in tally),
        rejected=sum(reason.rows for reason in reasons),
        suppressed=sum(r[_ROWS] for r in tally if r[FAULT] is None and r.get(SUPPRESSED)),
        duplicates=duplicates,
        reasons=reasons,
    )


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
        chosen = [nw.when(fault == n).then(value) for n, value in enumerate(values)]
        return nw.coalesce(*chosen, nw.lit(None, dtype=nw.String))

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
    keys = count_rows(repeated)
    if not keys:
        return rows, 0
    tied = engine.hold(rows.join(repeated, on=KEY, how="semi"))
    duplicates = count_rows(tied) - keys
    if rules.prefer is not None:
        preferred = nw.col(PREFER)
        best = preferred.max() if rules.prefer == "descending" else preferred.min()
        tops = tied.group_by(KEY).agg(best.alias(_BEST))
        is_top = (nw.col(PREFER) == nw.col(_BEST)) | nw.col(_BEST).is_null()
        tied = tied.join(tops, on=KEY, how="left").filter(is_top).drop(_BEST)
    tied = engine.hold(tied.with_columns(_order([SOURCE_KEY, *rules.columns]).alias(_BEST)))
    first = tied.group_by(KEY).agg(nw.col(_BEST).min().alias(_ROWS))
    winners = (
        tied.join(first, on=KEY, how="left")
        .filter(nw.col(_BEST) == nw.col(_ROWS))
        .drop(_BEST, _ROWS)
        .unique(subset=[KEY], keep="any")
        .sort(SOURCE_KEY, KEY)  # so that the same rows come in the same order every time
    )
    alone = rows.join(repeated, on=KEY, how="anti")
    both = nw.concat([alone, winners.select(alone.collect_schema().names())])
    return both.select(KEY, *rules.columns), duplicates


def _order(columns: Sequence[str]) -> nw.Expr:
    """A text that sorts rows by the columns in turn, bytewise, nulls last."""
    parts = [
        nw.when(nw.col(name).is_null())
        .then(nw.lit("1"))
        .otherwise(nw.concat_str([nw.lit("0"), nw.col(name)]))
        for name in columns
    ]
    return nw.concat_str(parts, separator="\x01")
