"""What a database's URL says: which kind of server, which driver reads it, how it may be shown.

Files of DuckDB and SQLite have URLs too; they are opened as files and no servers.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from exportkit.config.references import REFERENCE, resolve
from exportkit.config.secrets import secret_options
from exportkit.errors import ExportkitError, SourceError
from exportkit.redaction import conceal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType
    from urllib.parse import SplitResult

    from exportkit.config.source import Source
    from exportkit.errors import Location

FILES = ("sqlite", "duckdb")
"""Schemes of databases that are files."""

ADBC = "adbc+"
"""What schemes begin with that name an ADBC driver: `adbc+DRIVER`, `adbc+DRIVER+SCHEME`."""

_SCHEME = re.compile(r"([a-z][a-z0-9+._-]*)://", re.IGNORECASE)


class ServerError(SourceError):
    """A server refused or failed. `reason` is one of REASONS."""

    def __init__(
        self, message: str, reason: str, *, hint: str | None = None, location: Location | None
    ) -> None:
        super().__init__(message, hint=hint, location=location)
        self.reason = reason


REASONS = ("types", "value", "name", "statement", "denied", "timeout", "gone", "other")


@dataclass(frozen=True, slots=True)
class Server:
    """A database server. `url` has the password in it; `shown_as` is for messages.

    `root` is where the paths of databases begin that a driver opens as files.
    """

    scheme: str
    url: str = field(repr=False)
    shown_as: str
    root: Path

    @property
    def dialect(self) -> str:
        """sqlglot's name for what this kind of database speaks; empty where it has none."""
        return sql_dialect(self.scheme)


_SAME = {"postgres": "postgresql", "mariadb": "mysql"}
_DIALECTS = {
    "postgresql": "postgres",
    "mysql": "mysql",
    "snowflake": "snowflake",
    "bigquery": "bigquery",
    "mssql": "tsql",
    "oracle": "oracle",
    "redshift": "redshift",
    "trino": "trino",
    "clickhouse": "clickhouse",
    "databricks": "databricks",
    "sqlite": "sqlite",
    "duckdb": "duckdb",
}


def family(scheme: str) -> str:
    """`postgresql` for postgresql, postgres, postgresql+psycopg and adbc+postgresql."""
    name = _first(scheme)
    return _SAME.get(name, name)


def _first(scheme: str) -> str:
    return scheme.removeprefix(ADBC).partition("+")[0]


def sql_dialect(scheme: str) -> str:
    """sqlglot's name for the SQL behind a scheme; empty, its own, where it knows none."""
    return _DIALECTS.get(family(scheme), "")


def is_file(source: Source) -> bool:
    """Whether the URL, as it is written, names a file of DuckDB or SQLite."""
    return scheme_of(source) in FILES


def is_server(source: Source, root: Path) -> bool:
    """Whether the source is a database that is no file. Raises ConfigError if nobody can tell.

    That is so where all of the URL is a reference to something that is not set here.
    """
    if source.database is None:
        return False
    scheme = scheme_of(source) or _scheme(
        resolve(source.database, source.document, ("database",), root=root)
    )
    return scheme not in FILES


def scheme_of(source: Source) -> str:
    """What the URL begins with; empty while nobody knows, because all of it is a reference."""
    return _scheme(source.database or "")


def _scheme(url: str) -> str:
    found = _SCHEME.match(url)
    return found[1].lower() if found else ""


def find_server(source: Source, root: Path) -> Server:
    """The server that the source's URL names, its references replaced.

    A reference inside of a URL may hold any characters: it is escaped as URLs ask for. Raises
    ConfigError for a reference that cannot be replaced, SourceError for what is no URL.
    """
    at = source.document.locate(("database",))
    text = source.database or ""
    whole = REFERENCE.fullmatch(text) is not None

    def one(match: re.Match[str]) -> str:
        value = str(resolve(match.group(), source.document, ("database",), root=root))
        if whole:
            return value
        conceal(quote(value, safe=""))
        return quote(value, safe="")

    url = REFERENCE.sub(one, text)
    found = _SCHEME.match(url)
    try:
        # Python knows no schemes with an underscore, and would take the rest for a path.
        parts = urlsplit(f"x://{url.partition('://')[2]}")
        secrets, place = _secrets(parts), _place(parts)
    except ValueError:
        found = None
    if found is None:
        raise SourceError(
            "this is not the URL of a database",
            hint="a URL looks like postgresql://user:${env:PASSWORD}@host:5432/database",
            location=at,
        )
    for secret in secrets:
        conceal(secret)
        conceal(unquote(secret))
    scheme = found[1].lower()
    shown_as = f"the {_first(scheme)} database" + ("" if whole else place)
    return Server(scheme, url, shown_as, root)


def _secrets(parts: SplitResult) -> list[str]:
    """The password, and what the options say under a name of a secret; escaped as they stand."""
    named = secret_options(parts.query)
    return [*named, parts.password] if parts.password else named


def _place(parts: SplitResult) -> str:
    """Where the server is, without user, password and options."""
    host, path = parts.netloc.rpartition("@")[2], parts.path.rstrip("/")
    where = host + path if host else path.removeprefix("/")
    return f" {where}" if where else ""


@contextmanager
def needing(server: Server, package: str, extra: str, at: Location) -> Iterator[None]:
    """Import a driver inside of it; SourceError names the extra where it is not installed."""
    try:
        yield
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        raise SourceError(
            f"{server.scheme}:// needs {package}, which is not installed"
            + (f" ({missing} is missing)" if missing and missing not in package else ""),
            hint=f"pip install 'exportkit[{extra}]'" if extra else f"pip install {package}",
            location=at,
        ) from None


def driver(server: Server, module: str, package: str, extra: str, at: Location) -> ModuleType:
    """A driver's module. SourceError names the extra where it is not installed."""
    with needing(server, package, extra, at):
        return import_module(module)


def scheme_resolved(source: Source, root: Path) -> str:
    """The scheme, if need be from the reference; empty where that is not set here."""
    known = scheme_of(source)
    if known or source.database is None:
        return known
    try:
        return _scheme(resolve(source.database, source.document, ("database",), root=root))
    except ExportkitError:
        return ""
