"""What an import knows of a person: every field with its limits, and the columns of a job.

Columns are named as the job's map names them; `wire_name` answers the name that is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exportkit import Column, JobError

from . import custom_fields, dates
from .custom_fields import custom_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import narwhals as nw

    from exportkit import FieldMapping, MappedField, Target

__all__ = ["FIELDS", "custom_columns", "map_fields", "needs_json", "widest_name", "wire_name"]

EMAIL = "email"
MOST_CUSTOM_FIELDS = 25
MOST_PHONES = 3
"""Of one contact in an import. [documented]"""

PHONE_LENGTH = 25
"""An import takes 50 characters, the contact that it makes holds 25. [documented]"""

_PHONES = ("phone", "home_phone", "work_phone", "mobile_phone", "other_phone")
_ADDRESS = {"street": 255, "street2": 255, "city": 50, "state": 50, "zip": 50, "country": 50}
_KINDS = {"": "home", "home_": "home", "work_": "work", "other_": "other"}

_WIRE_NAMES = {"home_country": "home country"}
"""The one name that has a blank instead of an underscore. [documented, and so in both SDKs]"""

_CSV_HEADERS = {
    *(EMAIL, "sms_number", "sms_consent_date", "first_name", "last_name", "job_title"),
    *("company_name", "anniversary", "birthday_month", "birthday_day", "phone", *_ADDRESS),
}

_ONE_LINE = "[\r\n\x0b\x0c\x85\u2028\u2029]+"
# US and Canadian numbers have ten digits, a 1 before them or not, and none begins with 0.
_FOREIGN_PHONE = (
    r"^[^0-9]*0|^[^0-9+]*\+[^0-9]*[2-9]|^(?:[^0-9a-z]*[0-9]){12}"
    r"|^[^0-9]*[2-9](?:[^0-9a-z]*[0-9]){10}"
)
_SMS_NUMBER = r"^(?:[0-9]{10}|[0-9]{3}-[0-9]{3}-[0-9]{4})\z"


def _declared() -> tuple[Column, ...]:
    people = (
        Column(EMAIL, kind="email", required=True, max_length=50, key=True),
        Column("first_name", max_length=50),
        Column("last_name", max_length=50),
        Column("job_title", max_length=50),
        Column("company_name", max_length=50),
        Column("birthday", description="YYYY-MM-DD or MM-DD, instead of month and day"),
        Column("birthday_month", description="1 to 12, together with birthday_day"),
        Column("birthday_day", description="1 to 31, together with birthday_month"),
        Column("anniversary", description=dates.FORMS),
        Column("sms_number", kind="phone", description="US: 10 digits, or 3-3-4 with dashes"),
        Column("sms_consent_date", description=f"{dates.FORMS}, with a time or without"),
    )
    phones = [
        Column(name, kind="phone", max_length=PHONE_LENGTH, description="US and Canada")
        for name in _PHONES
    ]
    addresses = [
        Column(before + part, max_length=length, description=f"{kind} address")
        for before, kind in _KINDS.items()
        for part, length in _ADDRESS.items()
    ]
    return (*people, *phones, *addresses)


FIELDS = _declared()
"""What every account has; `cf:` fields are an account's own."""


def map_fields(mapping: FieldMapping, target: Target) -> list[Column]:
    """The columns of a job's imports. Names that nothing is known of are left to the host.

    Raises `JobError` where the map cannot become an import.
    """
    _check(mapping)
    declared = {column.name: column for column in FIELDS}
    columns: list[Column] = []
    for mapped in mapping.fields:
        if mapped.name == "birthday":
            columns += _birthday(mapped)
        elif mapped.name.startswith(custom_fields.PREFIX):
            columns.append(_custom(mapped.name, target))
        elif mapped.name in declared:
            columns.append(_settled(declared[mapped.name]))
    _refuse_twice(columns, target)
    return columns


def needs_json(names: Iterable[str]) -> bool:
    """Whether one of these columns has no header in the CSV import."""
    return any(
        name not in _CSV_HEADERS and not name.startswith(custom_fields.PREFIX) for name in names
    )


def wire_name(name: str, known: Sequence[Mapping[str, Any]]) -> str | None:
    """What an import calls this column; None for a custom field that is not among the `known`."""
    if not name.startswith(custom_fields.PREFIX):
        return _WIRE_NAMES.get(name, name)
    field = custom_fields.find(name, known)
    return None if field is None else f"{custom_fields.PREFIX}{field['name']}"


def widest_name(name: str, known: Sequence[Mapping[str, Any]]) -> str:
    """The wire name, or one as long as any if the field is still to be made: to measure with."""
    longest = 4 * custom_fields.LABEL_LENGTH
    return wire_name(name, known) or custom_fields.PREFIX + "_" * longest


def one_line(text: nw.Expr) -> nw.Expr:
    """The text with a blank for line breaks, so that the service's "Line 7" is the seventh."""
    import narwhals as nw

    # Most values have none, and to look is far cheaper than to replace.
    broken = text.str.contains(_ONE_LINE)
    return nw.when(broken).then(text.str.replace_all(_ONE_LINE, " ")).otherwise(text)


