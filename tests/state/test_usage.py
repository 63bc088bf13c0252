"""Calls by day, for those who look back: which connections made them, and how many there are."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exportkit import Limits
from exportkit.state.calls import CountedCalls, counted_calls, user_of
from exportkit.state.usage import usage_of

HERE, THERE = Path("/srv/shop"), Path("/srv/other")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "exportkit" / "calls"


def call(key: str, workspace: Path, connection: str, per_day: int | None = None) -> None:
    counted_calls(Limits(calls_per_day=per_day), user_of(workspace, connection))(key).take()


def test_the_calls_of_a_workspace() -> None:
    for _ in range(3):
        call("one", HERE, "marketing", 10_000)
    call("two", HERE, "events")
    call("three", THERE, "marketing")
    events, marketing = usage_of(HERE)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert (events.connections, events.days, events.per_day) == (("events",), {today: 1}, None)
    assert (marketing.connections, marketing.days) == (("marketing",), {today: 3})
    assert (marketing.per_day, marketing.shared) == (10_000, False)


def test_a_key_that_others_use_too() -> None:
    call("one", HERE, "marketing")
    call("one", THERE, "theirs")
    call("one", HERE, "events")
    (usage,) = usage_of(HERE)
    assert usage.connections == ("events", "marketing")
    assert usage.shared
    assert sum(usage.days.values()) == 3


def test_limits_that_a_connection_names_hold_instead_of_the_declared_ones() -> None:
    calls = counted_calls(Limits(calls_per_day=10), user_of(HERE, "marketing"))
    assert calls("one", per_day=2).left() == 2
    assert calls("one").left() == 10
    calls("one", per_day=2).take()
    assert usage_of(HERE)[0].per_day == 2


def test_days_are_kept_for_three_months(tmp_path: Path) -> None:
    file, day = tmp_path / "key.json", 86_400.0
    start = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
    for number in range(120):
        CountedCalls(file, Limits(), wall=lambda: start + number * day).take()  # noqa: B023
    days = json.loads(file.read_text())["days"]
    assert len(days) == 92
    assert max(days) == "2026-04-30"


def test_a_count_of_an_earlier_version_goes_on(folder: Path) -> None:
    call("one", HERE, "marketing")
    (file,) = folder.glob("*.json")
    elder = json.loads(file.read_text())
    del elder["users"], elder["per_day"]
    file.write_text(json.dumps(elder))
    assert usage_of(HERE) == []
    call("one", HERE, "marketing")
    (usage,) = usage_of(HERE)
    assert sum(usage.days.values()) == 2


def test_nobody_has_called() -> None:
    assert usage_of(HERE) == []
