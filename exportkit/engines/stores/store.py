"""Where files are that are not on this machine: what a store can be asked, and what it answers.

Two kinds of store answer the same questions: object stores (`buckets`) and web servers (`web`).
Neither ever hands out bytes of another version of an object than the one that was looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit, urlunsplit

from exportkit.errors import Location, SourceError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from datetime import datetime

OBJECT_SCHEMES = ("s3", "gs", "az")
WEB_SCHEMES = ("https", "http")
TIMEOUT = 120
"""Seconds that one request may take, however little it asks for."""
CONNECT_TIMEOUT = 10
"""Seconds until a server that does not even answer is given up."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_MAGIC = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object, as its store described it.

    `path` is the store's own name for it, `shown_as` its address without anything secret. `size`
    is in bytes; it, `modified_at` (UTC) and `etag` are None where the store does not say. Without
    `in_parts` nothing but its beginning, or all of it, can be had.
    """

    path: str
    shown_as: str
    size: int | None
    modified_at: datetime | None
    etag: str | None
    in_parts: bool = True


class Store(Protocol):
    """One bucket, container or web server. Every method may raise SourceError."""

    can_list: bool
    """Whether it can say what is below a folder."""

    def find(self, path: str) -> StoredObject | None:
        """The object of that path, if there is one."""

    def below(self, folder: str) -> Iterable[StoredObject]:
        """All objects below a folder ("" is the whole store), as the store lists them."""

    def read(self, found: StoredObject, start: int, stop: int) -> bytes:
        """Its bytes from `start` up to, not including, `stop`; all of them, or SourceError."""

    def stream(self, found: StoredObject) -> Generator[bytes]:
        """Its bytes in pieces, in order, until nobody asks for more."""


def scheme_of(where: str) -> str:
    """The scheme of a URL in lower case; "" for a path."""
    found = _URL.match(where)
    return found[1].lower() if found else ""


def shown(url: str) -> str:
    """A URL without what may be secret in it: a user's name and password, a signature."""
    parts = urlsplit(url)
    if parts.scheme.lower() in WEB_SCHEMES:
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return url


def open_store(url: str, at: Location | None) -> tuple[Store, str]:
    """The store that a URL points into, and the path there.

    `at` is where the workspace says so. Raises SourceError for a URL that cannot be read, and
    where the library for it is not installed.
    """
    if scheme_of(url) in OBJECT_SCHEMES:
        from exportkit.engines.stores.buckets import open_bucket

        return open_bucket(url, at)
    from exportkit.engines.stores.web import WebServer

    return WebServer(url, at), url


def has_magic(path: str) -> bool:
    """Whether a path is a glob."""
    return _MAGIC.search(path) is not None


def folder_of(pattern: str) -> str:
    """The deepest folder that a glob names without any wildcard."""
    parts = pattern.split("/")[:-1]
    plain = next((n for n, part in enumerate(parts) if has_magic(part)), len(parts))
    return "/".join(parts[:plain])


def matches(path: str, pattern: str) -> bool:
    """Whether an object's path is what a glob asks for, by the rules that local files have.

    `**` stands for any number of folders, the other wildcards never for a slash, and none of them
    for a name that starts with a dot.
    """
    return _match(path.split("/"), pattern.split("/"))


def _match(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        if len(pattern) == 1:
            return bool(parts) and not any(part.startswith(".") for part in parts)
        if _match(parts, pattern[1:]):
            return True
        return bool(parts) and not parts[0].startswith(".") and _match(parts[1:], pattern)
    if not parts or (parts[0].startswith(".") and not pattern[0].startswith(".")):
        return False
    return fnmatchcase(parts[0], pattern[0]) and _match(parts[1:], pattern[1:])


def cut_short(found: StoredObject, got: int, wanted: int) -> SourceError:
    """An answer that ended early."""
    return SourceError(
        f"{found.shown_as} ended early: {got:,} of {wanted:,} bytes came",
        hint="the connection or the store broke off; nothing was used of it: run again",
    )


def changed(found: StoredObject) -> SourceError:
    """Another version of the object is there now."""
    return SourceError(
        f"{found.shown_as} changed while it was read",
        hint="run again when it is written; whoever writes it should replace it in one step",
    )


def gone(found: StoredObject) -> SourceError:
    """The object is not there any more."""
    return SourceError(
        f"{found.shown_as} was taken away while it was read",
        hint="run again when it is back, or name what has taken its place",
    )
