"""What an import refuses, row by row, found column by column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .contact_shapes import ADDRESS, ANNIVERSARY, is_birthday
from .import_rows import CSV_NAMES, JSON_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection

    from .choices import Choices
    from .import_rows import Rows

Kind = Literal["correctable", "error"]
ADDRESS_LENGTH = 50
_LONG = ("street", "street2")
_TYPED = (
    "email",
    "birthday_month",
    "birthday_day",
    "anniversary",
    "sms_number",
    "sms_consent_date",
)


@dataclass(slots=True)
class Verdict:
    """The rows that are refused, by index from 0, each with its kind and a reason."""

    refused: dict[int, tuple[Kind, str]] = field(default_factory=dict, repr=False)

    def refuse(self, index: int, kind: Kind, reason: str) -> None:
        """Refuse a row; the first reason stays."""
        self.refused.setdefault(index, (kind, reason))

    def count(self, kind: Kind) -> int:
        """How many rows are refused so."""
        return sum(each == kind for each, _ in self.refused.values())

    def lines(self) -> list[str]:
        """The errors as an activity tells them: the header is line 1."""
        return [f"Line {at + 2}: {reason}" for at, (_, reason) in sorted(self.refused.items())]


def length_of(name: str) -> int | None:
    """How long a value of this column may be; None for one that has another rule."""
    if name in _TYPED:
        return None
    if name.startswith("cf:"):
        return 255
    return 255 if name.split("_", 1)[-1] in _LONG or name in _LONG else 50


def known_columns(rows: Rows, fields: Collection[str], *, is_json: bool) -> list[str]:
    """The columns of an import that the service knows."""
    known = {*(JSON_NAMES if is_json else CSV_NAMES), *(f"cf:{name}" for name in fields)}
    return [name for name in rows.columns if name in known]


def check(rows: Rows, known: Collection[str], choices: Choices) -> Verdict:
    """Judge every row; values that are cut or dropped instead are changed in `rows`."""
    verdict = Verdict()
    _check_addresses(rows, verdict)
    _check_birthdays(rows, verdict)
    _check_anniversaries(rows, verdict)
    for name in known:
        if (most := length_of(name)) is not None:
            _check_length(rows.columns[name], name, most, verdict, choices)
        if name == "phone" or name.endswith("_phone"):
            _check_phones(rows.columns[name], verdict, choices)
    if choices.unknown_column == "refuse":
        for name in rows.columns.keys() - set(known):
            _check_unknown(rows.columns[name], name, verdict)
    return verdict


def _check_addresses(rows: Rows, verdict: Verdict) -> None:
    blank = [""] * rows.count
    addresses = rows.columns.get("email", blank)
    numbers = rows.columns.get("sms_number", blank)
    for at, address in enumerate(addresses):
        if ADDRESS.fullmatch(address):
            if len(address) > ADDRESS_LENGTH:
                verdict.refuse(at, "error", "Email address is too long")
        elif address.strip():
            verdict.refuse(at, "correctable", "Invalid email address")
        elif not numbers[at]:
            verdict.refuse(at, "correctable", "Missing email address")


def _check_birthdays(rows: Rows, verdict: Verdict) -> None:
    if "birthday_month" not in rows.columns and "birthday_day" not in rows.columns:
        return
    blank = [""] * rows.count
    months = rows.columns.get("birthday_month", blank)
    days = rows.columns.get("birthday_day", blank)
    for at, (month, day) in enumerate(zip(months, days, strict=True)):
        if (month or day) and not is_birthday(_whole(month), _whole(day)):
            verdict.refuse(at, "correctable", "Invalid birthday")


def _check_anniversaries(rows: Rows, verdict: Verdict) -> None:
    for at, value in enumerate(rows.columns.get("anniversary", ())):
        if value and not ANNIVERSARY.fullmatch(value):
            verdict.refuse(at, "correctable", "Invalid anniversary")


def _check_unknown(values: list[str], name: str, verdict: Verdict) -> None:
    for at, value in enumerate(values):
        if value:
            verdict.refuse(at, "error", f"Unknown field '{name}'")


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _check_length(
    values: list[str], name: str, most: int, verdict: Verdict, choices: Choices
) -> None:
    if max(map(len, values), default=0) <= most:
        return
    for at, value in enumerate(values):
        if len(value) > most:
            if choices.too_long == "refuse":
                verdict.refuse(at, "error", f"{name} has more than {most} characters")
            else:
                values[at] = value[:most]


def _check_phones(values: list[str], verdict: Verdict, choices: Choices) -> None:
    for at, value in enumerate(values):
        if value.startswith("+") and not value.startswith("+1"):
            if choices.foreign_phone == "refuse":
                verdict.refuse(at, "error", "International phone numbers are not supported")
            else:
                values[at] = ""
