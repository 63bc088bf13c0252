from __future__ import annotations

from datetime import timedelta

import pytest

from exportkit.config.retention import Retention, read_retention
from exportkit.config.schemas import check


@pytest.mark.parametrize(
    ("written", "retention"),
    [
        ("90d", Retention(timedelta(days=90), timedelta(days=90))),
        ("{runs: 2w}", Retention(runs=timedelta(weeks=2))),
        (
            "{runs: 90d, rejections: 12h}",
            Retention(timedelta(days=90), timedelta(hours=12)),
        ),
    ],
)
def test_retention(read, written: str, retention: Retention) -> None:
    document = read(f"version: 1\nretention: {written}\n")
    assert check(document, "workspace") == []
    assert read_retention(document) == retention


def test_none(read) -> None:
    assert read_retention(read("version: 1\n")) is None


@pytest.mark.parametrize("written", ["90", "ever", "{}", "{run: 9d}", "[9d]", "", "99999999d"])
def test_complaints(read, written: str) -> None:
    assert len(check(read(f"version: 1\nretention: {written}\n"), "workspace")) == 1
