"""`exportkit init`."""

from __future__ import annotations

from pathlib import Path

import click

from exportkit.cli import report


@click.command()
@click.argument("directory", default=".", type=click.Path(path_type=Path), metavar="[DIR]")
def init(directory: Path) -> None:
    """Write a starter workspace into DIR that runs at once.

    It has a source of invented customers, a connection that writes CSV files, three jobs, and
    schemas for your editor. No file is replaced.

    \b
    Examples:
      exportkit init newsletter && cd newsletter
      exportkit run vip-newsletter
    """
    from exportkit.host.loader import load_plugins
    from exportkit.operations.starter import write_starter

    files = write_starter(directory, load_plugins())
    report.show_text(f"{len(files)} files are in {directory}; now try")
    if directory != Path():
        report.show_text(f"  cd {directory}")
    report.show_text("  exportkit plan vip-newsletter\n  exportkit run vip-newsletter")
