"""Values that a JSON Schema allows, for samples that people fill in and that validate as they are.

The plugin's own `examples`, `default`, `const` and `enum` come first. Where it says none, the first
of a few ordinary texts is taken that its pattern lets through.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from exportkit.config.schemas import fits
from exportkit.config.secrets import is_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BY_FORMAT = {
    "output-path": "out/people.txt",
    "email": "ann@example.com",
    "date": "2026-01-31",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_ORDINARY = ("example", "https://example.com/people", *_BY_FORMAT.values(), "A1", "1", "0600", ",")
_UNKNOWN = "..."


def reference(name: str) -> str:
    """The reference to a variable of the environment that is called like the option."""
    return f"${{env:{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}}}"


def options_that_fit(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The fewest options that a plugin's schema is content with, as far as they can be guessed.

    Secrets are references to variables of the environment.
    """
    fewest: dict[str, Any] = {}
    for number, options in enumerate(_attempts(schema)):
        if number == 0:
            fewest = options
        if fits(schema, options):
            return options
    return fewest


def _attempts(schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What is required; that and one of the alternatives; that and every option with an example."""
    parts = [schema, *(_resolved(part, schema) for part in schema.get("allOf", ()))]
    required = [name for part in parts for name in part.get("required", ())]
    yield _filled(schema, required)
    for part in parts:
        for word in ("oneOf", "anyOf"):
            for branch in part.get(word, ()):
                names = _resolved(branch, schema).get("required", ())
                yield _filled({**schema, **_merged(schema, branch)}, [*required, *names])
    known = schema.get("properties", {})
    told = [name for name, part in known.items() if {"examples", "const", "enum"} & part.keys()]
    yield _filled(schema, [*required, *told])


def _merged(schema: Mapping[str, Any], branch: Mapping[str, Any]) -> dict[str, Any]:
    properties = _resolved(branch, schema).get("properties", {})
    return {"properties": {**schema.get("properties", {}), **properties}}


def _filled(schema: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    known = schema.get("properties", {})
    return {name: _value(name, known.get(name, {}), schema) for name in dict.fromkeys(names)}


def _value(name: str, part: Mapping[str, Any], whole: Mapping[str, Any]) -> Any:
    part = _resolved(part, whole)
    if is_secret(name, part):
        return reference(name)
    for found in (*part.get("examples", ()), part.get("default"), part.get("const")):
        if found is not None:
            return found
    if part.get("enum"):
        return part["enum"][0]
    if branches := part.get("oneOf") or part.get("anyOf"):
        return _value(name, {**part, "oneOf": (), "anyOf": (), **branches[0]}, whole)
    kind = part.get("type", "string")
    return _of_kind(name, kind if isinstance(kind, str) else kind[0], part, whole)


def _of_kind(name: str, kind: str, part: Mapping[str, Any], whole: Mapping[str, Any]) -> Any:
    if kind == "object":
        return _filled({**part, "$defs": whole.get("$defs", {})}, list(part.get("required", ())))
    if kind == "array":
        return [_value(name, part.get("items", {}), whole)] * part.get("minItems", 1)
    if kind in ("integer", "number"):
        return part.get("minimum", part.get("exclusiveMinimum", 0) + 1)
    if kind == "boolean":
        return False
    texts = [text for text in (_BY_FORMAT.get(part.get("format", "")), *_ORDINARY) if text]
    return next((text for text in texts if fits(part, text)), _UNKNOWN)


def _resolved(part: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part, or what its reference into the schema stands for."""
    way = part.get("$ref", "")
    if not isinstance(way, str) or way[:2] != "#/":
        return part
    found: Any = whole
    for step in way[2:].split("/"):
        found = found.get(step, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else part
