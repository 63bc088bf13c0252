"""What a Spark session says when it fails, said again without a value of anybody's row.

Messages of Spark quote rows, queries and paths; only the names of its error classes, which are
constants, and the host of the endpoint survive.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from exportkit.errors import ExportkitError, Location, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exportkit.config.source import Source

_CONDITION = re.compile(r"[A-Z][A-Z0-9_]*(?:\.[A-Z][A-Z0-9_]*)*")
_QUOTED_CONDITION = re.compile(r"\[([A-Z][A-Z0-9_]*(?:\.[A-Z][A-Z0-9_]*)*)\]")
_GONE = ("SESSION", "OPERATION", "INVALID_HANDLE", "NO_ACTIVE_SESSION", "SESSION_CLOSED")
_MISSING = ("TABLE_OR_VIEW_NOT_FOUND", "PATH_NOT_FOUND", "SCHEMA_NOT_FOUND")
_TAKEN = ("PATH_ALREADY_EXISTS",)
_VALUES = (
    "CAST_INVALID_INPUT",
    "CAST_OVERFLOW",
    "DIVIDE_BY_ZERO",
    "ARITHMETIC_OVERFLOW",
    "NUMERIC_VALUE_OUT_OF_RANGE",
    "CANNOT_PARSE_TIMESTAMP",
    "DATETIME_FIELD_OUT_OF_BOUNDS",
)
_VALUE_ERRORS = ("NumberFormatException", "DateTimeException", "ArithmeticException")
_TYPES = ("DATATYPE_MISMATCH", "UNRESOLVED_COLUMN", "UNRESOLVED_ROUTINE", "WRONG_NUM_ARGS")


def endpoint_of(url: str) -> str:
    """The host and port of a Spark Connect address, without anything that may be secret."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname or '?'}:{parts.port or 15002}"
    except ValueError:
        return "the Spark endpoint"


@contextmanager
def explained(source: Source) -> Iterator[None]:
    """Run code of the Spark client; whatever it raises comes out as a SourceError."""
    try:
        yield
    except ExportkitError:
        raise
    except Exception as error:
        if not is_sparks(error):
            raise
        raise rewrite(error, source) from None


def is_sparks(error: BaseException) -> bool:
    """Whether an error was raised by the Spark client, or by what carries its messages."""
    return any(kind.__module__.split(".")[0] in ("pyspark", "grpc") for kind in type(error).__mro__)


def rewrite(error: BaseException, source: Source) -> SourceError:
    """The client's error as ours, without what it quotes."""
    endpoint = endpoint_of(source.spark or "")
    at = source.document.locate(("spark",))
    condition, status = _condition(error), _status(error)
    if status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return SourceError(
            f"the Spark endpoint {endpoint} does not let us in",
            hint="look at the token in `spark:` and at the rights of its account",
            location=at,
        )
    if status in ("UNAVAILABLE", "DEADLINE_EXCEEDED") or condition.startswith("RETRIES_EXCEEDED"):
        return SourceError(
            f"there is no answer from the Spark endpoint {endpoint}",
            hint="is it running, and does `spark:` name it? Nothing was sent for what was not "
            "read; run again when it is there",
            location=at,
        )
    if status in ("ABORTED", "CANCELLED", "NOT_FOUND") or condition.startswith(_GONE):
        return SourceError(
            f"the Spark session at {endpoint} has ended while it was in use",
            hint="was the server restarted? Run again: what was sent is known, nothing is lost",
            location=at,
        )
    return _of_the_query(error, condition, source)


def is_missing(error: BaseException) -> bool:
    """Whether the cluster has no such table or path."""
    return _condition(error).startswith(_MISSING) or "not found" in str(error).lower()


def is_of_values(error: BaseException) -> bool:
    """Whether a value does not fit what an expression makes of it."""
    named = any(kind.__name__ in _VALUE_ERRORS for kind in type(error).__mro__)
    return named or _condition(error).startswith(_VALUES)


def is_of_types(error: BaseException) -> bool:
    """Whether an expression does not fit the types of the columns."""
    condition = _condition(error)
    return condition.startswith(_TYPES) or (
        not condition and any(k.__name__ == "AnalysisException" for k in type(error).__mro__)
    )


def _of_the_query(error: BaseException, condition: str, source: Source) -> SourceError:
    shown = shown_as(source)
    key = _key(source)
    at = source.document.locate((key,))
    if is_of_values(error):
        return SourceError(
            f"a value in {shown} cannot be read as an expression asks for",
            hint="use try_cast(... as ...), or compare with text in '…'",
        )
    if condition.startswith(_MISSING) or (not condition and is_missing(error)):
        return not_there(source)
    why = condition or type(error).__name__
    return SourceError(
        f"{shown} cannot be read on the cluster ({why})",
        hint="the log of the Spark server says more; it may quote rows, so it stays there",
        location=at if key != "spark" else Location(shown),
    )


def not_there(source: Source) -> SourceError:
    """The error for a table or a path that the cluster does not have."""
    return SourceError(
        f"the cluster has no such {'file' if source.file else 'table'}, or may not read it",
        hint="names are those that the cluster knows, paths those that it can read",
        location=source.document.locate((_key(source),)),
    )


def _key(source: Source) -> str:
    return next((k for k in ("table", "query", "file") if getattr(source, k)), "spark")


def shown_as(source: Source) -> str:
    """What messages call the source."""
    return f"source {source.name}"


def _condition(error: BaseException) -> str:
    """The name of Spark's error class, empty where it has none; no text of a message."""
    found = getattr(error, "getCondition", lambda: None)()
    if found and _CONDITION.fullmatch(str(found)):
        return str(found)
    quoted = _QUOTED_CONDITION.search(str(error)[:200])
    return quoted[1] if quoted else ""


def _status(error: BaseException) -> str:
    """The name of the gRPC status code, empty where there is none."""
    for name in ("getGrpcStatusCode", "code"):
        ask = getattr(error, name, None)
        if callable(ask) and (code := ask()) is not None:
            return str(getattr(code, "name", code))
    return ""
