"""The only printer: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from exportkit.cli import log
from exportkit.redaction import without_secrets

if TYPE_CHECKING:
    from exportkit.errors import Complaint, ExportkitError
    from exportkit.pipeline.work import Planned
    from exportkit.records import Counts, Failure, Run

COUNT_WORDS = {
    "selected": "in the segments",
    "rejected": "cannot be delivered",
    "duplicates": "are the same person as another row",
    "suppressed": "are on the suppression list",
    "unchanged": "are there already",
    "added": "new",
    "updated": "changed since the last time",
    "refused": "refused by the destination",
    "removed": "not in the segments any more",
    "sent": "went to the destination",
    "unsettled": "without a final answer",
}
"""What each count says, for people."""

_LATER = "what was delivered is remembered; the next run of the job goes on from there"
NEXT = {
    "access_denied": "`exportkit connection test NAME` tests it, `authorize NAME` signs in again",
    "destination": _LATER,
    "throttled": _LATER,
    "unavailable": _LATER,
    "outcome_unknown": _LATER,
    "quota_spent": _LATER,
}
"""What to do about an error whose plugin does not say it."""


def show_json(document: object) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))


def show_error(error: ExportkitError, *, as_json: bool) -> int:
    """Print an error that stopped a command; answers its exit code."""
    if as_json:
        show_json({"runs": [], "error": error_document(error)})
    else:
        show_complaints(error.complaints)
    return error.exit_code


def error_document(error: ExportkitError) -> dict[str, Any]:
    """The error as `error` of the JSON output."""
    return {
        "kind": error.kind,
        "message": without_secrets(error.placed),
        "hint": without_secrets(error.hint) if error.hint else None,
        "complaints": [complaint_document(complaint) for complaint in error.complaints],
    }


def complaint_document(complaint: Complaint) -> dict[str, Any]:
    """A complaint with its place as plain values."""
    at = complaint.location
    return {
        "message": without_secrets(complaint.message),
        "hint": without_secrets(complaint.hint) if complaint.hint else None,
        "file": at.file if at else None,
        "line": at.line if at else None,
        "column": at.column if at else None,
        "path": at.path if at else None,
    }


def show_complaints(complaints: Iterable[Complaint]) -> None:
    """Print what is wrong on stderr: where, what, and below it what to do."""
    for complaint in complaints:
        at = complaint.location
        place = f"{at}: {at.path + ': ' if at.path else ''}" if at else ""
        if log.chosen() == "json":
            log.say(complaint.message, level="error", **_facts(complaint))
            continue
        log.say(f"{place}{complaint.message}")
        if complaint.hint:
            log.say(f"    {complaint.hint}")


def _facts(complaint: Complaint) -> dict[str, Any]:
    return {name: fact for name, fact in complaint_document(complaint).items() if name != "message"}


def show_warnings(complaints: Iterable[Complaint]) -> None:
    """Print what is wrong but does not matter here, one line each, on stderr."""
    for complaint in complaints:
        label = "" if log.chosen() == "json" else "warning: "
        log.say(f"{label}{complaint}", level="warning")


def show_notes(lines: Iterable[str], run_id: str | None = None) -> None:
    """Print lines on stderr, about a run or not."""
    for line in lines:
        level = "warning" if line.startswith("warning: ") else "info"
        log.say(line, level=level, run_id=run_id)


def show_plan(planned: Planned, sample: Sequence[Mapping[str, Any]]) -> None:
    """Print what a run would do: counts, which columns change, reasons, a sample."""
    counts = planned.plan.counts
    click.echo(f"{planned.job} -> {planned.target} ({planned.plan.mode}); nothing was sent")
    show_counts(counts, COUNT_WORDS | {"sent": "would be sent"})
    show_reasons(planned.as_dict()["reasons"])
    if planned.plan.changed_columns:
        changed = ", ".join(f"{n}: {rows:,}" for n, rows in planned.plan.changed_columns.items())
        click.echo(f"  changed columns: {changed}")
    for note in planned.plan.notes:
        click.echo(f"  {note}")
    if planned.calls.needed is not None:
        left = "" if planned.calls.left is None else f" of the {planned.calls.left:,} left today"
        click.echo(f"  a run takes about {planned.calls.needed:,} calls{left}")
    if sample:
        click.echo("  for example")
        show_table([_change_row(change) for change in sample], indent=4)
    click.echo(f"  plan {planned.plan_id}")


def _change_row(change: Mapping[str, Any]) -> tuple[str, str, str]:
    changes = change["changes"]
    if isinstance(changes, Mapping):
        described = ", ".join(
            f"{name}: {_value(values['before'])} -> {_value(values['after'])}"
            if change["operation"] == "update"
            else f"{name}: {_value(values['after'])}"
            for name, values in changes.items()
        )
    else:
        # All of a new row is new.
        described = ", ".join(changes) if change["operation"] == "update" else ""
    return change["operation"], change["key"] or "", described


def _value(value: str | None) -> str:
    return "nothing" if value is None else repr(value) if not value.isprintable() else value


def show_history(runs: Sequence[Run]) -> None:
    """Print a line a run."""
    if not runs:
        click.echo("nothing has run yet: exportkit run JOB")
    show_table(
        [
            (
                clock(run.started_at.isoformat()),
                run.job,
                run.status,
                run.error.message.splitlines()[0] if run.error else in_short(run.counts.as_dict()),
                run.run_id,
            )
            for run in runs
        ]
    )


def show_audit(entries: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each thing that somebody did."""
    if not entries:
        click.echo("nothing is recorded yet")
    show_table(
        [
            (
                clock(entry["at"]),
                f"{entry['user']} on {entry['host']}",
                entry["action"],
                entry["subject"],
                ", ".join(
                    f"{name}: {value}"
                    for name, value in entry["details"].items()
                    if not isinstance(value, Mapping)  # digests, for exportkit itself
                ),
            )
            for entry in entries
        ]
    )


