"""Which ADBC driver a URL names, where it is found, and what it is given to open a database.

`adbc+DRIVER://…` gives the driver DRIVER the uri `DRIVER://…`, `adbc+DRIVER+SCHEME://…` the uri
`SCHEME://…`. What the URL's query says of a user, a password or an option of ADBC's is no part of
the uri: the driver is given it beside.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from exportkit.config.phrases import short
from exportkit.engines.databases.adbc_failures import explain_connect
from exportkit.engines.databases.servers import ADBC, needing
from exportkit.engines.files.file import look_at
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exportkit.engines.databases.servers import Server
    from exportkit.errors import Location

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_BESIDE = ("username", "password")
_OPTION = "adbc."
_ENTRY_POINTS = {"duckdb": "duckdb_adbc_init"}
# The driver manager's own errors begin so, all others are the driver's.
_MANAGER = "[Driver Manager]"


def check_driver(scheme: str, at: Location) -> None:
    """Return if a driver of this name can be looked for. Raises SourceError if it cannot."""
    name, _, inner = _named(scheme)
    if not _NAME.fullmatch(name):
        raise SourceError(
            f"{short(name)!r} is no name of an ADBC driver",
            hint="a URL looks like adbc+snowflake://… or adbc+flightsql+grpc://host:port",
            location=at,
        )
    if name == "sqlite":
        raise SourceError(
            "adbc+sqlite:// is not read: this driver takes the types of columns from their first "
            "rows",
            hint="sqlite:///data/crm.db reads the file, by the same driver",
            location=at,
        )
    if name == "duckdb" and inner:
        raise SourceError(
            f"{scheme}:// is not read", hint="adbc+duckdb:///data/crm.duckdb is", location=at
        )


def connect(server: Server, at: Location) -> Any:
    """A connection by the driver that the URL names, with a transaction where it has such.

    Raises SourceError for a driver that is not installed and a file that is not there, ServerError
    for a database that does not let anybody in.
    """
    import adbc_driver_manager as adbc
    from adbc_driver_manager import dbapi

    check_driver(server.scheme, at)
    name, _, _ = _named(server.scheme)
    given, library = opening(server, at), _library(name, server, at)
    try:
        # Without a transaction: the manager would warn where the driver has none.
        connection = dbapi.connect(
            library, entrypoint=_ENTRY_POINTS.get(name), db_kwargs=given, autocommit=True
        )
    except (adbc.Error, OSError) as error:
        if _MANAGER in str(error):
            raise _missing(name, server, at) from None
        raise explain_connect(error, server, at) from None
    for option in ({"adbc.connection.autocommit": "false"}, {"adbc.connection.readonly": "true"}):
        try:
            connection.adbc_connection.set_options(**option)
        except adbc.Error:  # there are drivers that have no such thing, and each says so its way
            continue
    return connection


def opening(server: Server, at: Location) -> Mapping[str, str]:
    """The options that open the database. Raises SourceError for a file that is not there."""
    name, _, inner = _named(server.scheme)
    rest = server.url.partition("://")[2]
    if name == "duckdb":
        return _file(rest, server, at)
    place, _, query = rest.partition("?")
    beside, kept = {}, []
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        if unquote(key) in _BESIDE or unquote(key).startswith(_OPTION):
            beside[unquote(key)] = unquote(value)
        else:
            kept.append(part)
    uri = f"{inner or name}://{place}{'?' if kept else ''}{'&'.join(kept)}"
    # Drivers that are told everything beside know no URI that says nothing.
    return beside if beside and not place and not kept else {"uri": uri, **beside}


def _named(scheme: str) -> tuple[str, str, str]:
    return scheme.removeprefix(ADBC).partition("+")


def _file(path: str, server: Server, at: Location) -> Mapping[str, str]:
    """A file of DuckDB, which nobody writes to and whose queries read no other."""
    if not path.startswith("/") or path == "/":
        raise SourceError(
            f"{server.scheme}:// needs three slashes and a path: "
            f"{server.scheme}:///data/crm.duckdb",
            location=at,
        )
    file = look_at(server.root / path[1:], path[1:], encoding=None, at=at)
    if file.format != "duckdb":
        raise SourceError(f"{file.shown_as} is {file.format}, not duckdb", location=at)
    return {
        "path": str(file.path),
        "access_mode": "READ_ONLY",
        "enable_external_access": "false",
    }


def _library(name: str, server: Server, at: Location) -> str:
    """Where the package of a driver says that it is; else its name, for which manifests are."""
    module, package = f"adbc_driver_{name.replace('-', '_')}", _package(name)
    with needing(server, package, "", at):
        try:
            found = import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:  # what it needs itself is missing
                raise
            return name
        for function in ("driver_path", "_driver_path"):
            if hasattr(found, function):
                return str(getattr(found, function)())
    return name


def _package(name: str) -> str:
    return f"adbc-driver-{name.replace('_', '-')}"


def _missing(name: str, server: Server, at: Location) -> SourceError:
    return SourceError(
        f"{server.scheme}:// needs the ADBC driver {name}, which is not installed",
        hint=f"pip install {_package(name)}, or install a manifest for {name}",
        location=at,
    )
