"""What people are told of a run, and whether there is anything to tell. It is never personal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from exportkit.redaction import redact

if TYPE_CHECKING:
    from exportkit.config.notify import Occasion
    from exportkit.records import Run

GOOD = ("succeeded", "partial")
BAD = ("failed", "blocked", "interrupted")
"""A run that was deferred is neither: it comes again."""

TOLD = ("added", "updated", "removed", "unchanged", "rejected", "refused", "unsettled")


@dataclass(frozen=True, slots=True)
class Notice:
    """A message of a title and a few lines; `tone` is how urgent it looks."""

    title: str
    body: str
    tone: Literal["failure", "warning", "success", "info"]


def occasions_of(done: Run, before: str | None) -> frozenset[Occasion]:
    """What a run is an occasion of. `before` is the status of the last run that was good or bad."""
    found: set[Occasion] = {"always"}
    if done.status in BAD:
        is_guard = done.error is not None and done.error.kind == "guard"
        found.add("guard" if is_guard else "failure")
    elif done.status in GOOD and before in BAD:
        found.add("recovery")
    return frozenset(found)


def notice_of(done: Run, occasions: frozenset[Occasion]) -> Notice:
    """The message about a run: status, why and what to do, counts, how to see more."""
    lines = [f"{done.job} {_in_words(done, occasions)}."]
    if done.error is not None:
        lines.append(redact(done.error.message))
        if done.error.hint:
            lines.append(f"What to do: {redact(done.error.hint)}")
    counts = done.counts.as_dict()
    told = [f"{counts[name]:,} {name}" for name in TOLD if counts[name]]
    if done.counts.selected:
        lines.append(f"Of {done.counts.selected:,} selected: {', '.join(told) or 'nothing to do'}.")
    took = (done.finished_at - done.started_at).total_seconds()
    lines.append(f"Run {done.run_id}, {done.finished_at:%Y-%m-%d %H:%M} UTC, {took:,.1f} s")
    if done.counts.rejected or done.counts.refused:
        lines.append(f"Who was left out and why: exportkit rejections {done.job}")
    title = f"exportkit: {done.job} {_in_words(done, occasions)}"
    return Notice(title, "\n".join(lines), _tone(occasions))


def _in_words(done: Run, occasions: frozenset[Occasion]) -> str:
    if "recovery" in occasions:
        return f"works again ({done.status})"
    if "guard" in occasions:
        return "was stopped by a guard, and nothing was sent"
    return {
        "blocked": "was not allowed to run",
        "interrupted": "was interrupted",
        "deferred": "has to wait",
        "partial": "succeeded, but some rows were left out",
    }.get(done.status, done.status)


def _tone(occasions: frozenset[Occasion]) -> Literal["failure", "warning", "success", "info"]:
    if "failure" in occasions:
        return "failure"
    if "guard" in occasions:
        return "warning"
    return "success" if "recovery" in occasions else "info"
