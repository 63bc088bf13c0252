"""`exportkit plugins` and what is below it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from exportkit.cli import catalogue, completing, report

if TYPE_CHECKING:
    from exportkit.host.destination import Destination
    from exportkit.host.loader import Host
    from exportkit.records import Column, Description


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def plugins(ctx: click.Context, as_json: bool) -> None:
    """Show what is installed, and what failed to load and why.

    \b
    Examples:
      exportkit plugins
      exportkit plugins show csv
    """
    if ctx.invoked_subcommand is not None:
        return
    from exportkit.host.loader import load_plugins

    host = load_plugins()
    if as_json:
        report.show_json(_listing(host))
        return
    catalogue.show_plugins(_listing(host))


@plugins.command()
@click.argument("type_", metavar="TYPE", shell_complete=completing.plugins)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(type_: str, as_json: bool) -> None:
    """Show a destination's options, fields, modes and limits.

    \b
    Examples:
      exportkit plugins show csv
    """
    from exportkit.host.loader import load_plugins

    document = _described(load_plugins().destination(type_))
    if as_json:
        report.show_json(document)
    else:
        catalogue.show_destination(document)


def _listing(host: Host) -> dict[str, Any]:
    installed = []
    for plugin in host.plugins:
        entry = asdict(plugin)
        if plugin.destination:
            entry["title"] = host.destination(plugin.name).describe().title
        installed.append(entry)
    return {"plugins": installed, "broken": [asdict(broken) for broken in host.broken]}


def _described(destination: Destination) -> dict[str, Any]:
    facts: Description = destination.describe()
    plugin = destination.plugin
    return {
        "type": destination.type,
        "title": facts.title,
        "description": facts.description,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "hooks": list(plugin.hooks),
        "modes": list(facts.modes),
        "third_party": facts.third_party,
        "whole": facts.whole,
        "limits": asdict(facts.limits),
        "fields": [_field(column) for column in facts.fields],
        "connection_options": facts.connection_options,
        "job_options": facts.job_options,
    }


def _field(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "kind": column.kind,
        "required": column.required,
        "key": column.key,
        "max_length": column.max_length,
        "description": column.description,
    }
