"""Every character of Unicode, asked of every engine: letters, white space, lengths."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import duckdb
import narwhals as nw
import pyarrow as pa
import pytest

from exportkit.engines import transforms
from exportkit.engines.spark.engine import open_session

if TYPE_CHECKING:
    from sparkservers import SparkServer

    from .conftest import Workspace

CHARACTERS = [
    chr(code)
    for code in range(1, 0x110000)
    if not 0xD800 <= code < 0xE000 and unicodedata.category(chr(code)) not in ("Co", "Cn")
]
TEXTS = pa.table(
    {
        "n": range(2 * len(CHARACTERS)),
        "text": [*CHARACTERS, *(f"a{c}b {c}d{c}" for c in CHARACTERS)],
    }
)


def answers(frame: Any) -> pa.Table:
    text = nw.col("text")
    named = {
        **{name: transforms.TRANSFORMS[name](text) for name in ("lower", "upper", "title")},
        **{name: transforms.TRANSFORMS[name](text) for name in ("trim", "collapse", "digits")},
        "blank": transforms.is_blank(text),
        "length": text.str.len_chars().cast(nw.Int64),
        "first": text.str.slice(0, 1),
    }
    found = nw.from_native(frame).lazy().select("n", **named).collect("pyarrow").to_native()
    return found.sort_by("n").drop_columns("n")


def test_every_character_has_one_answer(workspace: Workspace, spark: SparkServer) -> None:
    here = answers(duckdb.from_arrow(TEXTS))
    with open_session(workspace.source(spark=spark.url, table="none")) as session:
        there = answers(session.createDataFrame(TEXTS))
    for name in here.column_names:
        wrong = [
            (text, mine, theirs)
            for text, mine, theirs in zip(
                TEXTS["text"].to_pylist(),
                here[name].to_pylist(),
                there[name].to_pylist(),
                strict=True,
            )
            if mine != theirs
        ]
        assert wrong == [], name


@pytest.mark.parametrize(
    ("name", "text", "becomes"),
    [
        ("lower", "ΓΙΏΡΓΟΣ İ", "γιώργοσ i"),
        ("upper", "straße μαΐου ﬁ", "straẞe μαΪ́ου ﬁ"),
        ("upper", "straße μαΐου", "STRAẞE ΜΑΪ́ΟΥ"),
        ("title", "γιώργοσ παπαδόπουλος", "Γιώργοσ Παπαδόπουλος"),
        ("title", "ÉCOLE-d'été", "École-D'Été"),
        ("title", "NINO ბერიძე", "nino ბერიძე"),
    ],
)
def test_what_letters_become(name: str, text: str, becomes: str) -> None:
    rows = nw.from_native(duckdb.from_arrow(pa.table({"text": [text]}))).lazy()
    found = rows.select(transforms.TRANSFORMS[name](nw.col("text"))).collect("pyarrow")
    assert found.to_native()["text"].to_pylist() == [becomes]
