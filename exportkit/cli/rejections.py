"""`exportkit rejections`."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from exportkit.cli import completing, report
from exportkit.cli.opening import open_house, workspace_of
from exportkit.errors import UsageError
from exportkit.redaction import mask, redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exportkit.state.runs import JournaledRun


@click.command()
@click.argument("job", shell_complete=completing.jobs)
@click.option("--run-id", help="Of this run; without it, of the last one that has a plan.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="How many rows; 0 for all.",
)
@click.option("--show-values", is_flag=True, help="Show keys and values; this is audited.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def rejections(
    ctx: click.Context, job: str, run_id: str | None, limit: int, show_values: bool, as_json: bool
) -> None:
    """Show the rows of JOB's last run that were not delivered, and why.

    Keys are masked and values left out unless you ask for them.

    \b
    Examples:
      exportkit rejections vip-newsletter
      exportkit rejections vip-newsletter --show-values --limit 0
    """
    from exportkit.access.audit import note
    from exportkit.access.roles import require_job
    from exportkit.pipeline.rejections import count_rejected, rejected_rows

    workspace = workspace_of(ctx)
    found = workspace.job(job)
    require_job(workspace, found)
    name = found.name
    with open_house(workspace) as house:
        runs = [run for run in house.journal.runs(name) if run_id in (None, run.run_id)]
        folders = [house.state.run(run.run_id) for run in runs]
        kept = house.shelf.files(house.state.runs)
        folder = next((f for f in folders if f / "rejections.parquet" in kept), None)
        if folder is None:
            raise _nothing(name, run_id, runs)
        house.shelf.bring(folder)
        if show_values:
            note(house.journal, "rejections --show-values", name, run_id=folder.name)
        rows = list(islice(rejected_rows(folder), limit or None))
        total = count_rejected(folder)
    shown = [row if show_values else _masked(row) for row in rows]
    if as_json:
        report.show_json({"job": name, "run_id": folder.name, "total": total, "rows": shown})
    else:
        report.show_rejections(name, folder.name, total, shown)


def _nothing(job: str, run_id: str | None, runs: Sequence[JournaledRun]) -> UsageError:
    which = f"run {run_id} of job '{job}'" if run_id else f"job '{job}'"
    if not runs:
        return UsageError(
            f"there is no run {run_id} of job '{job}'" if run_id else f"{which} has no run yet",
            hint=f"run it first: exportkit run {job}",
        )
    lost = next((n for run in runs if (n := run.counts.rejected + run.counts.refused)), 0)
    if not lost:
        return UsageError(
            f"{which} has no rejections to look at",
            hint=f"a plan finds those that there are now: exportkit plan {job}",
        )
    return UsageError(
        f"the rows that {which} did not deliver, {lost:,} the last time, are not kept any more",
        hint="`retention:` says how long they are (30 days without it); a run that reads the "
        f"source again finds those that there are now: exportkit run {job} --full",
    )


def _masked(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "by": row["by"],
        "key": mask(row["key"]),
        "source_key": mask(row["source_key"]),
        "column": row["column"],
        "reason": redact(row["reason"]),
    }
