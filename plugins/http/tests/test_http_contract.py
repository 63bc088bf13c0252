"""The HTTP destination under the contract's own tests, in each of the ways to send."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from crm import CLIENT, KEY, Crm
from workspace import wants_key

from exportkit.testing import DestinationContract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exportkit.testing.rehearsal import Rehearsal

REMOVE = {"path": "/contacts/{email}"}


class ByHttp(DestinationContract):
    type = "http"
    connection_options = {"url": "{server}", "auth": {"api_key": KEY}}
    denied_options: ClassVar[dict[str, Any]] = {"url": "{server}", "auth": {"api_key": "k-wrong"}}

    @contextmanager
    def server(self) -> Iterator[Crm]:
        crm = Crm()
        crm.wants = wants_key()
        try:
            yield crm
        finally:
            crm.stop()

    def bad_row(self, number: int) -> dict[str, str | None]:
        return {"email": f"b{number}@example.com", "first_name": "unfit", "last_name": "x"}

    def arrived(self, stand: Rehearsal) -> list[str]:
        return list(stand.server.contacts)


class TestPut(ByHttp):
    job_options = {
        "method": "PUT",
        "path": "/contacts/{email}",
        "body": {"name": "{first_name} {last_name}"},
        "remove": REMOVE,
    }


class TestPost(ByHttp):
    job_options = {"path": "/contacts", "success": {"when": "id"}, "remove": REMOVE}


class TestPostThatIsSafe(ByHttp):
    job_options = {"path": "/contacts", "safe_to_repeat": True, "remove": REMOVE}
    connection_options = {
        "url": "{server}",
        "auth": {
            "client_id": CLIENT[0],
            "client_secret": CLIENT[1],
            "token_url": "{server}/oauth/token",
        },
    }
    denied_options: ClassVar[dict[str, Any]] = {
        "url": "{server}",
        "auth": {
            "client_id": CLIENT[0],
            "client_secret": "another",
            "token_url": "{server}/oauth/token",
        },
    }

    @contextmanager
    def server(self) -> Iterator[Crm]:
        crm = Crm()
        crm.wants = lambda request: request.headers.get("Authorization") in crm.tokens
        try:
            yield crm
        finally:
            crm.stop()


class TestBatch(ByHttp):
    job_options = {
        "path": "/batch",
        "batch": 50,
        "body": {"contacts": "{rows}"},
        "results": {"list": "results", "key": "email", "failed": "!ok", "reason": "why"},
        "remove": {"path": "/unlist", "method": "POST", "batch": 50, "row": "{email}"},
        "safe_to_repeat": True,
    }
