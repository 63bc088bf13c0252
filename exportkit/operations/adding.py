"""A new connection, step by step: what people call it, who may use it, the agreement, the sign-in
and a test. What was not said is asked, where somebody is there to answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from exportkit.access.audit import note
from exportkit.config.examples import reference
from exportkit.config.secrets import is_secret
from exportkit.config.workspace import open_workspace
from exportkit.errors import UsageError
from exportkit.operations import newfile
from exportkit.operations.authorizing import Person, agree, authorize
from exportkit.operations.connections import ADDED, examine
from exportkit.pipeline.prepare import check_connection, resolved

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from exportkit.config.workspace import Workspace
    from exportkit.host.loader import Host
    from exportkit.operations.authorizing import Authorized
    from exportkit.operations.connections import Examination
    from exportkit.records import Description
    from exportkit.state.house import House

USES = ("admin", "contributor", "admin, contributor")


class Guest(Person, Protocol):
    """The person at the keyboard, who answers what was not said. Only asked if `asks`."""

    agreed: bool

    def answer(self, question: str, default: str = "", choices: Sequence[str] = ()) -> str:
        """What they typed; the default if nothing."""
        ...

    def wants(self, question: str) -> bool:
        """Whether they said yes, or nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was said of the new connection; what is None or empty is asked, or left as usual."""

    name: str | None = None
    type: str | None = None
    display_name: str | None = None
    use: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    sign_in: bool | None = None
    test: bool | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """What came of it. `missing` are the options that are still to be filled in."""

    name: str
    path: Path
    missing: tuple[str, ...]
    agreed: bool = False
    authorized: Authorized | None = None
    examined: Examination | None = None


def add(workspace: Workspace, host: Host, house: House, wishes: Wishes, guest: Guest) -> Added:
    """Write a connection's file, then agree, sign in and test as far as that was wished.

    Raises UsageError for what is missing or cannot be; what agreeing, signing in and testing raise:
    the file is written then, and `connection authorize` goes on from there.
    """
    name, kind = _named(workspace, host, wishes, guest)
    path = newfile.check_name(workspace, name)
    destination = host.destination(kind)
    description = destination.describe()
    schema = description.connection_options
    for option, value in wishes.options.items():
        newfile.check_option(schema, option, value)
    wishes = _described(wishes, description, guest)
    journal = house.journal  # opened first: what cannot be recorded is not done
    facts = {
        "name": name,
        "display_name": wishes.display_name or description.title,
        "type": destination.type,
    }
    options = list(newfile.option_lines(destination.type, schema, wishes.options))
    newfile.write(workspace, path, facts, wishes.use or ("admin",), options)
    note(journal, ADDED, name, type=destination.type)
    missing = tuple(newfile.missing(schema, wishes.options))
    added = Added(name, path, missing)
    return _begun(open_workspace(workspace.root), host, house, wishes, guest, added)


def _named(workspace: Workspace, host: Host, wishes: Wishes, guest: Guest) -> tuple[str, str]:
    """A name and a type. Raises UsageError where nobody can be asked for them."""
    lacking = [
        flag for flag, value in (("NAME", wishes.name), ("--type", wishes.type)) if not value
    ]
    if lacking and not guest.asks:
        raise UsageError(
            f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing, and nobody "
            "is at a terminal to be asked",
            hint="say it: exportkit connection add NAME --type TYPE; there are "
            f"{', '.join(host.destinations) or 'no destinations: install one'}",
        )
    name = wishes.name or guest.answer("What shall jobs call the connection", "marketing")
    newfile.check_name(workspace, name)
    kind = wishes.type or guest.answer("Where does it lead", choices=host.destinations)
    return name, kind


def _described(wishes: Wishes, description: Description, guest: Guest) -> Wishes:
    """With what people call it, who may use it, and the options that it cannot do without."""
    if not guest.asks:
        return wishes
    display_name = wishes.display_name or guest.answer("What do people call it", description.title)
    use = wishes.use or tuple(guest.answer("Who may run jobs over it", USES[0], USES).split(", "))
    options, schema = dict(wishes.options), description.connection_options
    for name in newfile.missing(schema, options):
        option = schema.get("properties", {}).get(name, {})
        said = str(option.get("description", "")).rstrip(".")
        default = reference(name) if is_secret(name, option) else ""
        if value := guest.answer(f"{name}: {said}" if said else name, default):
            newfile.check_option(schema, name, value)
            options[name] = value
    return replace(wishes, display_name=display_name, use=use, options=options)


def _begun(
    workspace: Workspace, host: Host, house: House, wishes: Wishes, guest: Guest, added: Added
) -> Added:
    """The agreement, the sign-in and a test, as far as they are wished for and can be."""
    connection = workspace.connection(added.name)
    destination = host.destination(connection.type)
    description = destination.describe()
    if added.missing:
        done = guest.agreed and agree(house, connection, None, description, guest)
        return replace(added, agreed=done)
    check_connection(host, connection)
    if destination.can("authorize") and _wished(wishes.sign_in, "Sign in now", guest):
        signed_in = authorize(workspace, host, house, added.name, guest)
        added = replace(added, agreed=signed_in.agreed, authorized=signed_in)
    elif description.third_party and (guest.asks or guest.agreed):
        ready = resolved(workspace, connection, description)
        added = replace(added, agreed=agree(house, connection, ready, description, guest))
    usable = added.authorized or not destination.can("authorize")
    if (usable or wishes.test) and _wished(wishes.test, "Test it now", guest):
        added = replace(added, examined=examine(workspace, host, house, added.name))
    return added


def _wished(said: bool | None, question: str, guest: Guest) -> bool:
    return guest.asks and guest.wants(question) if said is None else said
