from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exportkit.config.scalars import parse_duration, resolve_plain

TEXTS = [
    "no",
    "No",
    "NO",
    "yes",
    "Yes",
    "on",
    "off",
    "y",
    "n",
    "08",
    "0123",
    "007",
    "1:30",
    "12:30:45",
    "0x1F",
    "0o17",
    "0b1",
    "1_000",
    "1,5",
    "2026-11-20",
    "2026-11-20T06:00:00Z",
    "+3",
    "+30210",
    "-0",
    "-e5",
    "1e",
    "1e999",
    ".inf",
    "-.inf",
    ".nan",
    ".NaN",
    "nULL",
    "tRUE",
    "-",
    ".",
    "e5",
    "-.",
    "1.2.3",
    "10%",
    "1234567890123456789012345",
    "٣",
    "１",
]


@pytest.mark.parametrize("text", TEXTS)
def test_stays_text(text: str) -> None:
    assert resolve_plain(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("", None),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("0", 0),
        ("-7", -7),
        ("1000000", 1_000_000),
        ("1.50", 1.5),
        ("-0.5", -0.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("5e5", 500_000.0),
        ("1E-3", 0.001),
    ],
)
def test_core_rules(text: str, value: object) -> None:
    resolved = resolve_plain(text)
    assert resolved == value
    assert type(resolved) is type(value)


@given(st.text())
def test_never_fails(text: str) -> None:
    resolved = resolve_plain(text)
    assert isinstance(resolved, str | int | float | None)
    if isinstance(resolved, str):
        assert resolved == text


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("24h", timedelta(hours=24)),
        ("30m", timedelta(minutes=30)),
        ("7d", timedelta(days=7)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("2w", timedelta(weeks=2)),
        ("90s", timedelta(seconds=90)),
        ("0s", timedelta()),
    ],
)
def test_duration(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "h", "24", "24 h", "30m1h", "-1h", "1.5h", "999999999999d"])
def test_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|calendar"):
        parse_duration(text)
