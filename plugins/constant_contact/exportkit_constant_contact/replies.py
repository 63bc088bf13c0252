"""What an answer of the service means: its JSON, or one of the host's errors.

An error's body is an array of `{error_key, error_message}`, one such object, an OAuth object, or
nothing that can be read. What is shown of it has no addresses, tokens or quoted values.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from exportkit import (
    AccessDeniedError,
    DestinationError,
    OutcomeUnknownError,
    ThrottledError,
    UnavailableError,
    redact,
)

if TYPE_CHECKING:
    from .wire import Reply

QUEUE_IS_FULL = 60.0
"""Seconds until a full queue of activities may have room again."""
LONGEST_TEXT = 200

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|<[^>]*>")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,60}")
_PRIVILEGES = (
    ("/activities", "contacts:write", "contacts:write"),
    ("/contact_lists", "contacts:lists:read", "contacts:lists:write"),
    ("/contact", "contacts:read", "contacts:write"),
    ("/account/summary", "account:read", "account:update"),
)


class NotFoundError(DestinationError):
    """There is nothing under that id."""


class ConflictError(DestinationError):
    """Something of that name is there already."""


def parsed(reply: Reply) -> Any:
    """The body's JSON; None if it is none."""
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError):
        return None


def error_keys(reply: Reply) -> tuple[str, ...]:
    """The service's names for what is wrong, of any shape of body: `throttled`."""
    named = [first_of(each, "error_key", "error", "errorCode") for each in _problems(reply)]
    return tuple(name for name in named if _KEY.fullmatch(name))


def words(reply: Reply, *secrets: str) -> str:
    """What the service says is wrong, fit to be shown: `: KEY: MESSAGE`, or nothing."""
    said = []
    for each in _problems(reply):
        key = first_of(each, "error_key", "error", "errorCode")
        said.append(key if _KEY.fullmatch(key) else "")
        said.append(first_of(each, "error_message", "error_description", "errorSummary"))
    text = ": ".join(part for part in said if part)
    for secret in filter(None, secrets):
        text = text.replace(secret, "[token]")
    text = _QUOTED.sub("'…'", redact(" ".join(text.split())))
    text = "".join(letter for letter in text if letter.isprintable())
    return f": {text[:LONGEST_TEXT]}{'…' if len(text) > LONGEST_TEXT else ''}" if text else ""


def refusal(reply: Reply, method: str, path: str, name: str, *secrets: str) -> DestinationError:
    """The error for an answer that is no success, and no 401: that one is the client's to mend.

    `name` is the connection's. A throttled call has `retry_after` None, or what was asked for.
    """
    status, said = reply.status, words(reply, *secrets)
    if status == 403:
        return _forbidden(method, path, name, said)
    if status == 404:
        return NotFoundError(f"the service knows nothing of {_place(path)} (404{said})")
    if status == 409:
        return ConflictError(f"the service has a conflict at {_place(path)} (409{said})")
    if status == 429:
        if "throttled" in error_keys(reply):
            return ThrottledError("too many calls a second", retry_after=reply.retry_after)
        return ThrottledError(
            f"the service takes no more work now (429{said})",
            retry_after=reply.retry_after or QUEUE_IS_FULL,
            hint="it queues up to 1,000 activities of an account; the next run goes on",
        )
    if 400 <= status < 500 and status != 408:
        return DestinationError(f"the service refuses {method} {_place(path)} ({status}{said})")
    if 300 <= status < 400 and method == "GET":
        return DestinationError(
            f"the service redirects from {_place(path)} ({status}), which is not followed",
            hint="check api_url: tokens go to no other address than that",
        )
    return unclear(method, f"answered {status}{said}")


def unclear(method: str, what: str) -> DestinationError:
    """The error where the service WHAT: a POST may have been processed, all else comes again."""
    if method == "POST":
        return OutcomeUnknownError(f"the service {what}: whether it took the call is not known")
    return UnavailableError(f"the service {what}")


def _forbidden(method: str, path: str, name: str, said: str) -> AccessDeniedError:
    needed = next(
        (
            read if method == "GET" else write
            for at, read, write in _PRIVILEGES
            if path.startswith(at)
        ),
        None,
    )
    lacks = f"the privilege {needed}" if needed else "a privilege"
    return AccessDeniedError(
        f"the account does not allow {method} {_place(path)} (403{said}): the user who signed in "
        f"may lack {lacks}, or the application was deactivated",
        hint="have the account's owner give that user the role of a manager, or sign in as "
        f"somebody who has it: exportkit connection authorize {name}",
    )


def _place(path: str) -> str:
    """The path by its fixed parts: an id in it says nothing to people."""
    parts = [part for part in path.split("/") if part]
    return "/" + "/".join(part if re.fullmatch(r"[a-z_]+", part) else "ID" for part in parts)


def _problems(reply: Reply) -> list[dict[str, Any]]:
    body = parsed(reply)
    return [each for each in (body if isinstance(body, list) else [body]) if isinstance(each, dict)]


def first_of(values: dict[str, Any], *names: str) -> str:
    """The first of these that is a text; '' if none is."""
    return next((value for name in names if isinstance(value := values.get(name), str)), "")