def _settled(column: Column) -> Column:
    """The declared column with the expressions that it needs; patterned ones hold no line break."""
    from dataclasses import replace

    import narwhals as nw

    value = nw.col(column.name)
    if column.name == EMAIL:
        return replace(column, match=value.str.to_lowercase())
    if column.name in ("birthday_month", "birthday_day"):
        return dates.birthday_part(column)
    if column.name == "anniversary":
        return replace(column, accepts=dates.is_date(value), reason="not a date as documented")
    if column.name == "sms_consent_date":
        reason = "not a date, with a time or without, of up to 16 characters"
        return replace(column, accepts=dates.is_consent_date(value), reason=reason)
    if column.name == "sms_number":
        reason = "not 10 digits, nor 3, 3 and 4 with dashes"
        return replace(column, accepts=value.str.contains(_SMS_NUMBER), reason=reason)
    if column.kind == "phone":
        reason = "not a number of the US or Canada, and imports take no other"
        return replace(column, accepts=~value.str.contains(_FOREIGN_PHONE), reason=reason)
    return replace(column, expression=one_line(value))


def _birthday(mapped: MappedField) -> tuple[Column, Column]:
    if mapped.kind not in (None, "text", "date"):
        raise JobError(f"a birthday is a date, not of kind {mapped.kind}", field="birthday")
    return dates.birthday(required=bool(mapped.required), with_year=mapped.kind == "date")


def _custom(name: str, target: Target) -> Column:
    """The column of a custom field.

    Before the account was seen, every name passes as text: the first plan that asks will tell. So
    does a field that is to be made, which is one of text.
    """
    known = target.catalogue.details.get("custom_fields")
    field = custom_fields.find(name, known or ())
    if field is not None:
        return custom_fields.column(name, field, one_line)
    label = name.removeprefix(custom_fields.PREFIX)
    if known is not None and not target.options.get("create_custom_fields"):
        names = [custom_fields.PREFIX + str(f[part]) for f in known for part in ("name", "label")]
        raise JobError(
            f"the account has no custom field '{label}'",
            hint=None if names else "the account has none; `create_custom_fields: true` makes them",
            field=name,
            known=list(dict.fromkeys(names)),
        )
    if not label.strip() or len(label) > custom_fields.LABEL_LENGTH:
        most = custom_fields.LABEL_LENGTH
        raise JobError(f"a custom field's label has 1 to {most} characters", field=name)
    return custom_fields.column(name, {"name": label, "label": label, "type": "string"}, one_line)


def _check(mapping: FieldMapping) -> None:
    names = mapping.names
    if mapping.key not in (None, EMAIL):
        raise JobError(
            "the service tells people apart by their e-mail address",
            field=mapping.key,
            hint="leave `key` out, or make it `email`",
        )
    parts = [name for name in ("birthday_month", "birthday_day") if name in names]
    if "birthday" in names and parts:
        hint = f"take `birthday` out, or `{parts[0]}`"
        raise JobError("the birthday is mapped twice", field="birthday", hint=hint)
    if len(parts) == 1:
        raise JobError(
            "month and day of a birthday come together",
            field=parts[0],
            hint="map both `birthday_month` and `birthday_day`, or `birthday` from one date",
        )
    customs = [name for name in names if name.startswith(custom_fields.PREFIX)]
    if len(customs) > MOST_CUSTOM_FIELDS:
        raise JobError(
            f"an import takes {MOST_CUSTOM_FIELDS} custom fields, and the map has {len(customs)}",
            field=customs[MOST_CUSTOM_FIELDS],
            hint=f"take {len(customs) - MOST_CUSTOM_FIELDS} out",
        )
    phones = [name for name in names if name in _PHONES]
    if len(phones) > MOST_PHONES:
        raise JobError(f"a contact has {MOST_PHONES} phones at most", field=phones[MOST_PHONES])
    _refuse_same_kind(names)


def _refuse_same_kind(names: Sequence[str]) -> None:
    """`street` and `home_street` are the same address, `phone` and `other_phone` the same phone."""
    pairs = [("phone", "other_phone")]
    pairs += [(plain, f"home_{kind}") for plain in _ADDRESS for kind in _ADDRESS]
    for one, other in pairs:
        if one in names and other in names:
            what = "the other phone" if one == "phone" else "the home address"
            raise JobError(f"`{one}` and `{other}` are both {what}", field=other)


def _refuse_twice(columns: Sequence[Column], target: Target) -> None:
    known = target.catalogue.details.get("custom_fields", ())
    sent: dict[str, str] = {}
    for column in columns:
        name = wire_name(column.name, known) or column.name
        earlier = sent.setdefault(name, column.name)
        if earlier != column.name:
            message = f"'{earlier}' and '{column.name}' are the same custom field"
            raise JobError(message, field=column.name, hint="take one out")
