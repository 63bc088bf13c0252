"""Every call to the service: counted, paced, with credentials that are renewed once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .access import access
from .options import TIMEOUT
from .wire import Wire

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from exportkit import Calls, Connection

    from .recipe import Call
    from .wire import Reply

MOST_AT_ONCE = 32


class Client:
    """The service of a connection. Threads may share it. It makes no call by itself.

    Raises JobError for options that cannot be used.
    """

    def __init__(self, connection: Connection, user_agent: str) -> None:
        options = connection.options
        timeout = float(options.get("timeout", TIMEOUT))
        self.url = str(options["url"]).strip().rstrip("/")
        self._wire = Wire(self.url, option="url", timeout=timeout, at_once=MOST_AT_ONCE)
        self.host = self._wire.host
        self.access = access(options.get("auth", {}), timeout)
        self._headers: dict[str, str | bytes] = {
            "User-Agent": user_agent,
            "Accept": "application/json",
            **_clean(options.get("headers", {})),
        }
        self._connection = connection
        self._limits = {
            name: options.get(option)
            for name, option in (("per_second", "calls_per_second"), ("per_day", "calls_per_day"))
        }
        self._counts = threading.local()

    @property
    def calls(self) -> Calls | None:
        """The count of calls, one a thread; None if there is no limit to keep."""
        if not any(self._limits.values()):
            return None  # counting takes longer than a call to a service nearby
        if not hasattr(self._counts, "calls"):
            key = f"{self.url} {sorted(self._connection.options.get('auth', {}).items())}"
            self._counts.calls = self._connection.calls(key, **self._limits)
        found: Calls = self._counts.calls
        return found

    def send(self, call: Call, more: Mapping[str, str]) -> Reply:
        """The answer to a call, with `more` headers; asked again once if a token has run out.

        Raises as `Wire.send` and `Tokens.headers` do, and QuotaSpentError.
        """
        credentials = self.access.headers()
        reply = self._once(call, more, credentials)
        if reply.status == 401 and (renewed := self.access.renewed(credentials)):
            reply = self._once(call, more, renewed)
        return reply

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()
        self.access.close()

    def _once(self, call: Call, more: Mapping[str, str], credentials: Mapping[str, str]) -> Reply:
        headers = {**self._headers, **call.headers, **credentials, **more}
        calls = self.calls
        if calls is None:
            return self._wire.send(call.method, call.target, headers, call.body)
        calls.take()
        try:
            return self._wire.send(call.method, call.target, headers, call.body)
        finally:
            calls.ended()


def _clean(headers: Mapping[str, Any]) -> dict[str, str | bytes]:
    from exportkit import JobError

    from .template import is_clean

    for name, value in headers.items():
        if not is_clean(str(value).strip()):
            raise JobError(f"the header {name} of the connection has a line break or a tab in it")
    return {name: str(value).strip().encode() for name, value in headers.items()}
