"""`exportkit plugins` and what is below it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from exportkit.cli import COMMANDS, catalogue, completing, report

if TYPE_CHECKING:
    from exportkit.host.destination import Destination
    from exportkit.host.loader import Host
    from exportkit.host.plugin import Plugin
    from exportkit.records import Column, Description

SLOW = 1.0
"""Seconds to load from which on it is worth a word: every command with plugins waits for them."""


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

    host = load_plugins(everything=True)
    if as_json:
        report.show_json(_listing(host))
        return
    catalogue.show_plugins(_listing(host))


@plugins.command()
@click.argument("type_", metavar="TYPE", shell_complete=completing.plugins)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(type_: str, as_json: bool) -> None:
    """Show a destination's options, fields, modes and limits, with a sample job.

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
        entry = {**asdict(plugin), "notes": _notes(plugin)}
        if plugin.destination:
            entry |= _facts(host.destination(plugin.name).describe())
        installed.append(entry)
    return {"plugins": installed, "broken": [asdict(broken) for broken in host.broken]}


def _notes(plugin: Plugin) -> list[str]:
    notes = []
    if plugin.seconds >= SLOW:
        notes.append(f"takes {plugin.seconds:.1f} s to load, whatever the command needs it for")
    if plugin.name in COMMANDS and "register_commands" in plugin.hooks:
        own = f"`exportkit {plugin.name}` is exportkit's own"
        notes.append(f"its commands cannot be reached: {own}")
    return notes


def _facts(facts: Description) -> dict[str, Any]:
    return {
        "title": facts.title,
        "description": facts.description,
        "modes": list(facts.modes),
        "third_party": facts.third_party,
        "whole": facts.whole,
        "limits": asdict(facts.limits),
    }


def _described(destination: Destination) -> dict[str, Any]:
    from exportkit.operations.samples import sample_of

    facts, plugin, sample = destination.describe(), destination.plugin, sample_of(destination)
    return {
        "type": destination.type,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "hooks": list(plugin.hooks),
        **_facts(facts),
        "fields": [_field(column) for column in facts.fields],
        "connection_options": facts.connection_options,
        "job_options": facts.job_options,
        "sample": {"connection": sample.connection, "job": sample.job},
    }


def _field(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "kind": column.kind,
        "required": column.required,
        "key": column.key,
        "max_length": column.max_length,
        "on_too_long": column.on_too_long,
        "description": column.description,
    }
