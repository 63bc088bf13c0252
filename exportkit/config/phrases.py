"""The two halves of a complaint: what was found, and what a schema expects instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LONGEST = 60
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping (keys with values)",
    "null": "nothing",
}
_FORMATS = {
    "date": "a date such as 2026-11-20",
    "date-time": "a time such as 2026-11-20T06:00:00Z",
    "email": "an e-mail address",
    "uri": "a URL",
    "uuid": "an id such as 04fe9a97-a579-43c5-bb1a-58ed29bf0a6a",
}


def short(text: str) -> str:
    """Text for a message: on one line, without control characters, not too long."""
    plain = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text[: _LONGEST + 1]
    )
    return plain if len(plain) <= _LONGEST else plain[:_LONGEST] + "..."


def found(value: Any, *, secret: bool) -> str:
    """What a value is, and the value itself unless it may be a secret: `the text 'mirorr'`."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping" if value else "an empty mapping"
        case list():
            return "a list" if value else "an empty list"
        case "":
            return "empty text"
        case bool():
            return "true" if value else "false"
        case str():
            return "text (not shown)" if secret else f"the text '{short(value)}'"
    return "a number (not shown)" if secret else f"the number {value}"


def expected(schema: Mapping[str, Any], keyword: str, wanted: Any) -> str:
    """What the keyword of a schema asks for: `one of: upsert, insert, mirror, full`.

    A schema may say it better itself, with `x-expected`.
    """
    if "x-expected" in schema:
        return str(schema["x-expected"])
    phrase = _PHRASES.get(keyword)
    if phrase is not None:
        return phrase(wanted) + (_example(schema) if keyword in ("format", "pattern") else "")
    described = schema.get("description") or schema.get("title")
    return str(described) if described else "something else"


def _example(schema: Mapping[str, Any]) -> str:
    examples = schema.get("examples")
    return f", for example {examples[0]}" if isinstance(examples, list) and examples else ""


def _types(wanted: Any) -> str:
    names = wanted if isinstance(wanted, list) else [wanted]
    return " or ".join(_TYPES.get(name, str(name)) for name in names)


def _constant(wanted: Any) -> str:
    return f"'{wanted}'" if isinstance(wanted, str) else str(wanted).lower()


def _size(bound: str, unit: str) -> Callable[[Any], str]:
    return lambda wanted: f"{bound} {wanted} {unit}{'' if wanted == 1 else 's'}"


_PHRASES: dict[str, Callable[[Any], str]] = {
    "type": _types,
    "enum": lambda wanted: "one of: " + ", ".join(str(option) for option in wanted),
    "const": _constant,
    "minLength": _size("at least", "character"),
    "maxLength": _size("at most", "character"),
    "minItems": _size("at least", "item"),
    "maxItems": _size("at most", "item"),
    "minProperties": _size("at least", "key"),
    "maxProperties": _size("at most", "key"),
    "minimum": lambda wanted: f"at least {wanted}",
    "maximum": lambda wanted: f"at most {wanted}",
    "exclusiveMinimum": lambda wanted: f"more than {wanted}",
    "exclusiveMaximum": lambda wanted: f"less than {wanted}",
    "multipleOf": lambda wanted: f"a multiple of {wanted}",
    "uniqueItems": lambda _: "each item once",
    "format": lambda wanted: _FORMATS.get(wanted, f"text of the format {wanted}"),
    "pattern": lambda wanted: f"text of the form {wanted}",
}

NAME_PATTERN = "^[a-z0-9][a-z0-9_-]*$"


def as_name(text: str) -> str | None:
    """`VIP Newsletter` as `vip-newsletter`; None where nothing is left of it."""
    name = re.sub(r"[^a-z0-9_]+", "-", text.lower(), flags=re.ASCII).strip("-_")
    return name or None


def as_boolean(text: str) -> str | None:
    """A hint for `yes`, `off` and a quoted `true`; None for anything else."""
    lowered = text.lower()
    if lowered in ("true", "yes", "on", "y"):
        return "write true, without quotes"
    if lowered in ("false", "no", "off", "n"):
        return "write false, without quotes"
    return None
