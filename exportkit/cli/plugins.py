"""`exportkit plugins` and what is below it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exportkit.cli import COMMANDS, catalogue, completing, report

if TYPE_CHECKING:
    from exportkit.host.destination import Destination
    from exportkit.host.loader import Host
    from exportkit.host.plugin import Plugin
    from exportkit.operations.newplugin import Auth
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
      exportkit plugins new paper-mill
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


@plugins.command()
@click.argument("name")
@click.option("--key", help="The field that tells people apart.  [default: email]")
@click.option("--bulk/--row-wise", default=None, help="A call a batch, or a call a row.")
@click.option("--auth", type=click.Choice(["api-key", "oauth", "none"]), help="How one signs in.")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to write it.  [default: exportkit-NAME]",
)
def new(
    name: str, key: str | None, bulk: bool | None, auth: Auth | None, into: Path | None
) -> None:
    """Write a new plugin NAME that installs, passes its tests and delivers to a file.

    Its tests are the contract that every destination is held to. On a terminal you are asked for
    what you did not say; elsewhere it is a call a batch, with an API key.

    \b
    Examples:
      exportkit plugins new paper-mill
      exportkit plugins new paper-mill --key customer_id --row-wise --auth oauth
    """
    from exportkit.cli.keyboard import Keyboard
    from exportkit.host.loader import load_plugins
    from exportkit.operations import newplugin

    host = load_plugins()
    taken = {*(each.name for each in host.plugins), *(each.name for each in host.broken)}
    newplugin.check_name(name, taken)
    guest = Keyboard(browser=False, agreed=False)
    if guest.asks:
        key = key or guest.answer("The field that tells people apart", "email")
        if bulk is None:
            how = guest.answer("A call for each", "batch", ("batch", "row"))
            bulk = how == "batch"
        auth = auth or guest.answer("How one signs in", "api-key", newplugin.AUTHS)  # type: ignore[assignment]
    wishes = newplugin.Wishes(name, key or "email", bulk is not False, auth or "api-key")
    folder = into or Path(wishes.distribution)
    files = newplugin.write_plugin(wishes, folder, taken)
    secret = f"{wishes.variable}=anything " if wishes.variable else ""
    report.show_text(f"{len(files)} files are in {folder}; now try")
    report.show_text(f"  cd {folder}")
    report.show_text("  pip install -e . 'exportkit[testing]'")
    report.show_text("  python -m pytest")
    report.show_text(f"  {secret}exportkit --workspace sample run {name}")


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
