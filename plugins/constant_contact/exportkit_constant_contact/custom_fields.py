"""The fields that an account has of its own: found by name or label, checked by their type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from exportkit import Column

from . import dates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import narwhals as nw

PREFIX = "cf:"
LABEL_LENGTH = 50
VALUE_LENGTH = 255
"""In an import, whatever the type. [documented]"""


def facts(field: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a custom field between plans: plain, and nothing personal."""
    known = {
        name: field[name]
        for name in ("custom_field_id", "name", "label", "type", "version", "metadata")
        if field.get(name) is not None
    }
    choices = [str(each["choice_label"]) for each in field.get("choices") or ()]
    return {"label": known.get("name"), **known, **({"choices": choices} if choices else {})}


def custom_columns(custom_fields: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """The account's fields as they are offered to a job, without expressions.

    Of two whose names differ only in case, which engines cannot tell apart, the first is offered;
    a job can name the other by its label.
    """
    offered: dict[str, Column] = {}
    for field in custom_fields:
        name = PREFIX + str(field["name"])
        offered.setdefault(
            name.lower(),
            Column(
                name,
                kind=_kind(field),
                max_length=None if _patterned(field) else VALUE_LENGTH,
                description=f"{field.get('label') or field['name']} ({field.get('type')})",
            ),
        )
    return tuple(offered.values())


def find(asked: str, custom_fields: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The field of this name or label, the prefix before it or not.

    Names go before labels, and what is spelled the same before what differs in case. What means
    two fields means none.
    """
    wanted = asked.removeprefix(PREFIX)
    for part in ("name", "label"):
        for field in custom_fields:
            if field.get(part) == wanted:
                return field
    alike = [
        field
        for field in custom_fields
        if wanted.casefold() in {str(field.get(part)).casefold() for part in ("name", "label")}
    ]
    return alike[0] if len(alike) == 1 else None


def column(name: str, field: Mapping[str, Any], one_line: Callable[[nw.Expr], nw.Expr]) -> Column:
    """The column `name` for this field; its values are checked as far as its type is understood.

    How an import spells several choices of one field is not documented: they pass as text.
    """
    import narwhals as nw

    value, type_ = nw.col(name), str(field.get("type"))
    expression, accepts, reason = one_line(value), None, ""
    if type_ in ("number", "currency"):
        pattern, reason = _number(field.get("metadata") or {})
        expression, accepts = value, value.str.contains(pattern)
    elif type_ == "boolean":
        reason = "not true or false"
        expression, accepts = value.str.to_lowercase(), value.str.contains("^(?:true|false)\\z")
    elif type_ == "datetime":
        reason = "not a date and time of the form YYYY-MM-DDTHH:MM:SSZ"
        expression, accepts = dates.moment(value), dates.is_moment(value)
    elif type_ == "date":
        reason = "not a date as documented"
        expression, accepts = value, dates.is_date(value) if _kind(field) == "text" else None
    elif type_ == "single_select" and field.get("choices"):
        reason = "not one of the choices of this field"
        accepts = value.is_in([str(choice) for choice in field["choices"]])
    return Column(
        name,
        expression,
        kind=_kind(field),
        max_length=None if _patterned(field) else VALUE_LENGTH,
        description=str(field.get("label") or field["name"]),
        accepts=accepts,
        reason=reason or "not accepted by the destination",
    )


def _kind(field: Mapping[str, Any]) -> Literal["text", "date", "number"]:
    """A field of version 1 keeps dates as text, in any of the documented forms."""
    if field.get("type") in ("number", "currency"):
        return "number"
    return "date" if field.get("type") == "date" and field.get("version") == 2 else "text"


def _patterned(field: Mapping[str, Any]) -> bool:
    """Whether the values have a form, so that to cut them would be to change them."""
    return field.get("type") in ("boolean", "date", "datetime")


def _number(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """A plain decimal, with as many places and such a sign as the field allows."""
    sign = "" if metadata.get("allow_negative") is False else "-?"
    places = metadata.get("decimal_places")
    if metadata.get("integer"):
        pattern, what = "[0-9]+", "a whole number"
    elif isinstance(places, int):
        pattern, what = f"[0-9]+(?:\\.[0-9]{{1,{max(places, 1)}}})?", f"a number of {places} places"
    else:
        pattern, what = "[0-9]+(?:\\.[0-9]+)?", "a plain number"
    return f"^{sign}{pattern}\\z", f"not {what}" + ("" if sign else " from 0 up")
