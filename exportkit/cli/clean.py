"""`exportkit clean`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from exportkit.cli import report, results
from exportkit.cli.opening import open_house, workspace_of


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--gone", is_flag=True, help="Also what jobs delivered whose files are gone.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def clean(ctx: click.Context, dry_run: bool, gone: bool, as_json: bool) -> None:
    """Remove what is over its term (`retention:`) of all jobs; each run does it of its own job.

    What was delivered last and what is still open stays. With --gone, what is remembered of jobs
    that are not in the workspace any more goes too: should one come back, it sends everybody again.

    \b
    Examples:
      exportkit clean --dry-run
      exportkit clean --gone
    """
    from exportkit.operations.cleaning import clean as clean_state
    from exportkit.operations.cleaning import gone_jobs

    workspace = workspace_of(ctx)
    with open_house(workspace) as house:
        done = clean_state(workspace, house, datetime.now(UTC), dry_run=dry_run, gone=gone)
        kept = [] if gone else gone_jobs(workspace, house)
        size = house.state.size()
    if as_json:
        removed = [each.as_dict() for each in done]
        document = {"dry_run": dry_run, "jobs": removed, "gone": kept, "bytes": size}
        report.show_json(document)
        return
    results.show_cleaned(done, kept, size, dry_run=dry_run)
