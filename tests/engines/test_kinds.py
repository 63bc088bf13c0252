"""What the fast patterns say, Python's own readers and email-validator say too."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

import narwhals as nw
import pyarrow as pa
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exportkit.engines import kinds
from exportkit.engines.frames import collect

if TYPE_CHECKING:
    from exportkit.engines.duckdb import DuckEngine
    from exportkit.records import Kind


def fit(engine: DuckEngine, kind: Kind, values: list[str]) -> list[bool]:
    frame = engine.table(pa.table({"text": pa.array(values, pa.string())}))
    unfit = kinds.unfit(nw.col("text"), kind)
    assert unfit is not None
    return [not no for no in collect(frame.select(unfit.alias("no")))["no"].to_pylist()]


def verdicts(engine: DuckEngine, values: list[str | None]) -> list[int | None]:
    """What the patterns make of each address."""
    frame = engine.table(pa.table({"text": pa.array(values, pa.string())}))
    said: list[int | None] = collect(frame.select(kinds.verdict(nw.col("text")).alias("said")))[
        "said"
    ].to_pylist()
    return said


def is_address(value: str) -> bool:
    try:
        validate_email(value, check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


PIECES = st.sampled_from(
    [*"aZ09.-_+'@@\"\\ ()<>[]:;,!#$%&*/=?^`{|}~\t\n\x00éßΩ日\u200d\u3002\uff20\uff0e\u2024\u0301",
     "..", "xn--", ".com", ".test", ".Local", ".onion", ".arpa", "localhost", "a" * 63, "b.c"]
)  # fmt: skip
PARTS = st.lists(PIECES, max_size=8).map("".join)
ADDRESSES = st.one_of(
    st.emails(),
    st.emails(domains=st.sampled_from(["example.com", "a-b.example.org", "x.co"])),
    st.tuples(PARTS, PARTS).map("@".join),
    st.tuples(PARTS, st.sampled_from(["example.com", "mail.example.co.uk"])).map("@".join),
    st.tuples(st.sampled_from(["jane", "o'neill", "a+b"]), PARTS).map("@".join),
    PARTS,
)
ODD_DOMAINS = st.tuples(
    st.sampled_from(["jane", "bob", "o'neill", "é", "a" * 62]), st.lists(PIECES, max_size=3)
).map(lambda parts: f"{parts[0]}@{''.join(parts[1])}.com")


@given(st.lists(ADDRESSES, min_size=30, max_size=60))
@example(["-a@b.co", "a-@b.co", "'@b.co", "a@1.co", "a@b-1.co", "a" * 57 + "@b.com", "a@b.c"])
@example(["a@x.test", "a@x.TEST", "a@test.com", "a@localhost", "a@x.alt", "a@x.example"])
@example(["", "@", "a@", "@b.co", "a@b", "a@b.co.", "a@.co", "a@@b.co", "<a@b.co>", "a@b_c.co"])
@settings(max_examples=60, deadline=None)
def test_the_patterns_never_contradict_the_library(engine: DuckEngine, values: list[str]) -> None:
    for value, verdict in zip(values, verdicts(engine, [*values]), strict=True):
        if verdict != kinds.UNDECIDED:
            assert is_address(value) == (verdict == kinds.FIT), (value, verdict)


def test_most_addresses_need_no_library(engine: DuckEngine) -> None:
    everyday = ["jane.doe@example.com", "o'neill+news@mail.example.co.uk", "J_D-9@a-b.example.org"]
    wrong = ["", "jane", "jane@", "jane@example", "jane doe@example.com", "a@b@example.com"]
    assert verdicts(engine, [*everyday]) == [kinds.FIT] * len(everyday)
    assert verdicts(engine, [*wrong]) == [kinds.UNFIT] * len(wrong)
    assert verdicts(engine, ["jürgen@example.com", None]) == [kinds.UNDECIDED, None]


@given(st.lists(ADDRESSES | ODD_DOMAINS, max_size=40))
@example(["jane@xn--a.com", "bob@xn--a.com", "é@b.co", f"{'a' * 63}@b.co", f"{'a' * 65}@b.co"])
@settings(max_examples=60, deadline=None)
def test_not_addresses(values: list[str]) -> None:
    assert kinds.not_addresses(values) == [value for value in values if not is_address(value)]


def is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def test_dates_are_those_of_the_calendar(engine: DuckEngine) -> None:
    years = [0, 1, 4, 100, 400, 1900, 1999, 2000, 2023, 2024, 2100, 9999]
    texts = [f"{y:04}-{m:02}-{d:02}" for y in years for m in range(14) for d in range(33)]
    assert fit(engine, "date", texts) == [is_date(text) for text in texts]


def test_leap_years(engine: DuckEngine) -> None:
    texts = [f"{year:04}-02-29" for year in range(10_000)]
    assert fit(engine, "date", texts) == [is_date(text) for text in texts]


@given(
    st.lists(st.from_regex(r"[0-9]{1,5}-[0-9]{1,2}-[0-9]{1,2}[\n ]?", fullmatch=True), min_size=9)
)
@example(["2024-01-01\n", " 2024-01-01", "2024-1-1", "20240101", "2024-01-01T00:00", "٢٠٢٤-٠١-٠١"])
@settings(max_examples=30, deadline=None)
def test_dates_of_any_form(engine: DuckEngine, texts: list[str]) -> None:
    assert fit(engine, "date", texts) == [is_date(text) for text in texts]


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return re.search(r"[^0-9.eE+-]|[eE][+-]?[0-9]{4}", text) is None


@given(st.lists(st.text(st.sampled_from("0123456789.eE+-_ \nnaif１"), max_size=7), min_size=40))
@example(["5e5", "1.50", "0123", ".5", "5.", "+1", "-0", "1e-300", "nan", "inf", "1_000", "1,5"])
@example(["", ".", "+", "e5", "1e", "1e1000", "0x1", "１"])
@settings(max_examples=60, deadline=None)
def test_numbers_are_those_that_python_reads(engine: DuckEngine, texts: list[str]) -> None:
    assert fit(engine, "number", texts) == [is_number(text) for text in texts]


PHONES = [
    "+30 210 1234567",
    "020 7946 0123",
    "+1 (202) 555-0123",
    "202.555.0123 x12",
    "202-555-0123 ext. 4",
    "0123/456789",
    "1234",
    "+49(0)30 123456",
    "2025550123x1",
]
NO_PHONES = [
    "",
    "123",
    "+",
    "not yet known",
    "12a45678",
    "++30210123456",
    "1" * 21,
    "555-CALL-NOW",
    "2025550123 x",
    "2025550123\n",
    "jane@example.com",
    "٢٠٢٥٥٥٠١٢٣",
]


def test_phones(engine: DuckEngine) -> None:
    assert [p for p, yes in zip(PHONES, fit(engine, "phone", PHONES), strict=True) if not yes] == []
    given_up = fit(engine, "phone", NO_PHONES)
    assert [p for p, yes in zip(NO_PHONES, given_up, strict=True) if yes] == []


@given(st.lists(st.text(st.sampled_from("0123456789+ ().-/xet"), max_size=26), min_size=40))
@settings(max_examples=30, deadline=None)
def test_a_phone_has_four_to_twenty_digits(engine: DuckEngine, texts: list[str]) -> None:
    for text, yes in zip(texts, fit(engine, "phone", texts), strict=True):
        number = re.split("x|ext", text)[0]
        assert not yes or 4 <= len(re.sub("[^0-9]", "", number)) <= 20
        if re.fullmatch(r"[0-9 ().\-/]*", text):
            assert yes == (4 <= len(re.sub("[^0-9]", "", text)) <= 20)


def test_null_is_of_every_kind(engine: DuckEngine) -> None:
    frame = engine.table(pa.table({"text": pa.array([None], pa.string())}))
    for kind in ("date", "phone", "number"):
        unfit = kinds.unfit(nw.col("text"), kind)  # type: ignore[arg-type]
        assert unfit is not None
        answer = collect(frame.select(nw.when(unfit).then(1).otherwise(0).alias("no")))
        assert answer["no"].to_pylist() == [0], kind


@pytest.mark.parametrize("kind", ["text", "email"])
def test_what_no_pattern_decides(kind: Kind) -> None:
    assert kinds.unfit(nw.col("text"), kind) is None
