"""A request as it came, an answer as it goes, and the refusals in the service's shapes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was read in full. `path` is as it was sent, without the query."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    def json(self) -> Any:
        """The body as JSON. Raises `RefusedError` in the service's words."""
        kind = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/json":
            raise RefusedError(415, "contacts.api.unsupported_media_type", "Unsupported media type")
        try:
            return json.loads(self.body)
        except ValueError:
            raise invalid("Request body is not valid JSON") from None

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object. Raises `RefusedError`."""
        value = self.json()
        if not isinstance(value, dict):
            raise invalid("Request body must be a JSON object")
        return value


@dataclass(slots=True)
class Answer:
    """What goes back. `body` is bytes; `content_type` empty for none."""

    status: int
    body: bytes = field(default=b"", repr=False)
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def answer(status: int, value: Any, **headers: str) -> Answer:
    """A JSON answer; a header `Retry_After` is sent as `Retry-After`."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, body, headers={k.replace("_", "-"): v for k, v in headers.items()})


class RefusedError(Exception):
    """A request that is answered with an error: an array (service) or an object (gateway)."""

    def __init__(
        self,
        status: int,
        key: str,
        message: str,
        *,
        gateway: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"error_key": key, "error_message": message}
        self.gateway = gateway
        self.headers = headers or {}

    def answer(self) -> Answer:
        """The refusal as it goes over the wire."""
        sent = answer(self.status, self.error if self.gateway else [self.error])
        sent.headers.update(self.headers)
        return sent


def invalid(message: str) -> RefusedError:
    """A 400 of the service."""
    return RefusedError(400, "contacts.api.validation.error", message)


def not_found(message: str = "Resource not found") -> RefusedError:
    """A 404 of the service."""
    return RefusedError(404, "contacts.api.not_found", message)


def conflict(message: str) -> RefusedError:
    """A 409 of the service."""
    return RefusedError(409, "contacts.api.conflict", message)
