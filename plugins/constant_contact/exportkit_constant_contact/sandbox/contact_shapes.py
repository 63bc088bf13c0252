"""Contacts between the rows of the store and the JSON of the service."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .clock import stamp
from .exchange import invalid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .identities import Identities

COLUMNS = (
    "n",
    "address",
    "permission",
    "first_name",
    "last_name",
    "job_title",
    "company_name",
    "birthday_month",
    "birthday_day",
    "anniversary",
    "details",
    "create_source",
    "update_source",
    "opt_in_source",
    "opt_in_at",
    "opt_out_source",
    "opt_out_at",
    "opt_out_reason",
    "created_at",
    "updated_at",
    "deleted_at",
)
TEXTS = ("first_name", "last_name", "job_title", "company_name")
CORE = (*TEXTS, "birthday_month", "birthday_day", "anniversary")
INCLUDES = (
    "custom_fields",
    "list_memberships",
    "phone_numbers",
    "street_addresses",
    "taggings",
    "notes",
)
PERMISSIONS = (
    "explicit",
    "implicit",
    "not_set",
    "pending_confirmation",
    "temp_hold",
    "unsubscribed",
)
ADDRESS = re.compile(r"[^\s@,;:<>()\[\]\"\\]+@[^\s@.,;:<>()\[\]\"\\]+(\.[^\s@.,;:<>()\[\]\"\\]+)+")
ANNIVERSARY = re.compile(r"\d{1,2}/\d{1,2}/\d{4}|\d{4}([/-])\d{1,2}\1\d{1,2}|\d{1,2}-\d{1,2}-\d{4}")
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LENGTHS = {"street": 255, "city": 50, "state": 50, "postal_code": 50, "country": 50}


def is_birthday(month: object, day: object) -> bool:
    """Whether these whole numbers are a day of some year."""
    return (
        isinstance(month, int)
        and isinstance(day, int)
        and 1 <= month <= 12
        and 1 <= day <= _DAYS[month - 1]
    )


def shown(
    row: tuple[Any, ...],
    include: Collection[str],
    lists: Collection[int],
    fields: Collection[int],
    ids: Identities,
) -> dict[str, Any]:
    """A row of `COLUMNS` as the service shows a contact; `fields` are the ones that still exist."""
    record = dict(zip(COLUMNS, row, strict=True))
    contact: dict[str, Any] = {"contact_id": ids.of("contact", record["n"])}
    if record["address"]:
        contact["email_address"] = _email(record)
    contact |= {name: record[name] for name in CORE if record[name] is not None}
    contact |= {name: record[name] for name in ("create_source", "update_source")}
    contact |= {name: stamp(record[name]) for name in ("created_at", "updated_at")}
    if record["deleted_at"] is not None:
        contact["deleted_at"] = stamp(record["deleted_at"])[:10]
    if include:
        details = json.loads(record["details"])
        every = {
            "custom_fields": _fields(details, fields, ids),
            "list_memberships": [ids.of("list", n) for n in lists],
            "phone_numbers": _phones(details, record["n"], ids),
            "street_addresses": _addresses(details, record["n"], ids),
            "taggings": [],
            "notes": details.get("notes", []),
        }
        contact |= {name: every[name] for name in INCLUDES if name in include}
    return contact


def _email(record: Mapping[str, Any]) -> dict[str, Any]:
    email = {
        "address": record["address"],
        "permission_to_send": record["permission"],
        "created_at": stamp(record["created_at"]),
        "updated_at": stamp(record["updated_at"]),
        "confirm_status": "pending" if record["permission"] == "pending_confirmation" else "off",
    }
    names = ("opt_in_source", "opt_out_source", "opt_out_reason")
    email |= {name: record[name] for name in names if record[name]}
    dates = {"opt_in_date": record["opt_in_at"], "opt_out_date": record["opt_out_at"]}
    return email | {name: stamp(at) for name, at in dates.items() if at is not None}


def _fields(details: Mapping[str, Any], known: Collection[int], ids: Identities) -> list[Any]:
    return [
        {
            "custom_field_id": ids.of("custom_field", int(n)),
            **({"choice_ids": value} if isinstance(value, list) else {"value": value}),
        }
        for n, value in details.get("fields", {}).items()
        if int(n) in known
    ]


def _phones(details: Mapping[str, Any], n: int, ids: Identities) -> list[Any]:
    return [
        {"phone_number_id": ids.of("phone", n * 8 + at), "phone_number": number, "kind": kind}
        for at, (kind, number) in enumerate(details.get("phones", {}).items())
    ]


def _addresses(details: Mapping[str, Any], n: int, ids: Identities) -> list[Any]:
    return [
        {"street_address_id": ids.of("address", n * 8 + at), "kind": kind, **parts}
        for at, (kind, parts) in enumerate(details.get("addresses", {}).items())
    ]


def core_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The core fields of a body that are not blank. Raises `RefusedError` for what cannot be."""
    core = {name: body[name] for name in CORE if body.get(name) not in (None, "")}
    for name in TEXTS:
        if name in core and (not isinstance(core[name], str) or len(core[name]) > 50):
            raise invalid(f"{name} has more than 50 characters")
    birthday = core.get("birthday_month"), core.get("birthday_day")
    if birthday != (None, None) and not is_birthday(*birthday):
        raise invalid("birthday_month and birthday_day do not have a valid value")
    if "anniversary" in core and not ANNIVERSARY.fullmatch(str(core["anniversary"])):
        raise invalid("anniversary does not have a valid value")
    return core


def details_of(body: Mapping[str, Any], numbers: Mapping[str, int]) -> dict[str, Any]:
    """Sub-resources that a body has, as the store keeps them; `numbers` are fields by id."""
    details: dict[str, Any] = {}
    if "custom_fields" in body:
        details["fields"] = _fields_of(_items(body, "custom_fields", 25), numbers)
    if "phone_numbers" in body:
        items = _items(body, "phone_numbers", 3)
        if any(len(str(each.get("phone_number", ""))) > 25 for each in items):
            raise invalid("phone_number has more than 25 characters")
        details["phones"] = {e.get("kind", "other"): e.get("phone_number", "") for e in items}
    if "street_addresses" in body:
        items = _items(body, "street_addresses", 3)
        details["addresses"] = {str(each.get("kind")): _parts_of(each) for each in items}
    if "notes" in body:
        details["notes"] = _items(body, "notes", 150)
    return details


def _fields_of(items: list[dict[str, Any]], numbers: Mapping[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in items:
        n = numbers.get(str(each.get("custom_field_id")))
        if n is None:
            raise invalid("custom_field_id does not exist")
        value = each["choice_ids"] if "choice_ids" in each else str(each.get("value", ""))
        if len(value) > 255:
            raise invalid("custom field value has more than 255 characters")
        found[str(n)] = value
    return found


def _parts_of(address: Mapping[str, Any]) -> dict[str, str]:
    if address.get("kind") not in ("home", "work", "other"):
        raise invalid("kind does not have a valid value")
    parts = {name: str(address[name]) for name in _LENGTHS if address.get(name)}
    if any(len(parts[name]) > _LENGTHS[name] for name in parts):
        raise invalid("street_addresses has a value that is too long")
    return parts


def _items(body: Mapping[str, Any], name: str, most: int) -> list[dict[str, Any]]:
    items = body[name]
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
        raise invalid(f"{name} must be an array of objects")
    if len(items) > most:
        raise invalid(f"{name} has more than {most} items")
    return items
