"""`exportkit history`."""

from __future__ import annotations

import click

from exportkit.cli import completing, report
from exportkit.cli.opening import open_house, workspace_of


@click.command()
@click.argument("job", required=False, shell_complete=completing.jobs)
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="How many runs; 0 for all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def history(ctx: click.Context, job: str | None, limit: int, as_json: bool) -> None:
    """Show past runs of JOB, or of all jobs, the latest first.

    \b
    Examples:
      exportkit history
      exportkit history vip-newsletter --limit 5
    """
    workspace = workspace_of(ctx)
    name = workspace.job(job).name if job else None
    with open_house(workspace) as house:
        runs = [past.run for past in house.journal.runs(name, limit or None)]
    if as_json:
        report.show_json({"runs": [run.as_dict() for run in runs]})
    else:
        report.show_history(runs)
