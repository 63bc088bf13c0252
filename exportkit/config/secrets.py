"""Secrets in plain text, found in files that people review, mail around and keep in git."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from exportkit.config.documents import Document
from exportkit.config.references import REFERENCE, has_reference
from exportkit.errors import Complaint

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# The last words of a key whose value is a secret: refresh_token, clientSecret, X-Api-Key.
_SECRET_ENDINGS = re.compile(
    r"(^| )(pass|passwd|password|passphrase|pwd|secret|token|credentials?|bearer|authorization"
    r"|apikey|(api|access|secret|private|signing|encryption|account|auth|license) key)$"
)
# Wider: a value under such a key is never quoted.
_SENSITIVE = re.compile(
    r"pass|pwd|secret|token|credential|bearer|auth|api.?key|[a-z]key$|^key$", re.I
)

_URL_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@?#]*:([^/\s@]+)@", re.I)
_QUERY_SECRET = re.compile(
    r"[?&;](password|passwd|pwd|secret|token|access_token|api_?key)=([^&;\s#]+)", re.I
)
_BEARER = re.compile(r"\b(?:bearer|basic)\s+[A-Za-z0-9._~+/-]{16,}=*", re.I)
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")

Path = tuple[str | int, ...]


def is_secret_key(key: str) -> bool:
    """Whether a key's name says that its value is a secret: `client_secret`, `apiKey`."""
    words = " ".join(word.lower() for word in _WORDS.findall(key))
    return _SECRET_ENDINGS.search(words) is not None


def is_sensitive(path: Sequence[str | int]) -> bool:
    """Whether values at this path should not be quoted, to be on the safe side."""
    return any(isinstance(step, str) and _SENSITIVE.search(step) for step in path)


def looks_secret(text: str) -> bool:
    """Whether text is recognisably a secret by its form: a URL with a password, a token."""
    bare = REFERENCE.sub("", text)
    return bool(
        _URL_PASSWORD.search(bare)
        or _QUERY_SECRET.search(bare)
        or _BEARER.search(bare)
        or _JWT.search(bare)
    )


def plain_secrets(document: Document, kind: str) -> Iterator[Complaint]:
    """Complaints about secrets, and about references where none are replaced."""
    for path, text in _texts(document.data, ()):
        if kind in ("job", "workspace") and has_reference(text):
            yield Complaint(
                "found a reference ${...}; in this file none are replaced",
                document.locate(path),
                "references belong in connections/ and sources/",
            )
        elif kind == "job" and _under_secret_key(path):
            yield Complaint(
                "found a secret in plain text",
                document.locate(path, key=True),
                "secrets belong in the connection, as a reference such as ${env:NAME}",
            )
        elif looks_secret(text):
            yield Complaint(
                "found a password or token in plain text",
                document.locate(path),
                _REMEDY[kind],
            )


_REMEDY = {
    "workspace": "take the password out; PostgreSQL reads it from PGPASSWORD or ~/.pgpass",
    "source": "write it as a reference: postgresql://user:${env:PASSWORD}@host/database",
    "connection": "write it as a reference such as ${env:NAME}",
    "job": "secrets belong in the connection, as a reference such as ${env:NAME}",
}


def _under_secret_key(path: Path) -> bool:
    """Field names are free (a column may be called `token`); a constant is what is written."""
    if path[0] == "map":
        return len(path) == 3 and path[2] in ("value", "default") and is_secret_key(str(path[1]))
    return any(isinstance(step, str) and is_secret_key(step) for step in path)


def plain_options(
    document: Document, at: Sequence[str], schema: Mapping[str, Any]
) -> Iterator[Complaint]:
    """Complaints about secrets (`writeOnly` in the plugin's schema) that are no references."""
    part: Any = document.data
    for step in at:
        part = part.get(step) if isinstance(part, dict) else None
    properties = schema.get("properties")
    if not isinstance(part, dict) or not isinstance(properties, Mapping):
        return
    for name, option in properties.items():
        if not isinstance(option, Mapping) or name not in part:
            continue
        secret = option.get("writeOnly") is True or option.get("x-secret") is True
        if secret:
            for path, text in _texts(part[name], (*at, name)):
                if text and not has_reference(text):
                    yield Complaint(
                        "found a secret in plain text, expected a reference",
                        document.locate(path),
                        f"write it as ${{env:{name.upper()}}} and set that environment variable",
                    )
        elif isinstance(part[name], dict):
            yield from plain_options(document, (*at, name), option)


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every scalar below `value` as text, with its path. Null and booleans are no secrets."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
    elif value is not None and not isinstance(value, bool):
        yield path, str(value)
