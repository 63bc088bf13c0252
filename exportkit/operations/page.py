"""The report as one HTML page that needs nothing else: an overview in, text out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exportkit import __version__
from exportkit.operations.attention import matters_of
from exportkit.operations.charts import HEIGHT, WIDTH, Chart, bar_chart, strip
from exportkit.operations.notices import GOOD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exportkit.operations.attention import Matter
    from exportkit.operations.overview import JobView, Overview
    from exportkit.records import Counts
    from exportkit.state.runs import JournaledRun
    from exportkit.state.usage import KeyUsage

TEMPLATES = Path(__file__).with_name("templates")
DAYS_SHOWN = 30

LOOKS = {
    "succeeded": ("good", "succeeded"),
    "partial": ("fair", "partial"),
    "failed": ("bad", "failed"),
    "blocked": ("bad", "blocked"),
    "interrupted": ("bad", "interrupted"),
    "deferred": ("idle", "deferred"),
}
"""How each status looks, and the word for it."""

STRIP = {"good": 0.42, "fair": 0.68, "bad": 1.0, "idle": 0.2}
"""How high each look stands in the strip of past runs: it can be read without colours."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One small chart of a job's past: what, the last value in words, and the bars."""

    title: str
    latest: str
    scale: str
    chart: Chart
    says: str


@dataclass(frozen=True, slots=True)
class Past:
    """The strip of a job's past runs: a path for each look, and what it shows in words."""

    paths: dict[str, str]
    says: str


