"""`exportkit status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from exportkit.cli import report
from exportkit.cli.opening import open_house, workspace_of

if TYPE_CHECKING:
    from exportkit.access.roles import Standing
    from exportkit.config.job import Job
    from exportkit.state.house import House


@click.command()
@click.argument("job", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def status(ctx: click.Context, job: str | None, as_json: bool) -> None:
    """Show each job's last result, what is running right now, and your permissions.

    \b
    Examples:
      exportkit status
      exportkit status vip-newsletter --json
    """
    from exportkit.access.roles import standing_in

    workspace = workspace_of(ctx)
    standing = standing_in(workspace)
    jobs = (workspace.job(job),) if job else workspace.jobs().items
    with open_house(workspace) as house:
        states = [_state(house, each) for each in jobs]
    if as_json:
        report.show_json({"jobs": states, "permissions": standing.as_dict()})
        return
    report.show_warnings(workspace.warnings)
    report.show_status(states)
    if job is None:
        report.show_text(_permissions(standing))


def _permissions(standing: Standing) -> str:
    facts = standing.as_dict()
    why = "" if standing.declared else "; exportkit.yaml has no `roles:`"
    role = f"as {facts['role']}" if facts["role"] else "without a role"
    return f"your permissions: {facts['user']}, {role}, may {facts['may']}{why}"


def _state(house: House, job: Job) -> dict[str, Any]:
    from exportkit.state.locks import holder_of

    running = holder_of(house.state.locks / f"{job.name}.lock")
    latest = house.journal.runs(job.name, limit=2)
    # While a run is on, what it will come to is not known: the one before it is the last.
    last = next((run for run in latest if run.finished_at or running is None), None)
    return {
        "job": job.name,
        "active": job.connection is not None,
        "schedule": job.schedule,
        "running": running,
        "last": last.run.as_dict() if last else None,
    }
