"""A database as it is found in the world: names, addresses and phones of many countries."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.records import Counts

if TYPE_CHECKING:
    from .conftest import Shop

DATABASE = Path(__file__).parents[2].parent / "shared" / "data" / "chinook.sqlite"
FIELDS = {
    "email": "Email",
    "first name": "FirstName",
    "last name": "LastName",
    "company": "Company",
    "address": "Address",
    "city": "City",
    "state": "State",
    "country": "Country",
    "zip": "PostalCode",
    "phone": "Phone",
    "fax": "Fax",
}

pytestmark = pytest.mark.skipif(
    not DATABASE.exists(), reason="needs the Chinook sample database beside the repository"
)


@pytest.fixture
def customers(shop: Shop) -> list[dict[str, str]]:
    """The customers as SQLite itself reads them; the shop delivers the same table."""
    shop.source |= {
        "file": str(DATABASE),
        "table": "Customer",
        "key": "CustomerId",
        "segments": {"all": {}, "europe": {"where": "Country in ('Germany', 'Czech Republic')"}},
    }
    shop.set(map=FIELDS, destination={"path": "out/vip.csv", "formulas": "keep"})
    columns = ", ".join(FIELDS.values())
    with closing(sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True)) as database:
        rows = database.execute(f"SELECT {columns} FROM Customer ORDER BY Email").fetchall()
    return [dict(zip(FIELDS, (value or "" for value in row), strict=True)) for row in rows]


def test_every_name_address_and_phone_arrives_byte_for_byte(
    shop: Shop, customers: list[dict[str, str]]
) -> None:
    assert len(customers) > 50
    number = len(customers)
    assert shop.counts() == Counts(selected=number, added=number, sent=number)
    with (shop.root / "out" / "vip.csv").open("rb") as file:
        text = file.read().decode("utf-8")
    found = sorted(csv.DictReader(text.splitlines(keepends=True)), key=lambda row: row["email"])
    assert found == customers
    assert any(row["phone"].startswith("+") for row in found), "what a spreadsheet would compute"
    assert not (set("".join(row["last name"] for row in found)) <= set(map(chr, range(128))))
    assert shop.counts() == Counts(selected=number, unchanged=number, sent=number)


def test_they_are_fit_to_be_sent(shop: Shop, customers: list[dict[str, str]]) -> None:
    kinds: dict[str, Any] = {"email": "email", "phone": "phone", "fax": "phone"}
    shop.set(map={n: {"column": c, "kind": kinds.get(n, "text")} for n, c in FIELDS.items()})
    shop.list()
    assert shop.counts().added == len(customers)
    shop.source["segments"]["all"] = shop.source["segments"]["europe"]
    few = len([row for row in customers if row["country"] in ("Germany", "Czech Republic")])
    assert shop.counts() == Counts(selected=few, unchanged=few)
    ours = {row["email"]: {n: v or None for n, v in row.items()} for row in customers}
    assert shop.members == ours
