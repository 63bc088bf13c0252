"""`exportkit schema`."""

from __future__ import annotations

import click

from exportkit.cli import completing, report
from exportkit.config.schemas import compose
from exportkit.errors import UsageError


@click.command()
@click.argument("kind", type=click.Choice(["workspace", "source", "connection", "job"]))
@click.option(
    "--type",
    "type_",
    shell_complete=completing.plugins,
    help="Compose in the options of this destination.",
)
def schema(kind: str, type_: str | None) -> None:
    """Print the JSON Schema of a kind of file, for editors.

    With --type, the options that the destination declares are part of it.

    \b
    Examples:
      exportkit schema source
      exportkit schema job --type csv > .schemas/job-csv.json
    """
    if type_ is None:
        report.show_json(compose(kind))
        return
    if kind not in ("connection", "job"):
        raise UsageError(f"a {kind} has no type", hint="leave --type out")
    from exportkit.host.loader import load_plugins

    description = load_plugins().destination(type_).describe()
    report.show_json(
        compose(
            kind,
            type=type_,
            connection_options=description.connection_options,
            job_options=description.job_options,
        )
    )
