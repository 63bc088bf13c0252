"""What to do about an error of JSON Schema, where that can be guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from exportkit.config import phrases
from exportkit.config.names import nearest
from exportkit.config.scalars import resolve_plain

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError


def hint_of(error: ValidationError) -> str | None:
    """The hint about a wrong value, if there is one."""
    return _quotes_hint(error) or _enum_hint(error) or name_hint(error)


def how_to_add(name: str, entry: Mapping[str, Any]) -> str | None:
    """A hint about a missing key: what to write, else what it is."""
    if "const" in entry:
        return f"add `{name}: {entry['const']}`"
    examples = entry.get("examples")
    if isinstance(examples, list) and examples:
        return f"for example `{name}: {_as_yaml(examples[0])}`"
    described = entry.get("description") or entry.get("title")
    return str(described) if described else None


def _as_yaml(value: Any) -> str:
    """A schema's example on one line, as somebody would write it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_as_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_as_yaml, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _enum_hint(error: ValidationError) -> str | None:
    options = list(_named_options(error))
    if not options or not isinstance(instance_of(error), str):
        return None
    guess = nearest(instance_of(error), options)
    return f"did you mean '{guess}'?" if guess else None


def _named_options(error: ValidationError) -> Iterator[str]:
    if error.validator == "enum":
        yield from (str(option) for option in wanted_by(error))
    elif error.validator == "const":
        yield str(wanted_by(error))
    for inner in error.context or ():
        yield from _named_options(inner)


def name_hint(error: ValidationError) -> str | None:
    if error.validator != "pattern" or wanted_by(error) != phrases.NAME_PATTERN:
        return None
    name = phrases.as_name(instance_of(error))
    return f"for example '{name}'" if name else None


def _quotes_hint(error: ValidationError) -> str | None:
    """What YAML made of it was not what was meant: quotes too many, quotes too few, `yes`."""
    value, wanted = instance_of(error), wanted_by(error)
    if isinstance(value, int | float) and error.validator == "type" and wanted == "string":
        return None if "x-expected" in schema_of(error) else "put it in quotes"
    if not isinstance(value, str):
        return None
    plain = resolve_plain(value)
    if error.validator == "type" and wanted == "boolean":
        return phrases.as_boolean(value)
    is_number = isinstance(plain, int | float) and not isinstance(plain, bool)
    if is_number and (wanted == plain or wanted in ("integer", "number")):
        return "take the quotes off"
    return None


def schema_of(error: ValidationError) -> Mapping[str, Any]:
    return error.schema if isinstance(error.schema, Mapping) else {}


def wanted_by(error: ValidationError) -> Any:
    return error.validator_value


def instance_of(error: ValidationError) -> Any:
    return error.instance
