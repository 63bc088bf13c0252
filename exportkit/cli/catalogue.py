"""How plugins and destinations are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from exportkit.cli.report import show_notes, show_table
from exportkit.config.secrets import is_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


LIMITS = {
    "batch_rows": "{:,} rows a batch",
    "removal_rows": "{:,} removals a batch",
    "batch_bytes": "{:,} bytes a batch",
    "profiles": "{:,} profiles a run",
    "calls_per_second": "{:,} calls a second",
    "calls_per_day": "{:,} calls a day",
}
"""What each limit says, for people."""


def show_plugins(listing: Mapping[str, Any]) -> None:
    """Print the installed plugins, then those that failed to load and why."""
    for plugin in listing["plugins"]:
        title = plugin.get("title", "no destination")
        click.echo(f"{plugin['name']}: {title} ({plugin['distribution']} {plugin['version']})")
        for word in ("hooks", "wraps"):
            if plugin[word]:
                click.echo(f"  {word}: {', '.join(plugin[word])}")
        if plugin["destination"]:
            _show_manner(plugin)
        for note in plugin["notes"]:
            click.echo(f"  note: {note}")
    for broken in listing["broken"]:
        name = f"{broken['name']} ({broken['distribution']} {broken['version']})"
        show_notes([f"{name} is not used: {broken['reason']}", f"    {broken['hint']}"])


def show_destination(facts: Mapping[str, Any]) -> None:
    """Print what a destination takes: modes, limits, options, fields, and a sample job."""
    click.echo(f"{facts['type']}: {facts['title']} ({facts['distribution']} {facts['version']})")
    if facts["description"]:
        click.echo(f"  {facts['description']}")
    leaves = "leaves for a third party" if facts["third_party"] else "stays on this machine"
    click.echo(f"  personal data {leaves}")
    click.echo(f"  hooks: {', '.join(facts['hooks'])}")
    _show_manner(facts)
    for title, part in (
        ("options of a connection", "connection_options"),
        ("options under destination: in a job", "job_options"),
    ):
        _show_options(title, facts[part])
    if facts["fields"]:
        click.echo("  fields")
        show_table([_field_row(column) for column in facts["fields"]], indent=4)
    else:
        click.echo("  fields: any name")
    for name in ("connection", "job"):
        click.echo(f"  a sample {name}")
        click.echo(
            "".join(f"    {line}\n" for line in facts["sample"][name].splitlines()), nl=False
        )


def _show_manner(facts: Mapping[str, Any]) -> None:
    click.echo(f"  modes: {', '.join(facts['modes'])}")
    limits = facts["limits"]
    said = [words.format(limits[name]) for name, words in LIMITS.items() if limits[name]]
    click.echo(f"  limits: {', '.join(said)}")


def _show_options(title: str, schema: Mapping[str, Any]) -> None:
    rows = list(_option_rows(schema, ""))
    if not rows:
        return
    click.echo(f"  {title}")
    show_table(rows, indent=4)
    for word, said in (("oneOf", "exactly one of"), ("anyOf", "at least one of")):
        choices = [" and ".join(branch.get("required", ())) for branch in schema.get(word, ())]
        if any(choices):
            click.echo(f"    {said}: {', '.join(filter(None, choices))}")


def _option_rows(schema: Mapping[str, Any], at: str) -> Iterator[tuple[str, str, str, str]]:
    """A row for each option: its name, what it is, whether it has to be there, what it is for."""
    required = schema.get("required", ())
    for name, option in schema.get("properties", {}).items():
        default = f"default {option['default']!r}" if "default" in option else ""
        state = "required" if name in required else default
        said = " ".join(str(option.get("description", "")).split())
        yield f"{at}{name}", _kind(name, option), state, said
        yield from _option_rows(option, f"{at}{name}.")


def _kind(name: str, option: Mapping[str, Any]) -> str:
    if "enum" in option:
        return " | ".join(map(str, option["enum"]))
    kind = option.get("type", "any")
    words = kind if isinstance(kind, str) else " | ".join(kind)
    return f"{words}, secret" if is_secret(name, option) else words


def _field_row(column: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    marks = [word for word in ("key", "required") if column[word]]
    longest = f"up to {column['max_length']}" if column["max_length"] else ""
    if longest and column["on_too_long"] == "truncate":
        longest += ", then cut"
    return column["name"], column["kind"], longest, ", ".join(marks), column["description"]
