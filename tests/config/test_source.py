from __future__ import annotations

from datetime import timedelta

import pytest

from exportkit.config.schemas import check
from exportkit.config.source import Segment, Source, read_source, resolved

START = "version: 1\nname: customers\nkey: customer_id\n"


@pytest.fixture
def source(read):
    def source_of(text: str) -> Source:
        document = read(START + text)
        assert check(document, "source") == []
        return read_source(document)

    return source_of


def test_file(source) -> None:
    found = source(
        "file: data/*.csv\nencoding: latin-1\ndelimiter: ';'\nfresh_within: 24h\n"
        "description: From the shop\ntypes: {zip: text, 1.50: date}\n"
    )
    assert (found.name, found.key, found.file) == ("customers", "customer_id", "data/*.csv")
    assert (found.encoding, found.delimiter) == ("latin-1", ";")
    assert found.fresh_within == timedelta(hours=24)
    assert found.types == {"zip": "text", "1.50": "date"}
    assert found.segments == ()
    assert (found.database, found.spark, found.table, found.query) == (None,) * 4
    assert found.description == "From the shop"


def test_segments(source) -> None:
    found = source(
        "file: a\nsegments:\n  vip: {where: 'x > 1', description: Spent a lot}\n"
        "  everyone: {}\n  all:\n  flagged: {where: true}\n"
    )
    assert found.segments == (
        Segment("vip", "x > 1", "Spent a lot"),
        Segment("everyone"),
        Segment("all"),
        Segment("flagged", "true"),
    )
    assert found.segment("vip") == Segment("vip", "x > 1", "Spent a lot")
    assert found.segment("nobody") is None


@pytest.mark.parametrize(
    "text",
    [
        "file: crm.sqlite\ntable: customers",
        "file: crm.duckdb\nquery: select 1",
        "database: postgresql://crm@db/w\ntable: a.b",
        "database: sqlite:///rel.db\nquery: select 1",
        "spark: sc://spark:15002\ntable: a",
        "spark: sc://spark:15002\nquery: select 1",
        "spark: sc://spark:15002\nfile: s3://bucket/*.parquet",
        "file: a\nsegments:",
        'file: a.csv\ndelimiter: "\\t"',
        "file: a.csv\ndelimiter: 0",
    ],
)
def test_what_goes_together(read, text: str) -> None:
    found = [str(one) for one in check(read(START + text + "\n"), "source")]
    assert found == (
        []
        if not text.endswith("segments:")
        else [
            "file.yaml:5:10: segments: found nothing, expected segments by name, such as"
            ' {vip: {where: "lifetime_value >= 1000"}}'
        ]
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "table: a",
        "file: a\ndatabase: b\ntable: c",
        "database: a\nspark: b\ntable: c",
        "file: a\nspark: b\ntable: c",
        "file: a\ntable: b\nquery: c",
        "database: a",
        "database: a\ntable: b\nquery: c",
        "spark: a",
        "spark: a\ntable: b\nquery: c",
        "file: a\ndelimiter: ';;'",
        "database: a\ntable: b\ndelimiter: ';'",
    ],
)
def test_what_does_not_is_one_complaint(read, text: str) -> None:
    assert len(check(read(START + text + "\n"), "source")) == 1


def test_references_stay_until_they_are_resolved(source, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PW", "hunter2")
    (tmp_path / "q.sql").write_text("select 1\n")
    found = source("database: postgresql://crm:${env:PW}@db/w\nquery: ${file:q.sql}\n")
    assert found.database == "postgresql://crm:${env:PW}@db/w"
    whole = resolved(found, tmp_path)
    assert whole.database == "postgresql://crm:hunter2@db/w"
    assert whole.query == "select 1"
    assert "hunter2" not in repr(whole)
