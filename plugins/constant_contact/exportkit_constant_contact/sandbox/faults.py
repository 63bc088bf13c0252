"""Bad answers: errors that the scenario wants, and good answers spoiled on their way."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from .exchange import Answer, answer

if TYPE_CHECKING:
    from .scenario import Effects

_KEYS = {
    400: "contacts.api.validation.error",
    401: "unauthorized",
    403: "access_denied",
    404: "contacts.api.not_found",
    409: "contacts.api.conflict",
    429: "throttled",
}
_GATEWAY = (401, 403, 429, 502, 504)
"""Statuses whose error is a single object unless the scenario says otherwise."""
_GARBAGE = b"\x00\xff<<< this is no JSON >>>\xfe"


def bad_answer(effects: Effects) -> Answer:
    """The answer with the status that the scenario wants."""
    status = effects.status or 500
    kind = effects.body or ("object" if status in _GATEWAY else "array")
    key = effects.error_key or _KEYS.get(status, "contacts.api.internal_error")
    message = effects.message or _phrase(status)
    error: dict[str, str] = {"error_key": key, "error_message": message}
    shapes: dict[str, Any] = {
        "array": [error],
        "object": error,
        "half": [error],
        "wrong_shape": {"unexpected": [message]},
        "oauth": {"error": effects.error_key or "server_error", "error_description": message},
    }
    if kind in shapes:
        sent = answer(status, shapes[kind])
    elif kind == "empty":
        sent = Answer(status, content_type="")
    elif kind == "html":
        text = f"<html><body><h1>{status} {message}</h1></body></html>"
        sent = Answer(status, text.encode(), "text/html")
    else:
        sent = Answer(status, _GARBAGE)
    sent.headers.update(effects.headers)
    return sent


def spoiled(good: Answer, effects: Effects) -> Answer:
    """A good answer after what the scenario does to it."""
    good.headers.update(effects.headers)
    if effects.next_host and good.body:
        good.body = _with_next(good.body, effects.next_host)
    if effects.body in (None, "half"):
        return good
    if effects.body == "wrong_shape":
        good.body = _other_shape(good.body)
    elif effects.body == "empty":
        good.body = b""
    elif effects.body == "html":
        good.body, good.content_type = b"<html><body>Welcome</body></html>", "text/html"
    elif effects.body == "garbage":
        good.body = _GARBAGE
    else:
        return bad_answer(effects)
    return good


def _with_next(body: bytes, host: str) -> bytes:
    value = json.loads(body)
    link = (value.get("_links") or {}).get("next") if isinstance(value, dict) else None
    if link:
        link["href"] = (host if "://" in host else f"https://{host}") + link["href"]
    return json.dumps(value).encode()


def _other_shape(body: bytes) -> bytes:
    """An array for an object, an object for an array, with nothing of it where it is looked for."""
    return b'["unexpected"]' if body.lstrip()[:1] == b"{" else b'{"unexpected":true}'


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
