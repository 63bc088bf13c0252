"""`exportkit status`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from exportkit.cli import completing, report, results
from exportkit.cli.opening import open_house, workspace_of

if TYPE_CHECKING:
    from exportkit.access.roles import Standing


@click.command()
@click.argument("job", required=False, shell_complete=completing.jobs)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def status(ctx: click.Context, job: str | None, as_json: bool) -> None:
    """Show how each job went, when it runs next, what is running right now, your permissions.

    `data of` is when the newest file of the job's source was written. A job that cannot run is
    inactive, and the last column says why.

    \b
    Examples:
      exportkit status
      exportkit status vip-newsletter --json
    """
    from exportkit.access.roles import standing_in
    from exportkit.host.loader import load_plugins
    from exportkit.operations.schedules import active, looked_at
    from exportkit.operations.states import state_of

    workspace = workspace_of(ctx)
    standing = standing_in(workspace)
    jobs = (workspace.job(job),) if job else workspace.jobs().items
    host, now = load_plugins(), datetime.now(UTC)
    with open_house(workspace) as house:
        states = [state_of(workspace, host, house, each, now) for each in jobs]
        folder, size, looked = house.state.shown, house.state.size(), looked_at(house.state)
    if as_json:
        report.show_json(
            {
                "jobs": [state.as_dict() for state in states],
                "permissions": standing.as_dict(),
                "state": {"folder": folder, "bytes": size},
                "due_looked_at": looked.isoformat() if looked else None,
            }
        )
        return
    report.show_warnings(workspace.warnings)
    results.show_status(states)
    if job is None:
        if active([state.job for state in states]):
            report.show_text(results.shown_look(looked))
        report.show_text(f"state: {results.shown_size(size)} in {folder}")
        report.show_text(_permissions(standing))


def _permissions(standing: Standing) -> str:
    facts = standing.as_dict()
    why = "" if standing.declared else "; exportkit.yaml has no `roles:`"
    role = f"as {facts['role']}" if facts["role"] else "without a role"
    return f"your permissions: {facts['user']}, {role}, may {facts['may']}{why}"
