"""How a run that ended is printed: what changed, what was left out and why, what happens next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from exportkit.cli import report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from exportkit.config.job import Job
    from exportkit.operations.cleaning import Cleaned
    from exportkit.operations.states import JobState
    from exportkit.records import Counts, Run

COLOURS = {"succeeded": "green", "partial": "yellow", "deferred": "yellow"}
"""Of a status on a terminal; of any other red."""


def show_run(
    run: Run,
    reasons: Sequence[Mapping[str, Any]],
    refusals: Sequence[Mapping[str, Any]],
    next_steps: Sequence[str],
) -> None:
    """Print how a run ended: what changed, what was not delivered and why, what is next."""
    took = (run.finished_at - run.started_at).total_seconds()
    said = f"in {took:.1f} s, {_in_a_word(run.counts)} ({run.run_id})"
    click.echo(f"{click.style(run.job, bold=True)}: {status_word(run.status)} {said}")
    if run.error is not None:
        report.show_failure(run.error, run.run_id)
    if run.counts.selected:
        report.show_counts(run.counts)
        report.show_reasons(reasons)
        report.show_reasons(refusals, "refused by the destination because")
    for step in next_steps:
        click.echo(f"  {step}")


def show_together(runs: Sequence[Run]) -> None:
    """Print a line a run, after the reports of several."""
    click.echo(f"{len(runs)} jobs")
    report.show_table([(run.job, status_word(run.status), in_a_line(run)) for run in runs])


def show_status(states: Sequence[JobState]) -> None:
    """Print a line a job: how its last run ended, when it runs next, how old its data are."""
    if not states:
        click.echo("there is no job yet: a file in jobs/ makes one")
        return
    head = ("job", "last run", "at", "next run", "data of", "")
    report.show_table([head, *(_state_row(state) for state in states)])


def _state_row(state: JobState) -> tuple[str, ...]:
    following = shown_time(state.next_at) if state.next_at else "by name"
    data = report.clock(state.refreshed_at.isoformat()) if state.refreshed_at else "unknown"
    word, at, says = "never", "", ""
    if state.last is not None:
        word, says = state.last.status, in_a_line(state.last)
        at = report.clock(state.last.finished_at.isoformat())
    if state.running is not None:
        word, at, says = "running", report.clock(state.running.get("since")), ""
        if state.running:
            says = f"as pid {state.running['pid']} on {state.running['host']}"
    if state.inactive is not None:
        following, says = "inactive", f"inactive: {state.inactive}"
    coloured = word if word in ("never", "running") else status_word(word)
    return state.job.name, coloured, at, following, data, says


def show_cleaned(done: Sequence[Cleaned], kept: Sequence[str], size: int, *, dry_run: bool) -> None:
    """Print what was removed, or would be, and what only --gone removes."""
    if not done:
        click.echo("nothing is over its term")
    report.show_table(
        [
            (
                each.job,
                f"{each.files:,} files ({shown_size(each.bytes)}) of runs",
                f"{each.journal_rows:,} runs in the journal",
                f"snapshots: {len(each.snapshots)}" if each.snapshots else "",
            )
            for each in done
        ]
    )
    if done:
        click.echo("would be removed; nothing was" if dry_run else "removed")
    for job in kept:
        click.echo(f"job '{job}' is gone; what it delivered is remembered: --gone forgets it")
    click.echo(f"state: {shown_size(size)}")


def shown_look(looked: datetime | None) -> str:
    """When the schedules were looked at last, or how that begins."""
    if looked is None:
        return "schedules: `run --due` was never called; exportkit schedule show says how"
    return f"schedules: `run --due` was last called {report.clock(looked.isoformat())}"


def shown_size(size: int) -> str:
    """A number of bytes, for people."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def status_word(status: str) -> str:
    """A status, coloured on a terminal."""
    return click.style(status, fg=COLOURS.get(status, "red"))


def in_a_line(run: Run) -> str:
    """What a run came to: its counts, or why there are none."""
    if run.error is not None:
        return run.error.message.splitlines()[0]
    return report.in_short(run.counts.as_dict())


def next_steps(run: Run, job: Job) -> list[str]:
    """What to do about the run, and when the job runs by itself again."""
    from exportkit.operations.schedules import is_skip, next_time

    steps = []
    if run.counts.rejected or run.counts.refused:
        steps.append(f"see them: exportkit rejections {run.job}")
    following = next_time(job, datetime.now(UTC))
    if following is not None:
        soon = "as soon as it can; then " if is_skip(run) else ""
        steps.append(f"next: {soon}{shown_time(following)}")
    return steps


def refusals_of(run: Run, folder: Path) -> list[dict[str, Any]]:
    """Why the destination refused rows of this run, the most frequent reason first."""
    if not run.counts.refused:
        return []
    from collections import Counter

    from exportkit.pipeline.rejections import refused_because
    from exportkit.redaction import redact

    found: Counter[tuple[str | None, str]] = Counter()
    for (column, reason), rows in refused_because(folder).items():
        found[column, redact(reason)] += rows  # it may quote a person
    return [
        {"column": column, "reason": reason, "rows": rows}
        for (column, reason), rows in found.most_common()
    ]


def shown_time(moment: datetime) -> str:
    """A moment to come, in its own zone."""
    return f"{moment:%a %Y-%m-%d %H:%M %Z}"


def _in_a_word(counts: Counts) -> str:
    lost = counts.rejected + counts.refused
    verb = "handed over" if counts.unsettled else "sent"
    said = [f"{counts.sent:,} {verb}" if counts.sent else "nothing sent"]
    if counts.removed:
        said.append(f"{counts.removed:,} removed")
    if lost:
        said.append(f"{lost:,} of {counts.selected:,} cannot be delivered")
    if counts.unsettled:
        said.append(f"{counts.unsettled:,} without a final answer")
    return ", ".join(said)
