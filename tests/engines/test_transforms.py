"""Each transform does on the engine what Python would do, and leaves alone what it must."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import narwhals as nw
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exportkit.engines.frames import collect
from exportkit.engines.transforms import TRANSFORMS, WHITE_SPACE

if TYPE_CHECKING:
    from exportkit.engines.duckdb import DuckEngine

SPACED = st.text(st.sampled_from(f"{WHITE_SPACE}ab\u200b\ufeff\u001c"), max_size=8)
DATES = st.dates(date(1970, 1, 1), date(2068, 12, 31))
PATTERNS = [
    "%Y-%m-%d",
    "%Y%m%d",
    "%d%m%y",
    "%d/%m/%Y",
    "%d.%m.%y",
    "%m|%d|%Y",
    "%d/%m/%Y %H:%M:%S",
    "%Y%m%dT%H%M",
    "(%d) [%m] {%Y}+*?^$\\",
    "100%% %d.%m.%Y",
    "%%%d%%%m%%%Y%%",
    "год %Y, день %d, месяц %m",
]


def transformed(
    engine: DuckEngine, name: str, values: list[str | None], *arguments: str
) -> list[str | None]:
    frame = engine.table(pa.table({"text": pa.array(values, pa.string())}))
    answer = TRANSFORMS[name](nw.col("text"), *arguments).alias("text")
    texts: list[str | None] = collect(frame.select(answer))["text"].to_pylist()
    return texts


def test_white_space_is_what_unicode_says() -> None:
    separators = {chr(code) for code in range(0x1C, 0x20)}
    assert set(WHITE_SPACE) == {c for c in map(chr, range(0x110000)) if c.isspace()} - separators


@given(st.lists(SPACED, min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_trim(engine: DuckEngine, values: list[str]) -> None:
    assert transformed(engine, "trim", [*values]) == [text.strip(WHITE_SPACE) for text in values]


@given(st.lists(SPACED, min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_collapse(engine: DuckEngine, values: list[str]) -> None:
    def collapsed(text: str) -> str:
        blank = "".join(" " if c in WHITE_SPACE else c for c in text)
        return " ".join(word for word in blank.split(" ") if word)

    assert transformed(engine, "collapse", [*values]) == [collapsed(text) for text in values]


@given(st.lists(st.text(max_size=12), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_digits(engine: DuckEngine, values: list[str]) -> None:
    kept = ["".join(c for c in text if c in "0123456789") for text in values]
    assert transformed(engine, "digits", [*values]) == kept


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("lower", "ÉMILE Ωμέγα Ж", "émile ωμέγα ж"),
        ("lower", "Jane@Example.COM", "jane@example.com"),
        ("upper", "émile ωμέγα ж", "ÉMILE ΩΜΈΓΑ Ж"),
        ("upper", "o'neill", "O'NEILL"),
        ("title", "jean-luc O'NEILL", "Jean-Luc O'Neill"),
        ("title", "ÉMILE ZOLA", "Émile Zola"),
        ("title", "太郎", "太郎"),
    ],
)
def test_case(engine: DuckEngine, name: str, text: str, expected: str) -> None:
    assert transformed(engine, name, [text]) == [expected]


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_nothing_stays_nothing(engine: DuckEngine, name: str) -> None:
    arguments = ("%d/%m/%Y",) if name == "date" else ()
    assert transformed(engine, name, [None, ""], *arguments) == [None, ""]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(days=st.lists(DATES, min_size=1, max_size=30))
@settings(max_examples=8, deadline=None)
def test_a_date_that_was_written_so_is_read_so(
    engine: DuckEngine, pattern: str, days: list[date]
) -> None:
    written: list[str | None] = [day.strftime(pattern) for day in days]
    read = transformed(engine, "date", written, pattern)
    assert read == [day.isoformat() for day in days]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(values=st.lists(st.text(max_size=12), min_size=1, max_size=30))
@settings(max_examples=8, deadline=None)
def test_what_is_no_such_date_stays(engine: DuckEngine, pattern: str, values: list[str]) -> None:
    assert transformed(engine, "date", [*values], pattern) == values


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("%d/%m/%Y", "1/2/2024", "2024-02-01"),
        ("%d/%m/%Y", "31/02/2024", "2024-02-31"),  # for the check of kind date to refuse
        ("%d/%m/%Y", "1/2/2024\n", "1/2/2024\n"),
        ("%d/%m/%Y", " 1/2/2024", " 1/2/2024"),
        ("%d/%m/%y", "1/2/68", "2068-02-01"),
        ("%d/%m/%y", "1/2/69", "1969-02-01"),
        ("%d%m%Y", "122024", "122024"),
        ("%d.%m.%Y", "1x2x2024", "1x2x2024"),
        ("%d.%m.%Y", "١.٢.2024", "١.٢.2024"),
    ],
)
def test_dates_as_people_write_them(
    engine: DuckEngine, pattern: str, text: str, expected: str
) -> None:
    assert transformed(engine, "date", [text], pattern) == [expected]
