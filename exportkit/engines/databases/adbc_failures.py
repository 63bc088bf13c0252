"""What an ADBC driver says when it fails, said again without its words: they may quote a row.

Errors are told apart by SQLSTATE, and by the class of the error where a driver sets none. Of
PostgreSQL's driver more is known, see `postgres_failures`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exportkit.engines.databases import postgres_failures
from exportkit.engines.databases.alchemy_failures import AGAIN, DENIED, GONE, LATE, VALUE
from exportkit.engines.databases.servers import ServerError, family

if TYPE_CHECKING:
    from exportkit.engines.databases.servers import Server
    from exportkit.errors import Location

_OWN = "try the same with the database's own client"
_NAME = ("name", "{where} has no table or column of a name that is used here", _OWN)
_WRONG = ("types", "{where} does not answer what is declared here", _OWN)
_BROKEN = ("other", "{where} cannot be read", "its log says more")
_UNREACHABLE = ("gone", "{where} cannot be reached, or does not let this user in", _OWN)
_UNOPENED = ("gone", "{where} cannot be opened", "it is damaged, or a program is writing to it")
# The beginning of a SQLSTATE decides, the longest that fits: reason, message, hint.
_STATES = {
    "22": VALUE,
    "25006": ("statement", "{where}: the query writes, and the transaction is read-only", None),
    "28": DENIED,
    "3D": _NAME,
    "3F": _NAME,
    "42501": ("denied", "{where}: this user may not read that", "ask for the right to SELECT"),
    "42703": _NAME,
    "42P01": _NAME,
    "42S02": _NAME,
    "42S22": _NAME,
    "42": _WRONG,
    "57014": LATE,
    "57": GONE,
    "08": GONE,
}
# The same by ADBC's own codes.
_CODES = {
    "NOT_IMPLEMENTED": _WRONG,
    "NOT_FOUND": _NAME,
    "INVALID_ARGUMENT": _WRONG,
    "INVALID_DATA": VALUE,
    "INVALID_STATE": ("other", "{where}: the rows were read and the transaction is over", None),
    "IO": GONE,
    "CANCELLED": ("gone", "{where} ended the query", AGAIN),
    "TIMEOUT": LATE,
    "UNAUTHENTICATED": DENIED,
    "UNAUTHORIZED": DENIED,
}
_CONNECTING = {
    "NOT_IMPLEMENTED": (
        "other",
        "the driver for {where} does not know an option of the URL",
        "its documentation names them",
    ),
    "UNAUTHENTICATED": DENIED,
    "UNAUTHORIZED": DENIED,
    "TIMEOUT": ("gone", "{where} does not answer in time", AGAIN),
}
_STATE = re.compile(r"[0-9A-Z]{5}")


def explain(error: Exception, server: Server, at: Location) -> ServerError:
    """An error that came while the database was asked or read."""
    if family(server.scheme) == "postgresql":
        return postgres_failures.explain(error, server.shown_as, at)
    state = _sqlstate(error)
    known = next((_STATES[state[:n]] for n in (5, 2) if state[:n] in _STATES), None)
    reason, message, hint = known or _CODES.get(_code(error), _BROKEN)
    said = message.format(where=server.shown_as) + (f" (SQLSTATE {state})" if state else "")
    return ServerError(said, reason, hint=hint, location=at)


def explain_unanswered(error: Exception, server: Server, at: Location) -> ServerError:
    """The same for a query that was asked for its columns: no row can have been the cause.

    What nobody has said more of is then the query's own fault.
    """
    said = explain(error, server, at)
    if said.reason != "other":
        return said
    reason, message, hint = _WRONG
    return ServerError(message.format(where=server.shown_as), reason, hint=hint, location=at)


def explain_connect(error: Exception, server: Server, at: Location) -> ServerError:
    """An error that came while a connection was made."""
    if family(server.scheme) == "postgresql" and _code(error) not in _CONNECTING:
        return postgres_failures.explain_connect(error, server.shown_as, at)
    unknown = _UNOPENED if family(server.scheme) == "duckdb" else _UNREACHABLE
    reason, message, hint = _CONNECTING.get(_code(error), unknown)
    return ServerError(message.format(where=server.shown_as), reason, hint=hint, location=at)


def _code(error: Exception) -> str:
    return str(getattr(getattr(error, "status_code", None), "name", ""))


def _sqlstate(error: Exception) -> str:
    state = getattr(error, "sqlstate", None) or ""
    return state if _STATE.fullmatch(state) and state != "00000" else ""
