"""`exportkit metrics`."""

from __future__ import annotations

from pathlib import Path

import click

from exportkit.cli import report
from exportkit.cli.opening import open_house, workspace_of


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write this file instead of printing; others may read it.",
)
@click.pass_context
def metrics(ctx: click.Context, output: Path | None) -> None:
    """Print how all jobs are, in Prometheus's text format.

    Each run also leaves it in the state folder, as metrics.prom. There is nothing personal in it.

    \b
    Examples:
      exportkit metrics
      exportkit metrics -o /var/lib/prometheus/node-exporter/exportkit.prom
    """
    from exportkit.operations.measuring import write_metrics

    workspace = workspace_of(ctx)
    with open_house(workspace) as house:
        text = write_metrics(workspace, house)
        if output:
            write_metrics(workspace, house, output)
    if output:
        report.show_text(f"wrote {output}")
    else:
        report.show_text(text.removesuffix("\n"))
