"""A quick yes: is this value surely valid? Where it is not, jsonschema is loaded to say why.

Loading jsonschema takes longer than opening a workspace, and nearly always the files are right.
This knows the keywords that our schemas use, exactly; about anything else it is unsure, and no
complaint ever comes from here. Tests hold it against jsonschema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

Check = Callable[[Any, Any, Mapping[str, Any], Mapping[str, Any]], bool]

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class _UnsureError(Exception):
    """The schema says something that this module does not know."""


def surely_valid(schema: Mapping[str, Any], value: Any) -> bool:
    """True only if jsonschema would find nothing wrong; False says nothing."""
    try:
        return _valid(schema, value, schema)
    except (_UnsureError, RecursionError, re.error):
        return False


def surely_a_schema(schema: Any) -> bool:
    """True only if this is a JSON Schema, and a plain one; False says nothing."""
    return surely_valid(_PLAIN, schema)


def _valid(schema: Any, value: Any, whole: Mapping[str, Any]) -> bool:
    if schema is True or schema is False:
        return bool(schema)
    if not isinstance(schema, Mapping):
        raise _UnsureError
    return all(
        _check_of(keyword)(wanted, value, schema, whole)
        for keyword, wanted in schema.items()
        if keyword not in _SAY_NOTHING and not keyword.startswith("x-")
    )


def _check_of(keyword: str) -> Check:
    try:
        return _CHECKS[keyword]
    except KeyError:
        raise _UnsureError from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and value == int(value),
}


def _type(wanted: Any, value: Any, *_: Any) -> bool:
    names = wanted if isinstance(wanted, list) else [wanted]
    if not all(name in _TYPES for name in names):
        raise _UnsureError
    return any(_TYPES[name](value) for name in names)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict | list) and isinstance(other, dict | list):
        raise _UnsureError
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _properties(wanted: Any, value: Any, _: Any, whole: Mapping[str, Any]) -> bool:
    if not isinstance(wanted, Mapping):
        raise _UnsureError
    there = value if isinstance(value, dict) else {}
    return all(_valid(part, there[name], whole) for name, part in wanted.items() if name in there)


def _others(wanted: Any, value: Any, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    if "patternProperties" in schema:
        raise _UnsureError
    others = value.keys() - schema.get("properties", {}).keys() if isinstance(value, dict) else ()
    return all(_valid(wanted, value[name], whole) for name in others)


def _reference(wanted: Any, value: Any, _: Any, whole: Mapping[str, Any]) -> bool:
    if not isinstance(wanted, str) or not wanted.startswith("#/") or re.search("[~%]", wanted):
        raise _UnsureError
    part: Any = whole
    for step in wanted[2:].split("/"):
        part = part.get(step) if isinstance(part, Mapping) else None
    return _valid(part, value, whole)


def _if(wanted: Any, value: Any, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    branch = "then" if _valid(wanted, value, whole) else "else"
    return _valid(schema.get(branch, True), value, whole)


def _companions(wanted: Mapping[str, list[str]], value: Any, *_: Any) -> bool:
    there = value if isinstance(value, dict) else {}
    return all(name in there for key, names in wanted.items() if key in there for name in names)


def _format(wanted: Any, value: Any, *_: Any) -> bool:
    if wanted == "output-path" or not isinstance(value, str):
        return True
    if wanted == "regex":
        return bool(re.compile(value))
    if wanted != "date":
        raise _UnsureError
    try:
        return bool(_DATE.fullmatch(value) and date.fromisoformat(value))
    except ValueError:
        return False


def _unique(wanted: Any, value: Any, *_: Any) -> bool:
    items = value if wanted and isinstance(value, list) else []
    return not any(_same(one, two) for i, one in enumerate(items) for two in items[:i])


def _for(kind: type | tuple[type, ...], test: Callable[[Any, Any], bool]) -> Check:
    """A keyword that speaks of values of one kind only, and of no booleans."""

    def check(wanted: Any, value: Any, *_: Any) -> bool:
        return isinstance(value, bool) or not isinstance(value, kind) or test(wanted, value)

    return check


_NUMBER = (int, float)
_SAY_NOTHING = frozenset({
    "$schema", "$defs", "$comment", "title", "description", "examples", "default",
    "then", "else", "writeOnly", "readOnly", "deprecated",
})  # fmt: skip
_CHECKS: dict[str, Check] = {
    "type": _type,
    "enum": lambda wanted, value, *_: any(_same(option, value) for option in wanted),
    "const": lambda wanted, value, *_: _same(wanted, value),
    "$ref": _reference,
    "allOf": lambda parts, value, _, whole: all(_valid(part, value, whole) for part in parts),
    "anyOf": lambda parts, value, _, whole: any(_valid(part, value, whole) for part in parts),
    "oneOf": lambda parts, value, _, whole: sum(_valid(p, value, whole) for p in parts) == 1,
    "not": lambda wanted, value, _, whole: not _valid(wanted, value, whole),
    "if": _if,
    "properties": _properties,
    "additionalProperties": _others,
    "propertyNames": lambda wanted, value, _, whole: (
        not isinstance(value, dict) or all(_valid(wanted, name, whole) for name in value)
    ),
    "required": _for(dict, lambda wanted, value: all(name in value for name in wanted)),
    "dependentRequired": _companions,
    "minProperties": _for(dict, lambda wanted, value: len(value) >= wanted),
    "maxProperties": _for(dict, lambda wanted, value: len(value) <= wanted),
    "items": lambda wanted, value, _, whole: (
        not isinstance(value, list) or all(_valid(wanted, item, whole) for item in value)
    ),
    "minItems": _for(list, lambda wanted, value: len(value) >= wanted),
    "maxItems": _for(list, lambda wanted, value: len(value) <= wanted),
    "uniqueItems": _unique,
    "format": _format,
    "minLength": _for(str, lambda wanted, value: len(value) >= wanted),
    "maxLength": _for(str, lambda wanted, value: len(value) <= wanted),
    "pattern": _for(str, lambda wanted, value: re.search(wanted, value) is not None),
    "minimum": _for(_NUMBER, lambda wanted, value: value >= wanted),
    "maximum": _for(_NUMBER, lambda wanted, value: value <= wanted),
}

_TEXT, _NUMERIC, _SCHEMA = {"type": "string"}, {"type": "number"}, "#/$defs/schema"
_SCHEMAS = {"type": "array", "minItems": 1, "items": {"$ref": _SCHEMA}}
_COUNT = {"type": "integer", "minimum": 0}
_PLAIN: dict[str, Any] = {
    "$ref": _SCHEMA,
    "$defs": {
        "schema": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "type": {"enum": list(_TYPES)},
                "properties": {"type": "object", "additionalProperties": {"$ref": _SCHEMA}},
                "additionalProperties": {"anyOf": [{"type": "boolean"}, {"$ref": _SCHEMA}]},
                "items": {"$ref": _SCHEMA},
                "required": {"type": "array", "items": _TEXT, "uniqueItems": True},
                "enum": {"type": "array", "items": _TEXT},
                "pattern": {"type": "string", "format": "regex"},
                "const": True,
                "default": True,
                "not": {"$ref": _SCHEMA},
                **dict.fromkeys(("oneOf", "anyOf", "allOf"), _SCHEMAS),
                "examples": {"type": "array"},
                "writeOnly": {"type": "boolean"},
                **dict.fromkeys(("title", "description", "format"), _TEXT),
                **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _COUNT),
                **dict.fromkeys(("minimum", "maximum"), _NUMERIC),
            },
        }
    },
}
