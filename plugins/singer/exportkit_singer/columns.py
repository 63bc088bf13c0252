"""The columns of a stream: which are its key, and what a value of each type has to look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw

from exportkit import Column, JobError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exportkit import FieldMapping, MappedField, Target

# What RE2 and Java's regular expressions share. A number with a leading zero is an identifier.
INTEGER = r"^-?(?:0|[1-9][0-9]{0,17})\z"
MOMENT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})?\z"
)
TRUE, FALSE = ("true", "yes", "1"), ("false", "no", "0")

_KINDS: dict[str, Literal["number", "date"]] = {"number": "number", "date": "date"}
_TYPES: dict[str, str] = {kind: name for name, kind in _KINDS.items()}


def map_fields(mapping: FieldMapping, target: Target) -> Sequence[Column]:
    """Each field under its own name, checked for its type. Raises JobError where it cannot be."""
    names = mapping.names
    _refuse_unknown("types", target.options["types"], names)
    keys = target.options.get("key_properties")
    if keys is None:
        if mapping.key is None:
            raise JobError(
                "a Singer target has to know which field tells one person from another",
                field="key_properties",
                hint="name the mapped field in `key:`; for a target that can only add rows, write "
                "`key_properties: []`",
            )
        keys = [mapping.key]
    _refuse_unknown("key_properties", keys, names)
    types: Mapping[str, str] = target.options["types"]
    identity = mapping.key or (keys[0] if len(keys) == 1 else None)
    return [
        _column(field, types.get(field.name), key=field.name == identity, held=field.name in keys)
        for field in mapping.fields
    ]


def key_properties(target: Target) -> list[str]:
    """The names of the columns that are the stream's key."""
    named = target.options.get("key_properties")
    return [column.name for column in target.columns if column.key] if named is None else named


def types(target: Target) -> dict[str, str]:
    """What each column holds."""
    said = target.options["types"]
    return {c.name: said.get(c.name) or _TYPES.get(c.kind, "string") for c in target.columns}


def _refuse_unknown(option: str, named: Any, known: Sequence[str]) -> None:
    for name in named:
        if name not in known:
            raise JobError(
                f"{option} names '{name}', which is not among the mapped fields",
                field=name,
                known=known,
            )


def _column(field: MappedField, type_: str | None, *, key: bool, held: bool) -> Column:
    value = nw.col(field.name)
    kind = _KINDS.get(type_ or "", field.kind or "text")
    accepts, reason = ~value.str.contains("\x00", literal=True), "holds a NUL character"
    if type_ == "integer":
        accepts, reason = value.str.contains(INTEGER), "not a whole number"
    elif type_ == "boolean":
        known = [*TRUE, *FALSE]
        accepts, reason = value.str.to_lowercase().is_in(known), f"none of {', '.join(known)}"
    elif type_ == "date-time":
        accepts, reason = value.str.contains(MOMENT), "not a moment such as 2026-01-31T08:30:00Z"
    return Column(field.name, kind=kind, key=key, required=held, accepts=accepts, reason=reason)
