"""What PostgreSQL says when it fails, said again without a value of anybody's row.

Errors are told apart by SQLSTATE, which is the same in every language. The server's own words are
shown where they can only be about names and SQL that stand in the workspace's files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exportkit.config.phrases import short
from exportkit.engines.databases.servers import ServerError

if TYPE_CHECKING:
    from exportkit.errors import Location

_AGAIN = "nothing of what was read was lost or sent twice: run again when the database is back"
# The beginning of a SQLSTATE decides, the longest that fits: reason, message, hint.
_STATES = {
    "22012": (
        "value",
        "{where}: an expression divides by zero",
        "divide by nullif(…, 0): the answer is null then",
    ),
    "22": (
        "value",
        "{where}: a value cannot be read as an expression asks",
        "use try_cast(… as …), or compare with text in '…'",
    ),
    "25006": (
        "statement",
        "{where}: the query writes, and the transaction is read-only",
        "a query is one SELECT; also functions that it calls may not write",
    ),
    "25P": ("timeout", "{where} ended the transaction: it was open for too long", _AGAIN),
    "28": (
        "denied",
        "{where} does not accept the user or the password",
        "the URL names the user; the password is a reference in it",
    ),
    "3D": ("name", "{where}: there is no such database", "the URL ends with its name"),
    "40": ("gone", "{where} ended the query for the sake of others", _AGAIN),
    "42501": ("denied", "{where}: {words}", "ask for the right to SELECT there, and for no other"),
    "42601": ("statement", "{where} cannot read the SQL: {words}", "try it with psql"),
    "42703": ("name", "{where}: {words}", None),
    "42P01": ("name", "{where}: {words}", None),
    "3F": ("name", "{where}: {words}", None),
    "42": ("types", "{where}: {words}", None),
    "53": ("other", "{where} has no room or no connection left", "try again later"),
    "57014": (
        "timeout",
        "{where} ended the query: it took longer than statement_timeout allows, or somebody "
        "cancelled it",
        "ALTER ROLE … SET statement_timeout for this user, or take fewer rows or an index",
    ),
    "57": ("gone", "{where} went away while it was read", _AGAIN),
    "08": ("gone", "{where} went away while it was read", _AGAIN),
    "XX": ("other", "{where} met an error of its own", "its log says more"),
}
# libpq's words on connecting: no SQLSTATE comes with them, and they are not translated.
_CONNECTING = (
    ("password authentication failed", "28"),
    ("no password supplied", "28"),
    ("role ", "28"),
    ("no pg_hba.conf entry", "28"),
    ("database ", "3D"),
)
_UNREACHABLE = (
    ("Connection refused", "nothing listens there"),
    ("could not translate host name", "the name of the host is not known"),
    ("timeout expired", "it does not answer in time"),
    ("timed out", "it does not answer in time"),
    ("No such file", "there is no such socket"),
    ("No route", "there is no way to that host"),
    ("unreachable", "there is no way to that host"),
    ("SSL", "the two cannot agree on encryption; see sslmode in the URL"),
    ("certificate", "its certificate is not accepted; see sslmode and sslrootcert in the URL"),
    ("invalid URI", "the URL is not one that PostgreSQL understands"),
    ("invalid connection option", "the URL has an option that PostgreSQL does not know"),
    ("too many", "it has no connection left"),
    ("starting up", "it is starting up"),
    ("shutting down", "it is shutting down"),
)
_WORDS = re.compile(r"ERROR:\s+(.*?)(?:\n|\. SQLSTATE|$)")


def explain(error: Exception, shown_as: str, at: Location) -> ServerError:
    """An error that came while the database was asked or read."""
    state = getattr(error, "sqlstate", None) or ("08" if _is_broken(error) else "")
    known = next((state[:n] for n in (5, 3, 2) if state[:n] in _STATES), None)
    if known is None:
        message = f"{shown_as} cannot be read" + (f" (SQLSTATE {state})" if state else "")
        return ServerError(message, "other", hint="its log says more", location=at)
    reason, message, hint = _STATES[known]
    words = _WORDS.search(str(error)) if "{words}" in message else None
    said = message.format(where=shown_as, words=_plain(words[1]) if words else "it says no")
    return ServerError(said, reason, hint=hint, location=at)


def explain_connect(error: Exception, shown_as: str, at: Location) -> ServerError:
    """An error that came while a connection was made."""
    text = str(error).split("FATAL:")[-1]
    if "FATAL:" in str(error):
        for words, state in _CONNECTING:
            if text.strip().startswith(words):
                reason, message, hint = _STATES[state]
                return ServerError(message.format(where=shown_as), reason, hint=hint, location=at)
    why = next((why for words, why in _UNREACHABLE if words in str(error)), None)
    return ServerError(
        f"{shown_as} cannot be reached" + (f": {why}" if why else ""),
        "gone",
        hint="try the same with psql, from the same machine",
        location=at,
    )


def _is_broken(error: Exception) -> bool:
    return getattr(error, "sqlstate", None) is None and "libpq" in str(error)


def _plain(words: str) -> str:
    return short(words) if len(words) > 200 else words