def render(overview: Overview) -> str:
    """The whole page. Whatever a file or a destination calls something is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    here = overview.now.tzinfo
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=lambda number: f"{number:,}",
        moment=lambda moment: _moment(moment.astimezone(here), overview.now),
        took=took,
    )
    matters = matters_of(overview)
    views = _in_order(overview, matters)
    return environment.get_template("report.html").render(
        overview=overview,
        matters=matters,
        verdict=verdict(overview, matters),
        totals=_totals(overview),
        jobs=[(view, _past(view), _figures(view.runs)) for view in views],
        reasons=_reasons(overview),
        usage=[(key, *_calls(key, overview.now)) for key in overview.usage],
        who=lambda use: _who(overview, use),
        looks=LOOKS,
        left_out=left_out,
        box=f"0 0 {WIDTH:g} {HEIGHT:g}",
        version=__version__,
    )


def verdict(overview: Overview, matters: Sequence[Matter]) -> tuple[str, str]:
    """How things are, as a look and a sentence."""
    act = len({matter.subject for matter in matters if matter.level == "act"})
    watch = len({matter.subject for matter in matters if matter.level == "watch"})
    if act:
        return "bad", f"{_things(act)} you"
    if watch:
        return "fair", "Nothing failed, but look at this" if watch == 1 else (
            f"Nothing failed, but look at {watch} things"
        )
    if not overview.jobs:
        return "idle", "There is no job yet"
    if not any(view.runs for view in overview.jobs):
        return "idle", "Nothing has run yet"
    return "good", "All is well"


def took(seconds: float) -> str:
    """A duration for people.

    >>> took(0.84), took(75), took(7320)
    ('0.8 s', '1 min 15 s', '2 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def left_out(counts: Counts) -> int:
    """Rows that were not delivered: rejected before they were sent, or refused after."""
    return counts.rejected + counts.refused


def _things(number: int) -> str:
    return "One thing needs" if number == 1 else f"{number} things need"


def _moment(moment: datetime, now: datetime) -> str:
    days = (moment.date() - now.date()).days
    clock = f"{moment:%H:%M}"
    if days in (-1, 0, 1):
        return f"{('yesterday', 'today', 'tomorrow')[days + 1]} {clock}"
    year = f" {moment.year}" if moment.year != now.year else ""
    return f"{moment:%a} {moment.day} {moment:%b}{year}, {clock}"


def _in_order(overview: Overview, matters: Sequence[Matter]) -> list[JobView]:
    """The jobs that need somebody first, then by name."""
    urgency: dict[str | None, int] = {}
    for number, matter in enumerate(matters):
        if matter.level != "note":
            urgency.setdefault(matter.job, number)
    last = len(matters)
    return sorted(overview.jobs, key=lambda v: (urgency.get(v.job.name, last), v.job.name))


def _totals(overview: Overview) -> list[tuple[str, str]]:
    """What happened in the last day, as numbers with a word each."""
    since = overview.now - timedelta(days=1)
    runs = [run for view in overview.jobs for run in view.runs if run.started_at >= since]
    total = Counter[str]()
    for run in runs:
        total.update(run.counts.as_dict())
    good = sum(run.run.status in GOOD for run in runs)
    return [
        (f"{len(runs):,}", "run" if len(runs) == 1 else "runs"),
        (f"{good:,}", "went well"),
        (f"{total['added']:,}", "added"),
        (f"{total['updated']:,}", "updated"),
        (f"{total['removed']:,}", "removed"),
        (f"{total['rejected'] + total['refused']:,}", "left out"),
    ]


def _past(view: JobView) -> Past:
    statuses = [run.run.status for run in view.runs]
    counted = ", ".join(f"{n} {LOOKS[status][1]}" for status, n in Counter(statuses).items())
    says = f"Past runs of {view.job.name}, the latest at the right: {counted}"
    return Past(strip([LOOKS[status][0] for status in statuses], STRIP), says)


def _figures(runs: Sequence[JournaledRun]) -> list[Figure]:
    """The history of a job, one figure for each kind of number."""
    if not runs:
        return []
    kinds: list[tuple[str, Callable[[JournaledRun], float], Callable[[float], str]]] = [
        ("Added", lambda run: run.counts.added, _count),
        ("Updated", lambda run: run.counts.updated, _count),
        ("Removed", lambda run: run.counts.removed, _count),
        ("Left out", lambda run: left_out(run.counts), _count),
        ("Took", _seconds, took),
    ]
    return [_figure(title, [value(run) for run in runs], words) for title, value, words in kinds]


def _figure(title: str, values: list[float], words: Callable[[float], str]) -> Figure:
    chart = bar_chart(values)
    says = f"{len(values)} runs, from {words(min(values))} to {words(max(values))}"
    if len(values) == 1:
        says = f"one run: {words(values[0])}"
    scale = words(chart.scale) if max(values) > 0 else ""
    return Figure(title, words(values[-1]), scale, chart, f"{says}; the last {words(values[-1])}")


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _seconds(run: JournaledRun) -> float:
    return (run.run.finished_at - run.started_at).total_seconds()


def _reasons(overview: Overview) -> list[dict[str, Any]]:
    """The reasons of all jobs' last runs, the most frequent first."""
    found: dict[tuple[str, str, str], Counter[str]] = {}
    for view in overview.jobs:
        for reason in view.reasons:
            key = reason.by, reason.column, reason.reason
            found.setdefault(key, Counter())[view.job.name] += reason.rows
    rows = [
        {"by": by, "column": column, "reason": reason, "rows": jobs.total(), "jobs": sorted(jobs)}
        for (by, column, reason), jobs in found.items()
    ]
    return sorted(rows, key=lambda row: -row["rows"])


def _calls(usage: KeyUsage, now: datetime) -> tuple[list[tuple[str, int]], Chart]:
    """Calls by day in UTC, as a quota counts them, up to today; and their chart."""
    today = now.astimezone(UTC).date()
    dates = [today - timedelta(days=back) for back in reversed(range(DAYS_SHOWN))]
    days = [(date.isoformat(), usage.days.get(date.isoformat(), 0)) for date in dates]
    return days, bar_chart([calls for _, calls in days], limit=usage.per_day)


def _who(overview: Overview, use: Sequence[str]) -> str:
    """Who may use a connection, in words."""
    if overview.people is None:
        return "whoever runs exportkit (no roles)"
    return "; ".join(
        f"{role}: {', '.join(overview.people.get(role, ())) or 'nobody'}" for role in use
    )
