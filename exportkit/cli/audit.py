"""`exportkit audit`."""

from __future__ import annotations

import click

from exportkit.cli import completing, report
from exportkit.cli.opening import open_house, workspace_of


@click.command()
@click.argument("subject", required=False, shell_complete=completing.jobs_and_connections)
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    help="How many entries; 0 for all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def audit(ctx: click.Context, subject: str | None, limit: int, as_json: bool) -> None:
    """Show who did what, when and from which host, the latest first.

    SUBJECT is the name of a connection or job; without it, everything is shown.

    \b
    Examples:
      exportkit audit
      exportkit audit marketing --json
    """
    with open_house(workspace_of(ctx)) as house:
        entries = [entry.as_dict() for entry in house.journal.audited(subject, limit or None)]
    if as_json:
        report.show_json({"entries": entries})
    else:
        report.show_audit(entries)
