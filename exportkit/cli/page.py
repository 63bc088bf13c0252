"""`exportkit report`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from exportkit.cli.opening import open_house, workspace_of
from exportkit.cli.report import show_json, show_text


@click.command("report")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Write this file; - prints the page. Default: report.html in the state folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def report(ctx: click.Context, output: Path | None, as_json: bool) -> None:
    """Write one HTML page about all jobs: what needs somebody first, then everything else.

    The page needs no network, and nobody's data is in it. Only you can read the file.

    \b
    Examples:
      exportkit report
      exportkit report -o /srv/intranet/exports.html
    """
    from exportkit.config.cron import machine_zone
    from exportkit.operations.attention import matters_of
    from exportkit.operations.measuring import write_page
    from exportkit.operations.overview import overview_of
    from exportkit.operations.page import render

    workspace = workspace_of(ctx)
    with open_house(workspace) as house:
        overview = overview_of(workspace, house, datetime.now(machine_zone()))
        path = output or house.state.home / "report.html"
    page = render(overview)
    if output == Path("-"):
        show_text(page)
        return
    write_page(path, page, 0o600)
    if as_json:
        matters = [
            {name: getattr(matter, name) for name in ("level", "subject", "says", "why", "hint")}
            for matter in matters_of(overview)
        ]
        show_json({"file": str(path), "attention": matters})
    else:
        show_text(f"wrote {path}")
