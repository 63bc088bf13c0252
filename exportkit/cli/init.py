"""`exportkit init`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from exportkit.cli import report
from exportkit.cli.adding import add_connection, asked
from exportkit.errors import UsageError


@click.command()
@click.argument("directory", default=".", type=click.Path(path_type=Path), metavar="[DIR]")
@click.option("--connection", metavar="NAME", help="Add a connection of your own as well.")
@asked
def init(directory: Path, connection: str | None, **said: Any) -> None:
    """Write a starter workspace into DIR that runs at once.

    It has a source of invented customers, a connection that writes CSV files, three jobs, and
    schemas for your editor. No file is replaced. With --connection it goes on as `exportkit
    connection add` does: the flags below, and what they leave open is asked on a terminal.

    \b
    Examples:
      exportkit init newsletter && cd newsletter
      exportkit run vip-newsletter
      exportkit init newsletter --connection marketing
    """
    from exportkit.config.workspace import open_workspace
    from exportkit.host.loader import load_plugins
    from exportkit.operations.starter import write_starter

    if connection is None and any(said.values()):
        raise UsageError("these flags are for a connection", hint="say --connection NAME as well")
    files = write_starter(directory, load_plugins())
    report.show_text(f"{len(files)} files are in {directory}; now try")
    if directory != Path():
        report.show_text(f"  cd {directory}")
    report.show_text("  exportkit plan vip-newsletter\n  exportkit run vip-newsletter")
    if connection is not None:
        add_connection(open_workspace(directory), connection, said)
