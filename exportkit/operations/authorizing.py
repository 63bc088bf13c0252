"""The agreement to send people's data to a third party, and the sign-in there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal, Protocol

from exportkit.access import consent
from exportkit.access.audit import current_user, note
from exportkit.access.credentials import kept_credentials
from exportkit.config.editing import set_key
from exportkit.errors import PermissionDeniedError
from exportkit.pipeline.prepare import check_connection, resolved
from exportkit.services import Prompt

if TYPE_CHECKING:
    from exportkit.config.connection import ConnectionFile
    from exportkit.config.workspace import Workspace
    from exportkit.host.loader import Host
    from exportkit.records import Connection, Description
    from exportkit.state.house import House

_BEFORE_CONSENT = ("version", "name", "display_name", "type", "use")


class Person(Prompt, Protocol):
    """The person at the keyboard, who can also agree to something. `asks`: somebody is there."""

    asks: bool

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
    kept = kept_credentials(house.state, name)
    signs_in = destination.can("authorize")
    if signs_in:
        kept.expect(store)
    agreed = agree(house, connection, ready, description, person)
    if not signs_in:
        return Authorized(agreed, False, None, description.title)
    values = destination.authorize(ready, person)
    with kept.held():
        kept.move(values, store)
    note(journal, "connection authorize", name, type=connection.type, store=kept.store)
    return Authorized(agreed, True, kept.store, description.title)


def agree(
    house: House,
    connection: ConnectionFile,
    ready: Connection | None,
    description: Description,
    person: Person,
) -> bool:
    """Get somebody's yes and write it into the connection's file; answers whether it was asked.

    Nobody is asked where the data stays on the machine, or where the file has the yes already, for
    this account. `ready` is the connection resolved; None if its options are not all written yet:
    then the first run says for which account the yes was.
    """
    if ready and not consent.is_needed(connection, ready, description, house.journal):
        if description.third_party:
            consent.require_consent(connection, ready, description, house.journal)
        return False
    if not person.agrees(statement(description, connection)):
        raise PermissionDeniedError(
            f"nobody has agreed that personal data may leave for {description.title}",
            hint="answer yes, or say --agree; nothing was changed",
        )
    who, today = current_user(), date.today()
    agreement = {"agreed_by": who, "agreed_on": f"{today:%Y-%m-%d}"}
    journal = house.journal
    set_key(connection.document, "consent", agreement, _BEFORE_CONSENT)
    if ready:
        consent.record(journal, ready, description, who, today)
    else:
        note(journal, consent.AGREED, connection.name, type=connection.type)
    return True
