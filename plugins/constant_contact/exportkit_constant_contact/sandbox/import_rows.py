"""The rows of an import, out of a CSV file or a JSON body, as columns of text."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from typing import Any

from .exchange import invalid

MOST_ROWS = 40_000
MOST_CUSTOM_FIELDS = 25

_ADDRESS = ("street", "street2", "city", "state", "zip", "country")
CSV_NAMES = (
    "email",
    "sms_number",
    "first_name",
    "last_name",
    "phone",
    "job_title",
    "anniversary",
    "birthday_day",
    "birthday_month",
    "company_name",
    *_ADDRESS,
    "sms_consent_date",
)
JSON_NAMES = (
    *CSV_NAMES,
    "home_phone",
    "work_phone",
    "mobile_phone",
    "other_phone",
    *(f"home_{part}" for part in _ADDRESS[:-1]),
    "home country",  # the documents and the service's own clients write it so
    *(f"work_{part}" for part in _ADDRESS),
    *(f"other_{part}" for part in _ADDRESS),
)


@dataclass(frozen=True, slots=True)
class Rows:
    """The columns of an import by name, all of one length; blank for nothing."""

    columns: dict[str, list[str]] = field(repr=False)
    count: int

    def head(self, count: int) -> Rows:
        """The first rows only."""
        return Rows({name: each[:count] for name, each in self.columns.items()}, count)


def read_csv(content: bytes, *, cut: bool) -> Rows:
    """The rows of a CSV file; of one that was `cut`, those that are whole.

    Raises `RefusedError` (400) for a file without a header that names people.
    """
    text = content.decode("utf-8-sig", errors="ignore" if cut else "replace")
    lines = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    if cut and (not text.endswith("\n") or text.count('"') % 2):
        lines = lines[:-1]
    if not lines:
        raise invalid("file is empty")
    names = [name.strip() for name in lines[0]]
    if "email" not in names and "sms_number" not in names:
        raise invalid("file must have a column email or sms_number")
    if len(set(names)) < len(names):
        raise invalid("file has a column twice")
    width = len(names)
    rows = [row if len(row) == width else (row + [""] * width)[:width] for row in lines[1:]]
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * width
    return _checked(dict(zip(names, map(list, columns), strict=True)), len(rows))


def read_json(body: dict[str, Any]) -> Rows:
    """The rows of a JSON import. Raises `RefusedError` (400)."""
    data = body.get("import_data")
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise invalid("import_data must be an array of objects")
    if not data:
        raise invalid("import_data must have at least one item")
    names = dict.fromkeys(name for row in data for name in row)
    columns = {name: [_text(row.get(name)) for row in data] for name in names}
    return _checked(columns, len(data))


def rows_within(body: bytes, limit: int) -> int:
    """How many items of `import_data` are whole in the first `limit` bytes of a JSON body."""
    text = body[:limit].decode(errors="ignore")
    at = text.find('"import_data"')
    at = text.find("[", at) + 1
    if at <= 0:
        return 0
    decode, count = json.JSONDecoder().raw_decode, 0
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        try:
            _, at = decode(text, at)
        except ValueError:
            return count
        count += 1


def _checked(columns: dict[str, list[str]], count: int) -> Rows:
    if sum(name.startswith("cf:") for name in columns) > MOST_CUSTOM_FIELDS:
        raise invalid(f"an import must not have more than {MOST_CUSTOM_FIELDS} custom fields")
    return Rows(columns, count)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)
