"""What somebody has to look at first, at six in the morning; pure, from what the overview knows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from statistics import median
from typing import TYPE_CHECKING, Literal

from exportkit.operations.notices import BAD, GOOD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from exportkit.operations.overview import JobView, Overview
    from exportkit.state.runs import JournaledRun
    from exportkit.state.usage import KeyUsage

Level = Literal["act", "watch", "note"]
LEVELS: tuple[Level, ...] = ("act", "watch", "note")

MANY_LEFT_OUT = 0.05
WORTH_SAYING = 0.02
SUDDENLY = 3
FEW = 0.5
NEARLY_SPENT = 0.8
ENOUGH_RUNS = 4
"""Fewer earlier runs than this say nothing about what is usual."""


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing to look at: `act` (somebody has to), `watch` (it may become worse) or `note`."""

    level: Level
    subject: str
    says: str
    why: str = ""
    hint: str = ""
    since: datetime | None = None
    job: str | None = None


def matters_of(overview: Overview) -> tuple[Matter, ...]:
    """Everything there is to look at, the most urgent first."""
    found = [
        *_broken(overview),
        *(matter for view in overview.jobs for matter in _of_job(view)),
        *(matter for usage in overview.usage for matter in _of_calls(usage, overview.now)),
    ]
    return tuple(sorted(found, key=lambda matter: LEVELS.index(matter.level)))


def _broken(overview: Overview) -> Iterator[Matter]:
    for complaint in overview.broken:
        subject = str(complaint.location) if complaint.location else "a file"
        path = f"{complaint.location.path}: " if complaint.location else ""
        says = "This file cannot be used"
        yield Matter("act", subject, says, f"{path}{complaint.message}", complaint.hint or "")


def _of_job(view: JobView) -> Iterator[Matter]:
    name, last = view.job.name, view.last
    if not view.active:
        hint = f"add `connection:` to {view.job.document.file}, or remove the file"
        yield Matter("note", name, "Inactive: it has no connection", hint=hint, job=name)
        return
    if last is None:
        if view.running is None:
            hint = f"exportkit plan {name} shows what it would do"
            yield Matter("note", name, "Has not run yet", hint=hint, job=name)
        return
    if last.run.status in BAD:
        yield _bad(view, last)
    elif last.run.status == "deferred":
        why = last.error.message if last.error else ""
        ask = (last.error.hint if last.error else None) or ""
        yield Matter("watch", name, "Waits to go on", why.removesuffix(f" ({ask})"), ask, job=name)
    else:
        yield from _of_good(view, last)
    if view.missed_at is not None:
        hint = "the line in crontab: exportkit schedule show"
        says = "Did not run when it was due"
        yield Matter("act", name, says, hint=hint, since=view.missed_at, job=name)


def _bad(view: JobView, last: JournaledRun) -> Matter:
    row = list(takewhile(lambda run: run.run.status in BAD, reversed(view.runs)))
    guard = last.error is not None and last.error.kind == "guard"
    says = {
        "failed": "Failed",
        "blocked": "Stopped by a guard; nothing was sent" if guard else "Was not allowed to run",
        "interrupted": "Was interrupted",
    }[last.run.status]
    if len(row) > 1:
        more = "" if len(row) < len(view.runs) or len(row) < 60 else " at least"
        says += f", {len(row)} times{more} in a row"
    why = last.error.message if last.error else "it ended without a word: killed, or switched off"
    hint = (last.error.hint if last.error else None) or f"exportkit run {view.job.name}"
    since = row[-1].run.finished_at
    return Matter(
        "act", view.job.name, says, why.removesuffix(f" ({hint})"), hint, since, view.job.name
    )


def _of_good(view: JobView, last: JournaledRun) -> Iterator[Matter]:
    name, counts = view.job.name, last.counts
    earlier = [run for run in view.runs[:-1] if run.run.status in GOOD and run.counts.selected]
    before = [run.counts for run in earlier[-10:]]
    left_out = (counts.rejected + counts.refused) / (counts.selected or 1)
    usual = median([(c.rejected + c.refused) / c.selected for c in before] or [left_out])
    see = f"exportkit rejections {name}"
    if left_out >= WORTH_SAYING and len(before) >= ENOUGH_RUNS and left_out > SUDDENLY * usual:
        says = f"{left_out:.0%} of the rows were left out; usually it is {usual:.1%}"
        yield Matter("watch", name, says, hint=see, job=name)
    elif left_out >= MANY_LEFT_OUT:
        yield Matter("watch", name, f"{left_out:.0%} of the rows were left out", hint=see, job=name)
    if len(before) >= ENOUGH_RUNS:
        people = median([c.selected for c in before])
        if counts.selected < FEW * people:
            says = f"Only {counts.selected:,} people were in the segments; usually {people:,.0f}"
            yield Matter("watch", name, says, hint="has the source changed?", job=name)
    if counts.unsettled:
        says = f"{counts.unsettled:,} rows are without a final answer"
        yield Matter("watch", name, says, hint="the next run asks again", job=name)


def _of_calls(usage: KeyUsage, now: datetime) -> Iterator[Matter]:
    from datetime import UTC

    today = f"{now.astimezone(UTC):%Y-%m-%d}"
    made, names = usage.days.get(today, 0), ", ".join(usage.connections)
    if today in usage.spent:
        says = "The destination gives no more calls today"
        yield Matter("watch", names, says, hint="there are more after midnight UTC")
    elif usage.per_day and made >= NEARLY_SPENT * usage.per_day:
        says = f"{made:,} of the day's {usage.per_day:,} calls are used"
        yield Matter("watch", names, says, hint="there are more after midnight UTC")
