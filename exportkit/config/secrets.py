"""Secrets in plain text, in files that people review, mail around and keep in git."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from exportkit.config.references import FORMS, REFERENCE, has_reference, malformed
from exportkit.errors import Complaint

if TYPE_CHECKING:
    from exportkit.config.documents import Document, Steps

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# The last words of a key whose value is a secret: refresh_token, clientSecret, X-Api-Key.
_SECRET_ENDING = re.compile(
    r"(^| )(pass|passwd|password|passphrase|pwd|secret|token|credentials?|bearer"
    r"|authorization( header)?|apikey|private key pkcs value|credentials base"
    r"|(api|access|secret|private|signing|encryption|account|auth|license) key)$"
)
# Wider: a value under such a key is never quoted.
_SENSITIVE = re.compile(r"pass|pwd|secret|token|credential|bearer|auth|api.?key|[a-z_-]key$", re.I)

_IN_URL = re.compile(
    r"[a-z][a-z0-9+.-]*://[^/\s:@?#]*:(?!\d{1,5}[/?#])[^\s@]*[^\s@/]@"
    r"|[?&;](password|passwd|pwd|secret|token|access_token|api_?key)=[\w%.~+/-]{4,}",
    re.I,
)
_TOKEN = re.compile(
    r"\b(?i:bearer)\s+(?=\S*\d)[\w.~+/-]{16,}"
    r"|\b(?i:basic)\s+(?=\S*\d)(?=\S*[a-z])(?=\S*[A-Z])[A-Za-z0-9+/]{12,}={0,2}(?!\S)"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",
    re.ASCII,
)

# Where references are replaced; they are no use elsewhere.
_REPLACED = {
    "source": ("file", "database", "spark", "table", "query"),
    "connection": ("options",),
    "workspace": ("notify",),
    "job": ("notify",),
}
_REMEDY = {
    "workspace": "take it out; PostgreSQL reads its password from PGPASSWORD or ~/.pgpass",
    "source": "write it as a reference: postgresql://user:${env:PASSWORD}@host/database",
    "connection": "write it as a reference such as ${env:NAME}",
    "job": "secrets belong in the connection, as a reference such as ${env:NAME}",
}


def is_secret_key(key: str) -> bool:
    """Whether a key's name says that its value is a secret: `client_secret`, `apiKey`."""
    words = " ".join(word.lower() for word in _WORDS.findall(key))
    return _SECRET_ENDING.search(words) is not None


def is_secret(name: str, option: object) -> bool:
    """Whether a plugin's option, by its name or its schema, is to be written as a reference."""
    marks = option if isinstance(option, Mapping) else {}
    return bool(marks.get("writeOnly") or marks.get("x-secret") or is_secret_key(name))


def is_sensitive(path: Steps) -> bool:
    """Whether values at this path should not be quoted, to be on the safe side."""
    if path and path[0] == "notify" and path[-1] == "to":  # addresses often contain tokens
        return True
    is_option = bool(path) and path[0] in ("options", "destination")
    return any(
        isinstance(step, str) and (_SENSITIVE.search(step) or (is_option and step == "key"))
        for step in path
    )


def looks_secret(text: str) -> bool:
    """Whether text is a secret by its form: a URL with a password, a bearer token, a JWT."""
    bare = REFERENCE.sub("", text)
    return bool(_IN_URL.search(bare) or _TOKEN.search(bare))


def secret_options(query: str) -> list[str]:
    """What a URL's query says under names of secrets, escaped as it stands there."""
    options = (option.partition("=") for option in query.split("&"))
    return [value for name, _, value in options if value and is_secret_key(unquote(name))]


def plain_secrets(document: Document, kind: str) -> Iterator[Complaint]:
    """Complaints about secrets in plain text, and about references where none are replaced."""
    for path, text in _texts(document.data, ()):
        if has_reference(text):
            yield from _misplaced(document, kind, path, text)
        elif kind == "job" and _under_secret_key(path):
            yield Complaint(
                "found a secret in plain text", document.locate(path, key=True), _REMEDY[kind]
            )
        if looks_secret(text) or (path == ("database",) and _says_secret(text)):
            yield Complaint(
                "found a password or token in plain text", document.locate(path), _REMEDY[kind]
            )


