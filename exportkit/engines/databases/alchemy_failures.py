"""What a database says through SQLAlchemy when it fails, said again without a value of a row.

The errors of MySQL and MariaDB have numbers. Of others only the class of the error is known, and
their words are never shown: they may quote a row.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exportkit.config.phrases import short
from exportkit.engines.databases import bigquery_failures
from exportkit.engines.databases.servers import ServerError, family

if TYPE_CHECKING:
    from exportkit.engines.databases.servers import Server
    from exportkit.errors import Location

# What is said of all databases: reason, message, hint.
AGAIN = "nothing of what was read was lost or sent twice: run again when the database is back"
DENIED = ("denied", "{where} does not accept the user or the password", "the URL names the user")
GONE = ("gone", "{where} went away while it was read", AGAIN)
LATE = ("timeout", "{where} ended the query: it took too long", "raise the limit for this user")
VALUE = ("value", "{where}: a value cannot be read as an expression asks", "say it in `query:`")
_NAME = ("name", "{where}: {words}", None)
# By MySQL's number: reason, message, hint. Only words about names and SQL are shown.
_MYSQL = {
    1044: ("denied", "{where} does not let this user in", "ask for the right to SELECT there"),
    1045: DENIED,
    1698: DENIED,
    1049: ("name", "{where}: there is no such database", "the URL ends with its name"),
    2003: ("gone", "{where} cannot be reached", "try the same with its own client"),
    2005: ("gone", "{where} cannot be reached: the name of the host is not known", None),
    1142: ("denied", "{where}: this user may not read that", "ask for the right to SELECT there"),
    1143: ("denied", "{where}: this user may not read that", "ask for the right to SELECT there"),
    1146: _NAME,
    1054: _NAME,
    1060: ("name", "{where}: the query names a column twice", "give each a name of its own"),
    1064: ("statement", "{where} cannot read the SQL", "try it with its own client"),
    1792: ("statement", "{where}: the query writes, and the transaction is read-only", None),
    1267: ("types", "{where}: texts of different collations meet", None),
    1292: VALUE,
    1365: VALUE,
    1690: VALUE,
    1969: LATE,
    3024: LATE,
    1317: LATE,
    2006: GONE,
    2013: GONE,
    1053: GONE,
    1927: GONE,
}
_BY_CLASS = {
    "OperationalError": ("gone", "{where} cannot be reached or read", AGAIN),
    "InterfaceError": ("gone", "{where} cannot be reached or read", AGAIN),
    "ProgrammingError": ("types", "{where} does not answer what is declared here", None),
    "DataError": VALUE,
}


def failures_of(scheme: str) -> tuple[type[Exception], ...]:
    """What a database behind such a URL may raise that `explain` is for."""
    from sqlalchemy.exc import SQLAlchemyError

    return SQLAlchemyError, *bigquery_failures.foreign(scheme)


def explain(error: Exception, server: Server, at: Location) -> ServerError:
    """The error of SQLAlchemy, or of a driver, as ours."""
    cause = getattr(error, "orig", None)
    if family(server.scheme) == "bigquery":
        return _bigquery(cause.args[0] if cause is not None and cause.args else error, server, at)
    arguments: tuple[object, ...] = getattr(cause, "args", ())
    number = arguments[0] if arguments and isinstance(arguments[0], int) else None
    known = _MYSQL.get(number or 0) if family(server.scheme) == "mysql" else None
    reason, message, hint = known or _BY_CLASS.get(
        type(error).__name__, ("other", "{where} cannot be read", "its log says more")
    )
    words = short(_unquoted(str(arguments[1]))) if "{words}" in message else ""
    said = message.format(where=server.shown_as, words=words)
    if known is None and number is not None:
        said += f" (error {number})"
    return ServerError(said, reason, hint=hint, location=at)


def _bigquery(error: Exception, server: Server, at: Location) -> ServerError:
    (reason, message, hint), words = bigquery_failures.told(error)
    said = message.format(where=server.shown_as, words=short(words))
    return ServerError(said, reason, hint=hint, location=at)


def _unquoted(words: str) -> str:
    return re.sub(r"\s+", " ", words)
