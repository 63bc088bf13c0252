"""What BigQuery and its client say when they fail, said again without a value of a row.

Most of it comes from Google's libraries as it is: their driver wraps little in errors of its own.
"""

from __future__ import annotations

import re

from exportkit.engines.databases.servers import family

Told = tuple[str, str, str | None]
"""Reason, message, hint."""

_AGAIN = "nothing of what was read was lost or sent twice: run again when it is back"
_ROLES = "it needs the roles BigQuery Job User and BigQuery Data Viewer"
_GONE = ("gone", "{where} cannot be reached or read", _AGAIN)
_REFUSED = ("denied", "{where} does not accept the credentials", "is the key still valid?")
_TYPES = ("types", "{where} does not answer what is declared here", None)
_VALUE = (
    "value",
    "{where}: a value cannot be read as an expression asks",
    "say it in `query:`, with SAFE_CAST",
)
_QUOTA = ("other", "{where}: a quota of the project is used up", "run again when it is renewed")
_BIG = ("other", "{where}: the query asks for more than one query may", "read less, or in parts")
_HIDDEN = ("denied", "{where}: this account may not read that, or it is not there", _ROLES)
_NAMED = ("name", "{where}: {words}", None)
# By the reason that its API gives; the rest is known by the class of the error alone.
_BY_REASON: dict[str, Told] = {
    "accessDenied": _HIDDEN,
    "authError": _REFUSED,
    "billingNotEnabled": ("denied", "{where}: the project has no billing", None),
    "bytesBilledLimitExceeded": (
        "other",
        "{where}: the query would read more than maximum_bytes_billed allows",
        "raise it in the URL, or read less",
    ),
    "invalid": _TYPES,
    "notFound": _NAMED,
    "quotaExceeded": _QUOTA,
    "rateLimitExceeded": _QUOTA,
    "resourcesExceeded": _BIG,
    "responseTooLarge": _BIG,
    "stopped": ("timeout", "{where} ended the query: somebody cancelled it", None),
    "timeout": ("timeout", "{where} ended the query: it took too long", None),
    **dict.fromkeys(("backendError", "internalError", "jobBackendError"), _GONE),
}
# Words about the query alone, as they begin; of others nobody knows whether they quote a row.
_NAMES = re.compile(r"Unrecognized name: |Not found: |Table \S+ must be |Name \S+ not found")
_VALUES = re.compile(
    r"Bad \w+ value|(Invalid|Could not (cast|parse)|Failed to parse) (?!.*at \[\d+:\d+\])"
    r"|[Dd]ivision by zero|.*\b([Oo]verflow|out of range)\b"
)


def foreign(scheme: str) -> tuple[type[Exception], ...]:
    """Errors that come out of the driver of such a database as they are, and are no driver's."""
    if family(scheme) != "bigquery":
        return ()
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests import RequestException

    return GoogleAPIError, GoogleAuthError, RequestException


def told(error: BaseException | None) -> tuple[Told, str]:
    """Reason, message and hint, and words that may be shown."""
    from google.auth.exceptions import RefreshError

    if isinstance(error, RefreshError):
        return _REFUSED, ""
    details = getattr(error, "errors", None) or [{}]
    reason, message = (str(details[0].get(key, "")) for key in ("reason", "message"))
    words = re.sub(r"\s+at \[\d+:\d+\].*$", "", message.partition("\n")[0])
    if reason == "invalidQuery":
        known = _VALUE if _VALUES.match(message) else _NAMED if _NAMES.match(message) else _TYPES
        return known, words
    if getattr(error, "code", None) == 401:
        return _REFUSED, ""
    return _BY_REASON.get(reason, _GONE), words
