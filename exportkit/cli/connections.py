"""How connections are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from exportkit.cli.report import show_notes, show_table
from exportkit.config.references import has_reference
from exportkit.config.secrets import is_sensitive

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from exportkit.config.connection import ConnectionFile

STORES = {
    None: "none",
    "keyring": "the system's keyring",
    "file": "a private file, not encrypted",
    "encrypted file": "an encrypted file",
    "damaged": "a damaged file",
}
"""Where credentials are, in words."""


def options_of(connection: ConnectionFile, secret: Collection[str]) -> dict[str, Any]:
    """The options as they are written, references unresolved; what may be secret is left out.

    `secret` are those of which the plugin says so.
    """
    return {
        name: _option(name, value, hidden=name in secret)
        for name, value in connection.options.items()
    }


def _option(name: str, value: object, *, hidden: bool) -> object:
    written = isinstance(value, str) and has_reference(value)
    return "…" if (hidden or is_sensitive(("options", name))) and not written else value


def in_short(connection: ConnectionFile) -> dict[str, str]:
    """What those see of a connection who do not manage it; the name is what jobs call it."""
    return {
        "name": connection.name,
        "display_name": connection.display_name,
        "type": connection.type,
    }


def show_list_in_short(facts: Sequence[Mapping[str, Any]]) -> None:
    """Print a line a connection, for those who do not manage them."""
    if not facts:
        click.echo("there is no connection yet")
    show_table([tuple(each.values()) for each in facts], indent=0)


def show_list(facts: Sequence[Mapping[str, Any]]) -> None:
    """Print a line a connection."""
    if not facts:
        click.echo("there is no connection yet: exportkit connection add NAME --type TYPE")
    show_table(
        [
            (
                each["name"],
                each["type"],
                each["display_name"],
                _created(each),
                _consent(each),
                f"use: {', '.join(each['use'])}",
                f"jobs: {', '.join(each['jobs']) or 'none'}",
            )
            for each in facts
        ],
        indent=0,
    )


def show_one(facts: Mapping[str, Any]) -> None:
    """Print all that is known of one."""
    click.echo(f"{facts['name']}: {facts['display_name']} ({facts['file']})")
    rows = [
        ("type", facts["type"]),
        ("created", _created(facts) or "by hand"),
        ("consent", _consent(facts)),
        ("use", ", ".join(facts["use"])),
        ("jobs", ", ".join(facts["jobs"]) or "none"),
        ("credentials", STORES[facts["credentials"]]),
        *((f"options.{name}", str(value)) for name, value in facts["options"].items()),
    ]
    show_table(rows)


def show_examination(name: str, account: str | None, looks: Sequence[Mapping[str, Any]]) -> None:
    """Print whose account it is and what each job's target looks like."""
    click.echo(f"{name}: connected" + (f" to {account}" if account else ""))
    rows = []
    for look in looks:
        if look["error"]:
            continue
        members = "" if look["members"] is None else f"{look['members']:,} members"
        plain = {k: v for k, v in look["details"].items() if isinstance(v, str | int | float)}
        details = ", ".join(f"{key}: {value}" for key, value in plain.items())
        rows.append((look["job"], look["name"], members, details))
    show_table(rows)
    for look in looks:
        if error := look["error"]:
            hint = [f"    {error['hint']}"] if error["hint"] else []
            show_notes([f"{look['job']}: {error['message']}", *hint])


def _created(facts: Mapping[str, Any]) -> str:
    return str(facts["created_at"] or "")[:10]


def _consent(facts: Mapping[str, Any]) -> str:
    given = facts["consent"]
    return f"agreed by {given['agreed_by']} on {given['agreed_on']}" if given else "no consent"
