"""A session with one account: the client, and what is learnt once and used by every batch."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import exportkit

from .client import Client
from .oauth import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exportkit import Calls, Connection

NEEDED = ("contacts:read", "contacts:write", "contacts:lists:read")
"""The privileges without which a run cannot do its work. [documented for each call used here]"""

LOOKS_LIKE_A_PAGE = 500
"""Contacts a page, the most that one call answers."""


@dataclass
class Session:
    """What the hooks share.

    `sleep` waits; `made` are custom fields that this session has made; `members` and `unsubscribed`
    are read from the service when they are needed; `ask_at` is when activities may be asked about
    again, by the clock.
    """

    client: Client
    calls: Calls
    name: str
    sleep: Callable[[float], None] = time.sleep
    made: list[dict[str, Any]] = field(default_factory=list)
    members: dict[str, Any] = field(default_factory=dict)
    ask_at: float = 0.0
    ask_pause: float = 1.0

    @property
    def account(self) -> str:
        """The account's name, for `connection test`.

        Raises `AccessDeniedError` where the user's rights do not do.
        """
        privileges = self.client.get("/account/user/privileges")
        there = {str(each.get("privilege_name")) for each in privileges if isinstance(each, dict)}
        if missing := [name for name in NEEDED if name not in there]:
            raise exportkit.AccessDeniedError(
                f"the user who signed in lacks {', '.join(missing)}",
                hint="sign in as the account's owner or a manager: "
                f"exportkit connection authorize {self.name}",
            )
        try:
            return str(self.client.get("/account/summary").get("organization_name") or "")
        except exportkit.AccessDeniedError:
            return "the account does not say its name: `account_read` was not granted"

    @cached_property
    def unsubscribed(self) -> frozenset[str]:
        """The addresses, in lower case, of everybody in the account who has unsubscribed."""
        query = {"status": "unsubscribed", "limit": LOOKS_LIKE_A_PAGE}
        return frozenset(
            address
            for page in self.client.pages("/contacts", "contacts", query)
            for contact in page
            if (address := address_of(contact))
        )


def address_of(contact: dict[str, Any]) -> str | None:
    """A contact's address in lower case; None for one that has a telephone alone."""
    email = contact.get("email_address")
    address = email.get("address") if isinstance(email, dict) else None
    return address.lower() if isinstance(address, str) else None


@contextmanager
def open_session(connection: Connection) -> Iterator[Session]:
    """A session, which makes no call before the first that is needed."""
    options = connection.options
    calls = connection.calls(f"{options['api_url']} {options['client_id']}")
    tokens = Tokens(
        options["auth_url"],
        options["client_id"],
        options.get("client_secret"),
        connection.credentials,
        options.get("refresh_token"),
        connection.name,
    )
    client = Client(options["api_url"], tokens, calls)
    try:
        yield Session(client, calls, connection.name)
    finally:
        client.close()
