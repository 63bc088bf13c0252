"""`exportkit plan`."""

from __future__ import annotations

from typing import Any

import click

from exportkit.cli import completing, report
from exportkit.cli.opening import open_house, prepare_jobs, workspace_of
from exportkit.redaction import mask


@click.command()
@click.argument("job", shell_complete=completing.jobs)
@click.option("--full", is_flag=True, help="Plan to send every accepted row.")
@click.option("--offline", is_flag=True, help="Ask nobody: use what was last known.")
@click.option("--show-values", is_flag=True, help="Show keys and values; this is audited.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def plan(
    ctx: click.Context, job: str, full: bool, offline: bool, show_values: bool, as_json: bool
) -> None:
    """Show what a run of JOB would add, update, remove, leave and reject.

    Nothing is sent. The sample shows which columns of which rows change; keys are masked and
    values left out unless you ask for them.

    \b
    Examples:
      exportkit plan vip-newsletter
      exportkit plan vip-newsletter --show-values
    """
    from exportkit.access.audit import note
    from exportkit.cli.watch import watching
    from exportkit.host.loader import load_plugins
    from exportkit.pipeline.run import plan_job
    from exportkit.pipeline.work import Orders

    workspace = workspace_of(ctx)
    (prepared,) = prepare_jobs(workspace, load_plugins(), [job])
    if not as_json:
        report.show_warnings(workspace.warnings)
    with open_house(workspace) as house, watching(prepared.job.name) as watch:
        if show_values:
            note(house.journal, "plan --show-values", prepared.job.name)
        orders = Orders(full=full, offline=offline, planning=True)
        planned = plan_job(prepared, house, orders, watch)
    sample = [_shown(change, show_values) for change in planned.sample]
    if as_json:
        report.show_json(planned.as_dict() | {"sample": sample})
        return
    report.show_plan(planned, sample)


def _shown(change: dict[str, Any], show_values: bool) -> dict[str, Any]:
    if show_values:
        return change
    return {
        "operation": change["operation"],
        "key": mask(change["key"]),
        "changes": list(change["changes"]),
    }