def _says_secret(url: str) -> bool:
    """Whether an option of a database's URL is a secret by its name, however short it is."""
    return bool(secret_options(REFERENCE.sub("", url).partition("?")[2]))


def _misplaced(document: Document, kind: str, path: Steps, text: str) -> Iterator[Complaint]:
    where = document.locate(path)
    keys = _REPLACED[kind]
    if path[0] not in keys and kind in ("workspace", "job"):
        yield Complaint(
            f"found a reference, which is not replaced in a {kind}",
            where,
            "references belong in connections/ and sources/",
        )
    elif path[0] not in keys:
        yield Complaint(
            "found a reference, which is not replaced here",
            where,
            f"in a {kind}, references belong under {', '.join(keys)}",
        )
    elif (odd := malformed(text)) is not None:
        yield Complaint(f"found {odd}, expected {FORMS}", where)


def _under_secret_key(path: Steps) -> bool:
    """Field names are free (a field may be called `token`); only a constant is written out."""
    if path[0] == "map":
        is_constant = len(path) == 3 and path[2] in ("value", "default")
        return is_constant and is_secret_key(str(path[1]))
    return _under_secret(path)


def _under_secret(path: Steps) -> bool:
    return any(isinstance(step, str) and is_secret_key(step) for step in path)


def plain_options(document: Document, at: Steps, schema: Mapping[str, Any]) -> Iterator[Complaint]:
    """Complaints about options that are secrets and no references: the schema marks `writeOnly`.

    Where it lets any name in, the name tells.
    """
    part = document.part(at)
    for path in dict.fromkeys(_marked(schema, schema, part, at, frozenset())):
        text = document.text_or_none(path)
        if text and not has_reference(text):
            name = re.sub(r"\W", "_", str(path[-1])).upper()
            in_job = at[0] == "destination"
            yield Complaint(
                "found a secret in plain text, expected a reference",
                document.locate(path),
                _REMEDY["job"] if in_job else f"write ${{env:{name}}} and set that variable",
            )


def _marked(
    schema: Any, whole: Mapping[str, Any], value: Any, path: Steps, seen: frozenset[int]
) -> Iterator[Steps]:
    """Paths of the scalars in `value` for which the schema says writeOnly or x-secret.

    And of those that it does not know, but whose name says it.
    """
    if not isinstance(schema, Mapping) or id(schema) in seen:
        return
    if schema.get("writeOnly") is True or schema.get("x-secret") is True:
        yield from (inner for inner, _ in _texts(value, path))
        return
    seen |= {id(schema)}
    parts = [part for key in ("allOf", "anyOf", "oneOf") for part in schema.get(key, ())]
    parts += [schema.get("then"), schema.get("else"), _local(schema.get("$ref"), whole)]
    for part in parts:
        yield from _marked(part, whole, value, path, seen)
    for step, part, item in _children(schema, value):
        if isinstance(part, Mapping):
            yield from _marked(part, whole, item, (*path, step), frozenset())
        else:
            below = (inner for inner, _ in _texts(item, (*path, step)))
            yield from (inner for inner in below if _under_secret(inner[len(path) :]))


def _children(schema: Mapping[str, Any], value: Any) -> Iterator[tuple[str | int, Any, Any]]:
    if isinstance(value, dict):
        known = schema.get("properties", {})
        for key, item in value.items():
            yield key, known.get(key, schema.get("additionalProperties")), item
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield index, schema.get("items"), item


def _local(reference: Any, whole: Mapping[str, Any]) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Any = whole
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _texts(value: Any, path: Steps) -> Iterator[tuple[Steps, str]]:
    """Every scalar below `value` as text, with its path. Null and booleans are no secrets."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
    elif value is not None and not isinstance(value, bool):
        yield path, str(value)
