"""`exportkit segments`."""

from __future__ import annotations

import click

from exportkit.cli import completing, report
from exportkit.cli.opening import workspace_of
from exportkit.errors import ConfigError


@click.command()
@click.argument("source", shell_complete=completing.sources)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def segments(ctx: click.Context, source: str, as_json: bool) -> None:
    """Count the members of each segment of SOURCE, in one pass over its rows.

    \b
    Examples:
      exportkit segments customers
    """
    from exportkit.engines.sources import open_source

    workspace = workspace_of(ctx)
    found = workspace.source(source)
    with open_source(found, workspace.root) as opened:
        if complaints := opened.complaints():
            raise ConfigError(complaints=complaints)
        counts = opened.count([segment.name for segment in found.segments])
    if as_json:
        members = [
            {
                "name": segment.name,
                "members": counts[segment.name],
                "description": segment.description,
            }
            for segment in found.segments
        ]
        report.show_json({"source": found.name, "segments": members})
        return
    report.show_table(
        [(f"{counts[s.name]:,}", s.name, s.description or "") for s in found.segments], right=(0,)
    )
