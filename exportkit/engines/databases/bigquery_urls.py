"""What the URL of a BigQuery says besides where it is: who signs in, and nothing that writes."""

from __future__ import annotations

import importlib.util
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from exportkit.engines.databases.servers import ServerError, family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL

    from exportkit.engines.databases.servers import Server
    from exportkit.errors import Location

_KEY = "the key of a service account: ?credentials_path=keys/bigquery.json"
# The driver takes them too: one writes each answer to a table, the other answers no rows.
_UNFIT = ("destination", "dry_run")


def quietly(server: Server) -> dict[str, bool]:
    """What to tell the driver so that it warns of no library for a faster reading it could have."""
    is_slow = family(server.scheme) == "bigquery" and not _has_storage()
    return {"prefer_bqstorage_client": False} if is_slow else {}


def _has_storage() -> bool:
    return importlib.util.find_spec("google.cloud.bigquery_storage") is not None


@contextmanager
def signed(url: URL, server: Server, at: Location) -> Iterator[URL]:
    """The URL to make an engine of, which for BigQuery reads credentials at once.

    The path of an account's key begins at the workspace.
    """
    if family(server.scheme) != "bigquery":
        yield url
        return
    for name in _UNFIT:
        if name in url.query:
            raise ServerError(
                f"?{name}= cannot stand in the URL of a source",
                "statement",
                hint="take it out: a source is read, and nothing else",
                location=at,
            )
    from google.auth.exceptions import DefaultCredentialsError

    try:
        yield _with_key(url, server, at)
    except DefaultCredentialsError:
        raise ServerError(
            "there are no credentials for BigQuery, or none that can be read",
            "denied",
            hint=f"name {_KEY}, or set GOOGLE_APPLICATION_CREDENTIALS",
            location=at,
        ) from None


def _with_key(url: URL, server: Server, at: Location) -> URL:
    name = url.query.get("credentials_path")
    if not name:
        return url
    from google.oauth2 import service_account

    path = str(server.root / str(name))
    try:
        untyped: Any = service_account.Credentials
        untyped.from_service_account_file(path)
    except (OSError, ValueError) as error:
        cannot = "that cannot be read" if isinstance(error, OSError) else "that is no such key"
        raise ServerError(
            f"credentials_path names a file {cannot}", "denied", hint=f"it is {_KEY}", location=at
        ) from None
    return url.update_query_dict({"credentials_path": path})
