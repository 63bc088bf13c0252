"""People who do not exist, for destinations that nothing else is known of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exportkit.config.job import FieldRule
    from exportkit.records import Column, Kind

_FIRST = ("Ottilie", "Bartholomew", "Clementine", "Desmond", "Eulalia", "Ferdinand")
_LAST = ("Quillfeather", "Ravenscroft", "Silverlock", "Thistlewood", "Underwater", "Vanterpool")

ODD = (
    "=HYPERLINK(1)",
    'say "hi", they said; a\\b',
    "two\nlines\r\nof text",
    "a\ttab and a 'quote'",
    "Ἑλένη Παπαδοπούλου",
    "مرحبا بالعالم",
    "👩‍👩‍👧‍👦 𝔘𝔫𝔦",
    "<b>&amp;</b> {{name}} ${x} %s",
    "null",
    "  spaces at both ends  ",
)
"""Text that people really have in their databases, and that careless encoding breaks."""


def sample_row(
    rules: Sequence[FieldRule], declared: Mapping[str, Column], number: int
) -> dict[str, str | None]:
    """A value for each field of the job, by its kind; no two numbers have one value in common."""
    return {
        rule.field: value(rule.field, _kind(rule, declared.get(rule.field)), number)
        for rule in rules
    }


def value(name: str, kind: Kind, number: int) -> str:
    """One value of a kind; the name of the field helps to make it a likely one."""
    first, last = _FIRST[number % len(_FIRST)], _LAST[number // len(_FIRST) % len(_LAST)]
    if kind == "email":
        return f"{first}.{last}.{number}@example.com".lower()
    if kind == "phone":
        return f"+1 202 555 {number % 10000:04d}"
    if kind == "date":
        return f"{1930 + number % 70}-{1 + number // 70 % 12:02d}-{1 + number // 840 % 28:02d}"
    if kind == "number":
        return str(7_000_000 + number)
    return f"{last if 'last' in name or 'sur' in name else first} {_letters(number)}"


def _letters(number: int) -> str:
    """A number in letters: what holds digits may be taken for something else."""
    return f"{'' if number < 26 else _letters(number // 26 - 1)}{chr(97 + number % 26)}".title()


def _kind(rule: FieldRule, column: Column | None) -> Kind:
    if rule.kind is not None:
        return rule.kind
    if column is not None and column.kind != "text":
        return column.kind
    name = rule.field.lower()
    if "email" in name or "e-mail" in name:
        return "email"
    if "phone" in name:
        return "phone"
    if any(word in name for word in ("birthday", "date", "anniversary")):
        return "date"
    return "text"
