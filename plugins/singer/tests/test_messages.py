"""What a target reads: lines of JSON that hold exactly what the batch holds."""

from __future__ import annotations

import json
from decimal import Decimal

import pyarrow as pa
import pytest
from exportkit_singer import messages
from hypothesis import given, settings
from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.none()
NUMBER = st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str) | st.none()


def lines(rows: pa.RecordBatch, stream: str = "people", **types: str) -> list[dict[str, object]]:
    """The records of a batch, read as a careful target reads them."""
    known = {name: types.get(name, "string") for name in rows.schema.names}
    text = b"".join(messages.records(rows, stream, known)).decode("utf-8")
    assert text.endswith("\n")
    read = [json.loads(line, parse_float=Decimal) for line in text.removesuffix("\n").split("\n")]
    assert {(message["type"], message["stream"]) for message in read} == {("RECORD", stream)}
    return [message["record"] for message in read]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT, NUMBER), min_size=1, max_size=5), st.text(min_size=1))
def test_every_text_arrives_as_it_is(
    rows: list[tuple[str | None, str | None, str | None]], stream: str
) -> None:
    stream = stream.encode("utf-8", "ignore").decode() or "people"
    names = ["a", 'it\'s "b"', "n"]
    columns = [pa.array([row[number] for row in rows], pa.string()) for number in range(3)]
    found = lines(pa.record_batch(columns, names), stream, n="number")
    assert [tuple(row) for row in found] == [tuple(names)] * len(rows)
    for row, (first, second, number) in zip(found, rows, strict=True):
        assert (row["a"], row[names[1]]) == (first, second)
        assert row["n"] == (None if number is None else Decimal(number))


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("number", "12345678901234567890.123", Decimal("12345678901234567890.123")),
        ("number", "+5", 5),
        ("number", ".5", Decimal("0.5")),
        ("number", "007", Decimal("7.0")),
        ("number", "-1e3", Decimal(-1000)),
        ("integer", "-42", -42),
        ("boolean", "Yes", True),
        ("boolean", "0", False),
        ("date", "2026-01-31", "2026-01-31"),
        ("date-time", "2026-01-31 08:30:00", "2026-01-31T08:30:00"),
        ("string", "007", "007"),
        ("string", "null", "null"),
    ],
)
def test_a_value_is_written_by_its_type(type_: str, text: str, value: object) -> None:
    (row, empty) = lines(pa.record_batch({"x": pa.array([text, None])}), x=type_)
    assert row == {"x": value}
    assert type(row["x"]) is type(value)
    assert empty == {"x": None}


def test_many_rows_keep_their_order() -> None:
    many = messages.CHUNK_ROWS * 2 + 1
    rows = pa.record_batch({"n": pa.array([str(number) for number in range(many + 5)])}).slice(5)
    assert [row["n"] for row in lines(rows)] == [str(number) for number in range(5, many + 5)]


@pytest.mark.parametrize(
    ("line", "batch"),
    [
        (b'{"bookmarks": {"people": {"exportkit_batch": "b1"}}}', "b1"),
        (b'{"type": "STATE", "value": {"bookmarks": {"people": {"exportkit_batch": "b1"}}}}', "b1"),
        (b'{"bookmarks": {"others": {"exportkit_batch": "b1"}}}', None),
        (b'{"bookmarks": {"people": "b1"}}', None),
        (b'{"type": "STATE"}', None),
        (b"[]", None),
        (b"7", None),
    ],
)
def test_what_a_target_says_back(line: bytes, batch: str | None) -> None:
    assert messages.confirmed(line, "people") == batch


@pytest.mark.parametrize("line", [b"loaded 3 rows", b'{"bookmarks"', b"\xff\xfe"])
def test_what_no_target_may_say(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"Expecting|codec"):
        messages.confirmed(line, "people")
