"""Import bodies say what the columns hold, and are as large as they were measured to be."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import requests
from exportkit_constant_contact.payload import BYTES, ROWS, csv_body, json_body, sizes
from hypothesis import given
from hypothesis import strategies as st

LIST = "04fe9a97-a579-43c5-bb1a-58ed29bf0a6a"
CELLS = st.none() | st.text(
    st.sampled_from("aé😀名\",;'\n\r\t \\/\x00\x01\x1f\x7f\u2028=") | st.characters(codec="utf-8"),
    max_size=12,
)
NAMES = st.lists(
    st.sampled_from(["email", "first_name", "home country", "cf:größe", 'cf:a,"b"'])
    | st.just("birthday_month"),
    min_size=1,
    unique=True,
)


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    names = draw(NAMES)
    rows = draw(st.lists(st.tuples(*(CELLS for _ in names)), max_size=8))
    columns = [pa.array([row[n] for row in rows], pa.string()) for n in range(len(names))]
    whole = pa.record_batch(columns, names)
    return whole.slice(draw(st.integers(0, len(rows))))


def as_json(row: dict[str, str | None]) -> dict[str, Any]:
    """One contact in plain Python: no nulls, and a month is a number if it is one."""
    sent: dict[str, Any] = {name: value for name, value in row.items() if value is not None}
    month = sent.get("birthday_month", "")
    if month.isascii() and month.isdigit() and len(month) < 3 and month[0] != "0":
        sent["birthday_month"] = int(month)
    return sent


@given(batches())
def test_json_says_what_the_columns_hold(columns: pa.RecordBatch) -> None:
    body = json_body(columns, [LIST])
    assert json.loads(body) == {
        "import_data": [as_json(row) for row in columns.to_pylist()],
        "list_ids": [LIST],
    }
    empty = len(json_body(columns.slice(0, 0), [LIST]))
    total = pc.sum(sizes(columns, "json")).as_py() or 0
    assert len(body) == empty + total - (1 if columns.num_rows else 0)


@given(batches())
def test_csv_says_what_the_columns_hold(columns: pa.RecordBatch) -> None:
    body = csv_body(columns)
    header, *rows = csv.reader(io.StringIO(body.decode(), newline=""))
    assert header == columns.schema.names
    assert rows == [[value or "" for value in row.values()] for row in columns.to_pylist()]
    total = pc.sum(sizes(columns, "csv")).as_py() or 0
    assert len(body) == len(csv_body(columns.slice(0, 0))) + total


def test_only_what_needs_quotes_has_them() -> None:
    columns = pa.record_batch({"email": ["a@b.co", None], "last_name": ['O"X, Jr', " Y"]})
    assert csv_body(columns) == b'email,last_name\na@b.co,"O""X, Jr"\n""," Y"\n'
    assert sizes(columns, "csv").to_pylist() == [18, 8]


def test_month_and_day_are_numbers_in_json() -> None:
    columns = pa.record_batch({"birthday_month": ["5"], "birthday_day": ["31"], "zip": ["10115"]})
    row = json.loads(json_body(columns, [LIST]))["import_data"][0]
    assert row == {"birthday_month": 5, "birthday_day": 31, "zip": "10115"}


def test_a_full_import_is_within_the_service_s_limits() -> None:
    """Rows up to BYTES, the longest header, fifty lists: still under 4,000,000 bytes."""
    names = ["email", *(f"cf:{n:02}{'😀' * 48}" for n in range(25))]
    cell = "é" * 30
    columns = pa.record_batch([pa.array([cell] * ROWS)] * len(names), names)
    fit = BYTES // int(sizes(columns, "csv")[0].as_py())
    body = csv_body(columns.slice(0, fit))
    lists = ",".join([LIST] * 50)
    request = requests.Request(
        "POST",
        "https://127.0.0.1/",
        files={"file": (f"exportkit-{'x' * 100}.csv", body, "text/csv")},
        data={"list_ids": lists, "sms_permission_to_send": "not_set"},
    ).prepare()
    assert request.body is not None
    assert len(request.body) + 20_000 > BYTES
    assert len(request.body) < 4_000_000
    of_json = sizes(columns, "json")
    fit = BYTES // int(of_json[0].as_py())
    assert len(json_body(columns.slice(0, fit), [LIST] * 50)) < 4_000_000
    assert ROWS + 1 == 40_000
