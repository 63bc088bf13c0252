"""Segments mean the same on Spark as in DuckDB: each expression, on rows that are hard to read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exportkit.engines.predicates import ExpressionError
from exportkit.engines.spark.sql import neutral_pattern, on_spark

if TYPE_CHECKING:
    from pathlib import Path

    from sparkservers import SparkServer

    from .conftest import Workspace

TEXTS = (
    *("", " ", "a", "A", "ab", "Ab", "a\n", "\na", "a b", "a\u00a0", "\u00a0", "é", "e\u0301"),
    *("É", "ß", "SS", "İ", "i", "ı", "Σ", "σ", "ς", "ΓΙΏΡΓΟΣ", "😀", "a😀b", "1", "12", "1.5", "٣"),
    *("a_b", "a%b", "a\\b", "a'b", 'a"b', "a.b", "a\r\n", "a\u2028", "a\x85", "_", "x@y.org", None),
)
NUMBERS = (0, 1, -1, 7, 2**31, -(2**31) - 1, 2**53 + 1, None)
FLOATS = (0.0, -0.0, 1.5, -1.5, 1e300, float("nan"), float("inf"), -float("inf"), 0.1, None)
DECIMALS = tuple(
    None if x is None else Decimal(x) for x in ("0.00", "-0.01", "999.99", "1.50", None)
)
DATES = (date(1, 1, 1), date(1582, 10, 10), date(1970, 1, 1), date(2024, 2, 29), date(9999, 12, 31))
TIMES = (
    datetime(1, 1, 1),
    datetime(2024, 3, 31, 1, 30, 0, 500_000),
    datetime(2024, 10, 27, 3, 0, 0, 1),
    datetime(9999, 12, 31, 23, 59, 59, 999_999),
    None,
)

WHERE = (
    *("t = 'a'", "t <> 'a'", "t < 'b'", "t >= 'É'", "t in ('a', 'ß', '')", "t is null"),
    *("t = ''", "t is not distinct from null", "coalesce(t, 'x') = 'x'", "nullif(t, 'a') is null"),
    *("lower(t) = 'a'", "lower(t) = 'γιώργοσ'", "lower(t) = 'i'", "length(t) = 1", "length(t) > 2"),
    *("t like 'a%'", "t like '%_b'", "t like '_'", "t not like '%a%'", "contains(t, 'a')"),
    *("starts_with(t, 'a')", "ends_with(t, 'b')", "replace(t, 'a', 'ß') = 'ß'", "t || 'x' = 'ax'"),
    *("concat(t, 'x') = 'x'", "regexp_matches(t, '^a')", "regexp_matches(t, 'a$')"),
    *(r"regexp_matches(t, '^\w+$')", r"regexp_matches(t, '\d')", r"regexp_matches(t, 'a\sb')"),
    *("regexp_matches(t, '^a.$')", "regexp_matches(t, '^.$')", r"regexp_matches(t, '\.org$')"),
    *(r"regexp_matches(t, '^[^\w]+$')", "regexp_matches(t, '(?:a|b){2}')", r"t like 'a''b'"),
    *(r"regexp_matches(t, 'a\\b')", "regexp_matches(t, '''')", "case when t = 'a' then true end"),
    *("n > 0", "n between -1 and 7", "n in (1, 7)", "not (n = 1)", "n + 1 > 7", "n * 2 = 14"),
    *("abs(n) = 1", "-n = 1", "n > 0.5", "n = 1 or t = 'a'", "n = 1 and t is null", "n is null"),
    *("f > 1", "f = 0", "f < 0", "f >= 1.5", "f = 0.1", "f <> f", "f between -2 and 2"),
    *("d = 1.5", "d > 999", "d + 0.01 = 0", "d * 2 = 3", "d < 0"),
    *("b = date '2024-02-29'", "b < '1970-01-01'", "year(b) = 2024", "month(b) = 2", "day(b) > 28"),
    *("b >= date '2024-02-28' + interval 1 day", "extract(year from b) < 2000"),
    *("s >= '2024-03-31'", "s < '2024-03-31 01:30:01'", "s = '2024-10-27 03:00:00.000001'"),
    *(
        "z >= '2024-03-31 01:30:00'",
        "z < '2024-10-27'",
        "z < current_timestamp",
        "b <= current_date",
    ),
    *("a", "not a", "a is true", "a = false"),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = 500

    def filled(values: Any, kind: pa.DataType) -> pa.Array:
        return pa.array([values[i % len(values)] for i in range(rows)], kind)

    zoned = [None if t is None else t.replace(tzinfo=UTC) for t in TIMES]
    table = pa.table(
        {
            "id": range(rows),
            "t": filled(TEXTS, pa.string()),
            "n": filled(NUMBERS, pa.int64()),
            "f": filled(FLOATS, pa.float64()),
            "d": filled(DECIMALS, pa.decimal128(12, 2)),
            "b": filled(DATES, pa.date32()),
            "s": filled(TIMES, pa.timestamp("us")),
            "z": filled(zoned, pa.timestamp("us", "UTC")),
            "a": filled((True, False, None), pa.bool_()),
        }
    )
    found = tmp_path_factory.mktemp("segments") / "people.parquet"
    pq.write_table(table, found)
    return found


def test_segments_mean_the_same(workspace: Workspace, spark: SparkServer, path: Path) -> None:
    segments = {f"s{n}": {"where": where} for n, where in enumerate(WHERE)}
    with workspace.open(file=str(path), segments=segments) as opened:
        assert opened.complaints() == []
        here = opened.count(list(segments))
    with workspace.open(file=str(path), spark=spark.url, segments=segments) as opened:
        assert opened.complaints() == []
        there = opened.count(list(segments))
    wrong = [(WHERE[int(n[1:])], here[n], there[n]) for n in segments if here[n] != there[n]]
    assert wrong == []
    assert sum(1 for n in here.values() if n) > len(WHERE) * 0.8, "hardly any matches nothing"


def test_texts_are_the_same(workspace: Workspace, spark: SparkServer, path: Path) -> None:
    texts = {name: name for name in ("id", "t", "n", "d", "b", "s", "z", "a")}
    made = {
        "x1": "lower(t)",
        "x2": "t || '-' || lower(t)",
        "x3": "n + 1",
        "x4": "d * 2",
        "x5": "d + 1",
        "x6": "case when a then t else 'no' end",
        "x7": "length(t)",
        "x8": "year(b)",
        "x9": "a and n > 0",
        "x10": "coalesce(b, date '2024-01-01')",
        "x11": "concat(t, 'x')",
    }
    found = []
    for where in ({}, {"spark": spark.url}):
        with workspace.open(file=str(path), segments={"all": {}}, **where) as opened:
            for sql in made.values():
                assert opened.check(sql, opened.source.document.locate(())) == []
            frame = opened.select(texts=texts, expressions=made, segments=["all"])
            rows = frame.collect("pyarrow").to_native().to_pylist()
        found.append(sorted(rows, key=lambda row: int(row["id"])))
    for here, there in zip(*found, strict=True):
        assert there == here


@pytest.mark.parametrize(
    ("pattern", "becomes"),
    [
        (r"^a.b$", r"^a[^\n]b\z"),
        (r"\d+\.\w", r"[0-9]+\.[0-9A-Za-z_]"),
        (r"[\d.-]x", r"[0-9.-]x"),
        ("(?:a|b)*?", "(?:a|b)*?"),
    ],
)
def test_patterns_are_spelled_out(pattern: str, becomes: str) -> None:
    assert neutral_pattern(pattern) == becomes


@pytest.mark.parametrize(
    "pattern", ["(?i)a", "(?=a)", r"\bx", r"a*+", r"[[:alpha:]]", r"[a&&b]", r"\p{L}", "[a", r"\1"]
)
def test_patterns_that_engines_read_differently(pattern: str) -> None:
    with pytest.raises(ExpressionError):
        neutral_pattern(pattern)


@pytest.mark.parametrize(
    "sql",
    [
        *("trim(t) = 'a'", "upper(t) = 'A'", "n / 2 = 1", "round(f) = 1", "cast(f as int) = 1"),
        *("try_cast(t as int) = 1", "t ilike 'a'", "left(t, 1) = 'a'", "n % 2 = 0", "n // 2 = 1"),
        *("strftime(b, '%Y') = '2024'", "date_trunc('month', b) = b", "cast('2024' as date) = b"),
        *("greatest(n, 1) = 1", "cast(n as text) = '1'", "hour(s) = 1", "reverse(t) = 'a'"),
    ],
)
def test_expressions_that_engines_answer_differently(sql: str) -> None:
    with pytest.raises(ExpressionError, match=r"Spark|cast"):
        on_spark(sql, dict.fromkeys("tnfdbsza", "string"), condition=True)
