"""How a connection begins: its file, the agreement to send people's data there, the sign-in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, Protocol

from exportkit.access.audit import current_user, note
from exportkit.access.consent import require_consent
from exportkit.access.credentials import KeptCredentials
from exportkit.config.editing import scalar, set_key
from exportkit.config.secrets import is_secret_key
from exportkit.errors import ConfigError, PermissionDeniedError, UsageError
from exportkit.operations.connections import ADDED
from exportkit.pipeline.prepare import check_connection, resolved
from exportkit.services import Prompt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from exportkit.config.connection import ConnectionFile
    from exportkit.config.workspace import Workspace
    from exportkit.host.loader import Host
    from exportkit.records import Description
    from exportkit.state.house import House

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_BEFORE_CONSENT = ("version", "name", "display_name", "type", "use")


class Person(Prompt, Protocol):
    """The person at the keyboard, who can also agree to something."""

    def agrees(self, statement: str) -> bool:
        """Show a statement and ask for an explicit yes."""
        ...


@dataclass(frozen=True, slots=True)
class Authorized:
    """What `connection authorize` came to: who had to sign in, and where that is kept."""

    agreed: bool
    signed_in: bool
    store: str | None
    title: str


def statement(description: Description, connection: ConnectionFile) -> str:
    """What somebody agrees to before personal data leaves for a third party."""
    return (
        f"Jobs over the connection '{connection.name}' hand personal data to "
        f"{description.title}, a third party: the mapped columns of every profile in their "
        "segments.\n"
        "Who agrees to this answers for having the right to send these people's data there.\n"
        f"Your name and today's date are written into {connection.document.file}, and recorded in "
        "the audit."
    )


def authorize(
    workspace: Workspace,
    host: Host,
    house: House,
    name: str,
    person: Person,
    store: Literal["keyring", "file"] | None = None,
) -> Authorized:
    """Get the agreement, if there is none yet, then sign in and keep the credentials.

    Raises PermissionDeniedError if nobody agrees; what the plugin's sign-in raises. Nothing is
    kept of a sign-in that did not end.
    """
    connection = workspace.connection(name)
    destination = check_connection(host, connection)
    description = destination.describe()
    ready = resolved(workspace, connection, description)
    journal = house.journal  # opened first: what cannot be recorded is not done
    kept = KeptCredentials(house.state.credentials, name)
    signs_in = destination.can("authorize")
    if signs_in:
        kept.expect(store)
    agreed = agree(house, connection, description, person)
    if not signs_in:
        return Authorized(agreed, False, None, description.title)
    values = destination.authorize(ready, person)
    with kept.held():
        kept.move(values, store)
    note(journal, "connection authorize", name, type=connection.type, store=kept.store)
    return Authorized(agreed, True, kept.store, description.title)


def agree(
    house: House, connection: ConnectionFile, description: Description, person: Person
) -> bool:
    """Get somebody's yes and write it into the connection's file; answers whether it was asked.

    Nobody is asked where the data stays on the machine, or where the file has the yes already.
    """
    if not description.third_party:
        return False
    if connection.consent is not None:
        require_consent(connection, description)
        return False
    if not person.agrees(statement(description, connection)):
        raise PermissionDeniedError(
            f"nobody has agreed that personal data may leave for {description.title}",
            hint="answer yes, or say --agree; nothing was changed",
        )
    consent = {"agreed_by": current_user(), "agreed_on": f"{date.today():%Y-%m-%d}"}
    journal = house.journal
    set_key(connection.document, "consent", consent, _BEFORE_CONSENT)
    note(journal, "consent", connection.name, type=connection.type)
    return True


def add(
    workspace: Workspace,
    host: Host,
    house: House,
    name: str,
    type: str,  # noqa: A002 - the word of the contract
    display_name: str | None,
    use: Sequence[str],
) -> Path:
    """Write a connection's file, with the plugin's options as comments to fill in.

    Raises UsageError for a name that cannot be, or is taken.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' cannot be a connection's name",
            hint="lower-case letters, digits, '-' and '_', beginning with a letter or digit",
        )
    description = host.destination(type).describe()
    path = workspace.root / "connections" / f"{name}.yaml"
    known = [connection.name for connection in workspace.connections().items]
    if name in known or path.exists():
        raise UsageError(
            f"there is a connection '{name}' already", hint=f"exportkit connection show {name}"
        )
    lines = [
        "version: 1",
        f"name: {scalar(name)}",
        f"display_name: {scalar(display_name or description.title)}",
        f"type: {scalar(type)}",
        f"use: [{', '.join(use)}]",
        *_options(type, description.connection_options),
    ]
    journal = house.journal
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    except OSError as error:
        raise ConfigError(
            f"{workspace.shown(path)} cannot be written: {(error.strerror or 'failed').lower()}",
            hint="the user who runs exportkit has to be able to write there",
        ) from None
    note(journal, ADDED, name, type=type)
    return path


def _options(type: str, schema: Mapping[str, Any]) -> Iterator[str]:  # noqa: A002
    """The plugin's options as comments: what each is, whether it is required, and an example."""
    options = schema.get("properties", {})
    if not options:
        return
    required = schema.get("required", ())
    yield f"# Take the # away where you fill something in; more: exportkit plugins show {type}"
    yield "# options:"
    for name, option in options.items():
        said = " ".join(str(option.get("description", "")).split())
        need = "Required." if name in required else ""
        if comment := " ".join(filter(None, (said, need))):
            yield f"#   # {comment}"
        yield f"#   {name}: {_example(name, option)}"


def _example(name: str, option: Mapping[str, Any]) -> str:
    if option.get("writeOnly") or is_secret_key(name):
        return f"${{env:{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}}}"
    for found in (option.get("default"), *option.get("examples", ()), *option.get("enum", ())):
        if isinstance(found, str):
            return scalar(found)
        if isinstance(found, bool | int | float):
            return str(found).lower()
    kind = option.get("type", "text")
    return {"array": "[]", "object": "{}", "boolean": "false"}.get(str(kind), "...")
