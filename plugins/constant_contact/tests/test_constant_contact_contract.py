"""Constant Contact under the contract's own tests, with the sandbox for the service."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from exportkit_constant_contact import imports, options
from exportkit_constant_contact.client import Client
from exportkit_constant_contact.oauth import Tokens
from exportkit_constant_contact.sandbox import Sandbox

from exportkit.testing import DestinationContract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exportkit.testing import Rehearsal


UNSUBSCRIBED = (800_000, 900_000, 900_001)
"""The numbers of the bad rows that the contract asks for."""


class TestConstantContact(DestinationContract):
    type = "constant_contact"
    fields = ("email", "first_name", "last_name", "birthday", "phone", "cf:tier")

    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody is asked gently; the pauses that the service asks for stay."""
        monkeypatch.setattr(options, "CALLS_A_SECOND", 1_000)
        monkeypatch.setattr(imports, "FIRST_LOOK", -1.0)
        monkeypatch.setattr(imports, "LONGEST_PAUSE", 0.0)
        monkeypatch.setattr(imports, "LOOK_AGAIN", 0.0)
        for made in (Client, Tokens):
            defaults = {**made.__init__.__kwdefaults__, "sleep": _impatient}
            monkeypatch.setattr(made.__init__, "__kwdefaults__", defaults)

    @contextmanager
    def server(self) -> Iterator[Sandbox]:
        with Sandbox(rates=False, asks=False) as box:
            box.add_field("tier")
            for number in UNSUBSCRIBED:
                box.add_contact(email := f"gone.{number}@example.com")
                box.unsubscribe(email)
            yield box

    def connection_for(self, server: Sandbox) -> dict[str, Any]:
        return {
            "api_url": "{server}/v3",
            "auth_url": f"{{server}}{server.auth_url.removeprefix(server.url)}",
            "client_id": server.client_id,
            "refresh_token": server.token(),
        }

    def denied_for(self, server: Sandbox) -> dict[str, Any]:
        return {**self.connection_for(server), "refresh_token": "of-nobody-at-all-1234567890"}

    def job_for(self, server: Sandbox) -> dict[str, Any]:
        return {"list_id": server.add_list("News")}

    def bad_row(self, number: int) -> dict[str, str | None]:
        """Somebody who has unsubscribed."""
        return {"email": f"gone.{number}@example.com", "first_name": f"Wanderer {number}"}

    def arrived(self, stand: Rehearsal) -> list[str]:
        found = stand.server.contacts(stand.options["list_id"])
        return [contact["email_address"]["address"] for contact in found]


def _impatient(seconds: float) -> None:
    if seconds >= 2:
        time.sleep(seconds)
