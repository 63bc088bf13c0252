"""The account of the sandbox: nobody's, and it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .exchange import Answer, Request, answer

if TYPE_CHECKING:
    from .state import State

PRIVILEGES = (
    "account:read",
    "account:update",
    "contacts:read",
    "contacts:write",
    "contacts:lists:read",
    "contacts:lists:write",
)
"""What the account's owner may, as far as it matters here."""

ORGANIZATION = "Sandbox Bakery"


class Account:
    """Who was connected, and what the user may."""

    def __init__(self, state: State) -> None:
        self._state = state

    def summary(self, _request: Request) -> Answer:
        """`GET /account/summary`."""
        return answer(
            200,
            {
                "organization_name": ORGANIZATION,
                "contact_email": "owner@sandbox.example",
                "encoded_account_id": "a07e1sandbox",
                "first_name": "Sandy",
                "last_name": "Box",
                "country_code": "US",
                "state_code": "MA",
                "time_zone_id": "US/Eastern",
                "website": "https://sandbox.example",
            },
        )

    def privileges(self, _request: Request) -> Answer:
        """`GET /account/user/privileges`."""
        return answer(
            200,
            [
                {"privilege_id": 300 + at, "privilege_name": name}
                for at, name in enumerate(sorted(self._state.privileges))
            ],
        )