def in_short(counts: Mapping[str, int]) -> str:
    """Where the rows went, in one line."""
    told = ("added", "updated", "removed", "unchanged", "rejected", "refused", "unsettled")
    return ", ".join(f"{counts[name]:,} {name}" for name in told if counts.get(name))


def clock(moment: str | None) -> str:
    """A moment of the past by the clock of this machine."""
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}" if moment else ""


def show_failure(failure: Failure, run_id: str | None = None) -> None:
    """Print why a run did not succeed, and what to do, on stderr."""
    one = "\n" not in failure.message
    # An error of several things has a hint in each line; of one, it is easier to read below.
    message = failure.message.removesuffix(f" ({failure.hint})") if one else failure.message
    hint = failure.hint or NEXT.get(failure.kind)
    if log.chosen() == "json":
        log.say(message, level="error", run_id=run_id, kind=failure.kind, hint=hint)
        return
    for line in message.splitlines():
        log.say(f"  {line}")
    if hint and hint not in message:
        log.say(f"    {hint}")


def show_counts(counts: Counts, words: Mapping[str, str] = COUNT_WORDS) -> None:
    """Print each count that is not nothing, and what it says."""
    rows = [
        (f"{number:,}", name, words[name])
        for name, number in counts.as_dict().items()
        if number or name in ("selected", "sent")
    ]
    show_table(rows, right=(0,))


def show_reasons(
    reasons: Sequence[Mapping[str, Any]], title: str = "rejected because", most: int = 5
) -> None:
    """Print the most frequent reasons for rejections, or for refusals."""
    if not reasons:
        return
    click.echo(f"  {title}")
    show_table(
        [(f"{r['rows']:,}", column_name(r["column"]), r["reason"]) for r in reasons[:most]],
        right=(0,),
        indent=4,
    )
    if len(reasons) > most:
        click.echo(f"    and {len(reasons) - most} more reasons")


def show_rejections(job: str, run_id: str, total: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows that were not delivered: key, column, reason, and the value if it is there."""
    click.echo(f"{job}: {total:,} rows were not delivered by {run_id}")
    table = [
        (
            row["key"] or row["source_key"] or "(no key)",
            column_name(row["column"]),
            row["reason"] + (" (the destination says)" if row["by"] == "destination" else ""),
            _value(row["value"]) if "value" in row else "",
        )
        for row in rows
    ]
    show_table(table)
    if total > len(rows):
        click.echo(f"  and {total - len(rows):,} more: --limit 0 shows all")


def column_name(column: str | None) -> str:
    """A column as people know it: the key that is carried along has no name of its own."""
    return "key" if column is None or column.startswith("exportkit_") else column


def show_table(
    rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), indent: int = 2
) -> None:
    """Print rows as aligned columns, on stdout, by the width that a terminal gives each text."""
    widths = (
        [max((_cells(row[n]) for row in rows), default=0) for n in range(len(rows[0]))]
        if rows
        else []
    )
    for row in rows:
        cells = []
        for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
            padding = " " * (width - _cells(cell))
            cells.append(padding + cell if number in right else cell + padding)
        click.echo((" " * indent + "  ".join(cells)).rstrip())


def _cells(text: str) -> int:
    """The width of a text on a terminal; colours have none."""
    from rich.cells import cell_len

    return cell_len(click.unstyle(text))


def show_text(text: str) -> None:
    """Print text as it is."""
    click.echo(text)


def is_terminal() -> bool:
    """Whether a person watches stderr."""
    return sys.stderr.isatty()
