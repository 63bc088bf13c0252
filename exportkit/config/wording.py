"""JSON Schema's errors as sentences that a marketing person can act on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from exportkit.config.documents import Document
from exportkit.config.names import nearest_hint
from exportkit.config.references import has_reference
from exportkit.config.secrets import is_secret_key, is_sensitive, looks_secret
from exportkit.errors import Complaint

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

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


def complaints_of(
    errors: Iterable[ValidationError], document: Document, at: Sequence[str]
) -> Iterator[Complaint]:
    """Each error as complaints, with positions; `at` is where the validated part stands."""
    for error in errors:
        if not _concerns_reference(error):
            yield from _complaints(error, document, tuple(at))


def _complaints(
    error: ValidationError, document: Document, at: tuple[str, ...]
) -> Iterator[Complaint]:
    path = (*at, *error.absolute_path)
    keyword = str(error.validator)
    if keyword in ("additionalProperties", "unevaluatedProperties") and isinstance(
        error.instance, dict
    ):
        yield from _unknown_keys(error, document, path)
    elif keyword == "required":
        missing = _missing(error)
        yield Complaint(
            f"the key '{missing}' is missing", document.locate(path), _about(error, missing)
        )
    elif keyword == "dependentRequired":
        yield from _dependent(error, document, path)
    elif keyword in ("anyOf", "oneOf"):
        yield from _alternatives(error, document, at, path)
    elif _is_key(error):
        yield Complaint(
            f"found the key {_shown(error.instance, path)}, expected {_expected(error)}",
            document.locate((*path, str(error.instance)), key=True),
        )
    else:
        yield _wrong_value(error, document, path)


def _unknown_keys(
    error: ValidationError, document: Document, path: tuple[str | int, ...]
) -> Iterator[Complaint]:
    known = list(error.schema.get("properties", ()))
    patterns = error.schema.get("patternProperties", ())
    unused = [name for name in known if name not in error.instance]
    import re

    for key in error.instance:
        if key in known or any(re.search(pattern, key) for pattern in patterns):
            continue
        yield Complaint(
            f"there is no key '{key}' here",
            document.locate((*path, key), key=True),
            nearest_hint(key, unused or known) if known else "no keys are expected here",
        )


def _missing(error: ValidationError) -> str:
    # The library says which one only in its message: 'name' is a required property.
    wanted = [name for name in error.validator_value if name not in error.instance]
    return next((name for name in wanted if error.message.startswith(repr(name))), wanted[0])


def _about(error: ValidationError, name: str) -> str | None:
    """A hint about a missing key: an example where the schema has one, else its description."""
    entry = error.schema.get("properties", {}).get(name)
    if not isinstance(entry, Mapping):
        return None
    examples = entry.get("examples")
    if "const" in entry:
        return f"add `{name}: {entry['const']}`"
    if examples and isinstance(examples[0], str | int):
        return f"for example `{name}: {examples[0]}`"
    description = entry.get("description")
    return str(description) if description else None


def _dependent(
    error: ValidationError, document: Document, path: tuple[str | int, ...]
) -> Iterator[Complaint]:
    for key, needed in error.validator_value.items():
        missing = [name for name in needed if name not in error.instance]
        if key in error.instance and missing:
            yield Complaint(
                f"'{key}' goes together with {', '.join(missing)}, which is missing",
                document.locate((*path, key), key=True),
            )


def _alternatives(
    error: ValidationError,
    document: Document,
    at: tuple[str, ...],
    path: tuple[str | int, ...],
) -> Iterator[Complaint]:
    names = _required_names(error.validator_value)
    if names and isinstance(error.instance, dict):
        yield _choice(error, document, path, names)
        return
    branches: dict[int, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(int(inner.schema_path[0]), []).append(inner)
    # The branch that was meant is the one whose own type fits.
    meant = [
        inner for inner in branches.values() if not any(_is_own_type(one, error) for one in inner)
    ]
    if len(meant) == 1 and (
        isinstance(error.instance, dict | list) or "x-expected" not in error.schema
    ):
        yield from complaints_of(meant[0], document, at)
        return
    yield _wrong_value(error, document, path)


def _is_own_type(inner: ValidationError, outer: ValidationError) -> bool:
    own = list(inner.absolute_path) == list(outer.absolute_path)
    return own and inner.validator in ("type", "enum", "const", "anyOf", "oneOf")


def _required_names(branches: Any) -> list[str]:
    """`[{required: [a]}, {required: [b]}]` as [a, b]; anything else as []."""
    names: list[str] = []
    for branch in branches:
        required = branch.get("required") if isinstance(branch, dict) else None
        if not required or len(required) != 1:
            return []
        names.append(required[0])
    return names


def _choice(
    error: ValidationError, document: Document, path: tuple[str | int, ...], names: list[str]
) -> Complaint:
    there = [name for name in names if name in error.instance]
    how_many = "exactly" if error.validator == "oneOf" else "at least"
    expected = error.schema.get("x-expected") or f"{how_many} one of {', '.join(names)}"
    found = " and ".join(there) if there else "none of them"
    where = document.locate((*path, there[-1]), key=True) if there else document.locate(path)
    return Complaint(f"found {found}, expected {expected}", where)


def _is_key(error: ValidationError) -> bool:
    return "propertyNames" in error.absolute_schema_path


def _wrong_value(
    error: ValidationError, document: Document, path: tuple[str | int, ...]
) -> Complaint:
    found = f"found {_shown(error.instance, path)}"
    hint = None
    if error.validator in ("enum", "const") and isinstance(error.instance, str):
        options = [str(option) for option in _options(error)]
        hint = nearest_hint(error.instance, options)
        hint = hint if hint.startswith("did you mean") else None
    elif error.validator == "type" and error.validator_value == "string":
        if isinstance(error.instance, int | float):
            hint = "put it in quotes"
    return Complaint(f"{found}, expected {_expected(error)}", document.locate(path), hint)


def _options(error: ValidationError) -> list[Any]:
    return [error.validator_value] if error.validator == "const" else list(error.validator_value)


def _expected(error: ValidationError) -> str:
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    if "x-expected" in schema:
        return str(schema["x-expected"])
    value = error.validator_value
    match str(error.validator):
        case "type":
            names = value if isinstance(value, list) else [value]
            return " or ".join(_TYPES.get(name, name) for name in names)
        case "enum":
            return "one of: " + ", ".join(str(option) for option in value)
        case "const":
            return f"{value!r}" if isinstance(value, str) else f"{value}"
        case (
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties"
        ):
            return _size(str(error.validator), value)
        case "minimum":
            return f"at least {value}"
        case "maximum":
            return f"at most {value}"
        case "exclusiveMinimum":
            return f"more than {value}"
        case "exclusiveMaximum":
            return f"less than {value}"
        case "multipleOf":
            return f"a multiple of {value}"
        case "uniqueItems":
            return "each item once"
        case "format":
            return _FORMATS.get(value, f"text of the format {value}") + _example(schema)
        case "pattern":
            return f"text of the form {value}" + _example(schema)
    description = schema.get("description") or schema.get("title")
    return str(description) if description else "something else"


_FORMATS = {
    "date": "a date such as 2026-11-20",
    "date-time": "a time such as 2026-11-20T06:00:00Z",
    "email": "an e-mail address",
    "uri": "a URL",
    "uuid": "an id such as 04fe9a97-a579-43c5-bb1a-58ed29bf0a6a",
}


def _example(schema: Mapping[str, Any]) -> str:
    examples = schema.get("examples")
    return f", for example {examples[0]}" if examples else ""


def _size(keyword: str, value: int) -> str:
    unit = {"Length": "character", "Items": "item", "Properties": "key"}[keyword[3:]]
    bound = "at least" if keyword.startswith("min") else "at most"
    return f"{bound} {value} {unit}{'' if value == 1 else 's'}"


def _shown(value: Any, path: Sequence[str | int]) -> str:
    """A value for a message: what it is, and the value itself unless it may be a secret."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    kind = {bool: "the yes/no value", str: "the text"}.get(type(value), "the number")
    if is_sensitive(path) or (isinstance(value, str) and looks_secret(value)):
        return kind.replace("the", "a" if kind != "the text" else "", 1).strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return f"{kind} {value}"
    short = value if len(value) <= _LONGEST else value[:_LONGEST] + "..."
    return "empty text" if not value else f"{kind} '{short}'"


def _concerns_reference(error: ValidationError) -> bool:
    """A value that is still a reference cannot be judged yet."""
    if isinstance(error.instance, str):
        return has_reference(error.instance)
    if error.validator not in ("anyOf", "oneOf"):
        return False
    branches: dict[int, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(int(inner.schema_path[0]), []).append(inner)
    return any(all(_concerns_reference(one) for one in inner) for inner in branches.values())
