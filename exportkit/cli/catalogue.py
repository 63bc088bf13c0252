"""How plugins and destinations are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from exportkit.cli.report import show_notes, show_table

if TYPE_CHECKING:
    from collections.abc import Mapping


LIMITS = {
    "batch_rows": "{:,} rows a batch",
    "batch_bytes": "{:,} bytes a batch",
    "profiles": "{:,} profiles a run",
    "calls_per_second": "{:,} calls a second",
    "calls_per_day": "{:,} calls a day",
}
"""What each limit says, for people."""


def show_plugins(listing: Mapping[str, Any]) -> None:
    """Print the installed plugins, then those that failed to load and why."""
    show_table(
        [
            (
                plugin["name"],
                plugin.get("title", "(no destination)"),
                f"{plugin['distribution']} {plugin['version']}",
                ", ".join(plugin["hooks"]),
            )
            for plugin in listing["plugins"]
        ]
    )
    for broken in listing["broken"]:
        name = f"{broken['name']} ({broken['distribution']} {broken['version']})"
        show_notes([f"{name} is not used: {broken['reason']}", f"    {broken['hint']}"])


def show_destination(facts: Mapping[str, Any]) -> None:
    """Print what a destination takes: modes, limits, options, fields."""
    click.echo(f"{facts['type']}: {facts['title']} ({facts['distribution']} {facts['version']})")
    if facts["description"]:
        click.echo(f"  {facts['description']}")
    leaves = "leaves for a third party" if facts["third_party"] else "stays on this machine"
    click.echo(f"  personal data {leaves}")
    click.echo(f"  modes: {', '.join(facts['modes'])}")
    limits = facts["limits"]
    said = [words.format(limits[name]) for name, words in LIMITS.items() if limits[name]]
    click.echo(f"  limits: {', '.join(said)}")
    for title, part in (
        ("options of a connection", "connection_options"),
        ("options under destination: in a job", "job_options"),
    ):
        _show_options(title, facts[part])
    if not facts["fields"]:
        click.echo("  fields: any name")
        return
    click.echo("  fields")
    show_table([_field_row(column) for column in facts["fields"]], indent=4)


def _show_options(title: str, schema: Mapping[str, Any]) -> None:
    options = schema.get("properties", {})
    if not options:
        return
    click.echo(f"  {title}")
    required = schema.get("required", [])
    rows = []
    for name, option in options.items():
        kind = " | ".join(map(str, option["enum"])) if "enum" in option else option.get("type", "")
        default = f"default {option['default']!r}" if "default" in option else ""
        state = "required" if name in required else default
        rows.append((name, kind, state, option.get("description", "")))
    show_table(rows, indent=4)


def _field_row(column: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    marks = [word for word in ("key", "required") if column[word]]
    longest = f"up to {column['max_length']}" if column["max_length"] else ""
    return column["name"], column["kind"], longest, ", ".join(marks), column["description"]
