"""The files' JSON Schemas: to check documents with, and composed with a plugin's for editors."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exportkit.config.names import nearest, nearest_hint
from exportkit.config.quick import surely_valid
from exportkit.config.secrets import plain_options, plain_secrets
from exportkit.errors import Complaint, PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jsonschema.exceptions import ValidationError

    from exportkit.config.documents import Document, Steps

__all__ = [
    "KINDS",
    "check",
    "check_options",
    "compose",
    "fits",
    "nearest",
    "nearest_hint",
    "shipped",
]

KINDS = ("workspace", "source", "connection", "job")

# In the wheel the schemas lie in the package; in a checkout beside it.
_FOLDERS = (Path(__file__).parents[1] / "schemas", Path(__file__).parents[2] / "schemas")


@cache
def _shipped_text(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"there is no kind of file '{kind}'; there are {', '.join(KINDS)}")
    name = f"{kind}.schema.json"
    for folder in _FOLDERS:
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    raise PluginError(f"{name} is missing from the installation", hint="install exportkit again")


def shipped(kind: str) -> dict[str, Any]:
    """The schema of one kind of file, without any plugin's part. A fresh copy."""
    schema: dict[str, Any] = json.loads(_shipped_text(kind))
    return schema


def compose(
    kind: str,
    *,
    type: str | None = None,  # noqa: A002 - the word in the files
    connection_options: Mapping[str, Any] | None = None,
    job_options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The schema of one kind of file for editors, with a plugin's schemas in their place.

    A job gets `job_options` at `destination`; a connection gets `connection_options` at `options`
    and `type` as a constant.
    """
    schema = shipped(kind)
    properties = schema["properties"]
    if kind == "job" and job_options is not None:
        _graft(schema, "destination", job_options)
    if kind == "connection" and connection_options is not None:
        _graft(schema, "options", connection_options)
    if kind == "connection" and type is not None:
        properties["type"] = {**properties["type"], "const": type}
    return schema


def _graft(schema: dict[str, Any], name: str, part: Mapping[str, Any]) -> None:
    own = {k: v for k, v in schema["properties"][name].items() if k in ("title", "description")}
    grafted = _rebased(copy.deepcopy(_closed(part)), f"#/properties/{name}")
    grafted.pop("$schema", None)
    schema["properties"][name] = own | grafted
    if part.get("required") and name not in schema["required"]:
        schema["required"].append(name)


def _closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A plugin's schema as it holds: unknown keys are errors unless it says otherwise."""
    open_ended = {"additionalProperties", "unevaluatedProperties", "$ref", "allOf"} & schema.keys()
    word = "unevaluatedProperties" if _branches_name_keys(schema) else "additionalProperties"
    return dict(schema) if open_ended else {**schema, word: False}


def _branches_name_keys(schema: Mapping[str, Any]) -> bool:
    """Whether keys are named where not every value passes: only the slower word sees these."""
    several = [branch for word in ("oneOf", "anyOf") for branch in schema.get(word) or ()]
    branches = [*several, *(schema.get(word) for word in ("if", "then", "else"))]
    return any({"properties", "$ref"} & branch.keys() for branch in branches if branch)


def _rebased(part: Any, base: str) -> Any:
    """The plugin's schema with references into itself made to work inside the whole."""
    if isinstance(part, dict):
        if "$id" in part:
            return part
        return {
            key: base + value[1:]
            if key == "$ref" and isinstance(value, str) and (value == "#" or value[:2] == "#/")
            else _rebased(value, base)
            for key, value in part.items()
        }
    if isinstance(part, list):
        return [_rebased(item, base) for item in part]
    return part


@cache
def _shipped_once(kind: str) -> dict[str, Any]:
    return shipped(kind)


def _errors(schema: Mapping[str, Any], value: Any) -> list[ValidationError]:
    if surely_valid(schema, value):
        return []
    from jsonschema import Draft202012Validator
    from referencing import Registry

    # An empty registry: a reference to somewhere else is never fetched.
    validator = Draft202012Validator(
        dict(schema), registry=Registry(), format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return list(validator.iter_errors(value))


def check(document: Document, kind: str) -> list[Complaint]:
    """Everything that is wrong with a file of this kind, in the order of its lines."""
    errors = _errors(_shipped_once(kind), document.data)
    return _in_order([*_worded(errors, document, ()), *plain_secrets(document, kind)])


def check_options(
    document: Document,
    at: tuple[str, ...],
    schema: Mapping[str, Any],
    *,
    values: Mapping[str, Any] | None = None,
) -> list[Complaint]:
    """Everything that is wrong with the part under `at` by a plugin's schema.

    A part that is not there counts as empty. Text with references is not known yet, so nothing is
    said about it: hand in the resolved part as `values` to check that instead (what came from a
    reference is not quoted then either). Raises PluginError if the schema itself is broken.
    """
    part = document.part(at) if values is None else values
    try:
        errors = _errors(_closed(schema), {} if part is None else part)
        secrets = list(plain_options(document, at, schema))
    except Exception as error:
        if not isinstance(error, _schema_failures()):
            raise
        raise PluginError(
            f"the plugin's schema of `{'.'.join(at)}` cannot be used ({type(error).__name__})",
            hint="this is the plugin's fault: tell its author",
        ) from error
    return _in_order([*_worded(errors, document, at), *secrets])


def fits(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a plugin's schema allows the value; text with references is taken as it is."""
    closed = _closed(schema) if schema.get("type") == "object" else schema
    try:
        return not _errors(closed, value)
    except Exception as error:
        if not isinstance(error, _schema_failures()):
            raise
        return False


def _worded(errors: list[ValidationError], document: Document, at: Steps) -> list[Complaint]:
    if not errors:
        return []
    from exportkit.config.wording import complaints_of

    return list(complaints_of(errors, document, at))


def _schema_failures() -> tuple[type[Exception], ...]:
    import re

    from jsonschema.exceptions import UndefinedTypeCheck, UnknownType
    from referencing.exceptions import Unresolvable

    return (
        UnknownType,
        UndefinedTypeCheck,
        Unresolvable,
        re.error,
        TypeError,
        AttributeError,
        ValueError,
        RecursionError,
    )


def _in_order(found: Sequence[Complaint]) -> list[Complaint]:
    unique = dict.fromkeys(found)
    return sorted(
        unique, key=lambda one: (one.location.line, one.location.column) if one.location else (0, 0)
    )
