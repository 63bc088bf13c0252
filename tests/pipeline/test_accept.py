"""Acceptance does with whole frames what the model does row by row."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exportkit.engines.frames import FAULT, KEY, PREFER, SOURCE_KEY, SUPPRESSED, collect
from exportkit.pipeline.accept import accept
from exportkit.pipeline.handover import Accepted, Rules
from exportkit.records import Check

from . import model
from .model import Row
from .tables import file_rows, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from exportkit.engines.duckdb import DuckEngine

COLUMNS = ("a.b", 'select"')
CHECKS = (
    Check(SOURCE_KEY, "no key"),
    Check("a.b", "missing"),
    Check('select"', "not a number"),
    Check("a.b", "longer than 5 characters"),
)
TEXTS = st.sampled_from([None, "x", "X", "é", "e\u0301", "10", "9", " ", "x\n", "'", "￿", "😀"])
ROWS = st.builds(
    Row,
    key=st.sampled_from([*"aaabbb", "A", "é", "e\u0301", " "]),
    source_key=st.sampled_from(["1", "2", "10", None]),
    values=st.tuples(TEXTS, TEXTS),
    prefer=st.sampled_from([None, -1, 2, 10]),
    suppressed=st.sampled_from([False, False, False, True]),
    fault=st.sampled_from([*[None] * 12, 0, 1, 2, 3]),
)
KEYLESS = st.builds(Row, st.none(), st.none(), st.tuples(TEXTS, TEXTS), fault=st.just(0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("accept")


def accepted(engine: DuckEngine, folder: Path, rows: Sequence[Row], rules: Rules) -> Accepted:
    columns: dict[str, Any] = {
        KEY: pa.string(),
        SOURCE_KEY: pa.string(),
        PREFER: pa.int32(),
        SUPPRESSED: pa.bool_(),
        FAULT: pa.int16(),
        **dict.fromkeys(COLUMNS, pa.string()),
    }
    if rules.prefer is None:
        del columns[PREFER]
    if not rules.suppresses:
        del columns[SUPPRESSED]
    known = [
        {
            KEY: row.key,
            SOURCE_KEY: row.source_key,
            PREFER: row.prefer,
            SUPPRESSED: row.suppressed,
            FAULT: row.fault,
            **dict(zip(COLUMNS, row.values, strict=True)),
        }
        for row in rows
    ]
    frame = table(engine, columns, [{name: row[name] for name in columns} for row in known])
    return accept(frame, rules, engine, folder / "rejections.parquet")


def by_key(found: Accepted) -> dict[str, model.Values]:
    rows = collect(found.rows).to_pylist()
    answer = {row[KEY]: tuple(row[name] for name in COLUMNS) for row in rows}
    assert len(answer) == len(rows), "a key came twice"
    return answer


@given(
    rows=st.lists(st.one_of(*[ROWS] * 7, KEYLESS), min_size=8, max_size=24),
    prefer=st.sampled_from([None, "ascending", "descending"]),
    suppresses=st.booleans(),
)
@example(rows=[], prefer=None, suppresses=True)
@example(
    rows=[Row("a", "1", (None, "x")), Row("a", "1", ("x", None))], prefer=None, suppresses=False
)
@example(
    rows=[
        Row("a", "2", ("x", "x"), None),
        Row("a", "1", ("X", "x"), None),
        Row("a", "9", ("é", "x"), 1),
    ],
    prefer="ascending",
    suppresses=False,
)
@settings(max_examples=50, deadline=None)
def test_it_accepts_what_the_model_accepts(
    engine: DuckEngine, folder: Path, rows: list[Row], prefer: Any, suppresses: bool
) -> None:
    found = accepted(engine, folder, rows, Rules(COLUMNS, CHECKS, prefer, suppresses))
    expected = model.accept(rows, CHECKS, prefer, suppresses)
    assert by_key(found) == expected.accepted
    assert {row[KEY] for row in collect(found.staying).to_pylist()} == expected.staying
    assert found.selected == len(rows)
    assert found.rejected == len(expected.rejected)
    assert (found.suppressed, found.duplicates) == (expected.suppressed, expected.duplicates)
    assert found.kept == len(expected.accepted)
    reasons = Counter(check for _, check in expected.rejected)
    assert {Check(r.column, r.reason): r.rows for r in found.reasons} == reasons


@given(rows=st.lists(ROWS | KEYLESS, max_size=12))
@settings(max_examples=25, deadline=None)
def test_each_rejected_row_is_written_with_its_reason_and_value(
    engine: DuckEngine, folder: Path, rows: list[Row]
) -> None:
    accepted(engine, folder, rows, Rules(COLUMNS, CHECKS))
    written = [tuple(row.values()) for row in file_rows(folder / "rejections.parquet")]
    expected = [
        (row.key, row.source_key, check.column, check.reason, _value(row, check.column))
        for row, check in model.accept(rows, CHECKS, None, False).rejected
    ]
    assert Counter(written) == Counter(expected)


def _value(row: Row, column: str) -> str | None:
    return row.source_key if column == SOURCE_KEY else row.values[COLUMNS.index(column)]


def test_the_most_frequent_reason_comes_first(engine: DuckEngine, folder: Path) -> None:
    rows = [Row("a", "1", ("x", "x"), fault=fault) for fault in (2, 1, 2, 3, 3, 2)]
    found = accepted(engine, folder, rows, Rules(COLUMNS, CHECKS))
    assert [reason.rows for reason in found.reasons] == [3, 2, 1]


def test_the_winner_does_not_depend_on_the_order_of_the_rows(
    engine: DuckEngine, folder: Path
) -> None:
    rows = [Row("a", str(n % 3), (f"x{n % 5}", f"y{n % 7}"), prefer=n % 2) for n in range(210)]
    for turn in (rows, rows[::-1], rows[100:] + rows[:100]):
        found = accepted(engine, folder, turn, Rules(COLUMNS, CHECKS, "descending"))
        assert by_key(found) == {"a": ("x0", "y0")}
        assert found.duplicates == 209
