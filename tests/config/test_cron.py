"""Schedules: what is refused and how, and that no change of the clocks skips or doubles a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from exportkit.config.cron import Times, machine_zone, times_of
from exportkit.config.job import check_job

SHORT = "version: 1\nname: a\nsource: s\nsegments: [all]\nmap: {email: email}\n"
ATHENS = ZoneInfo("Europe/Athens")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
ZONES = ("Europe/Athens", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "UTC")


def at(text: str, zone: ZoneInfo = ATHENS, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


def told(times: Times, since: datetime, until: datetime) -> list[str]:
    """The moments between, as clocks on the wall show them, with the time of the zone."""
    found, moment = [], since
    while (moment := times.after(moment)) and moment <= until:
        found.append(f"{moment:%m-%d %H:%M %Z}")
    return found


@pytest.mark.parametrize(
    ("schedule", "message", "hint"),
    [
        ("31 2 30 2 *", "no date is ever '30' in the month '2'", "the third field"),
        ("0 6 31 4,6,9,11 *", "no date is ever '31' in the month '4,6,9,11'", "the third field"),
        ("0 25 * * *", "'25' is no hour", "an hour is from 0 to 23"),
        ("60 6 * * *", "'60' is no minute", "from 0 to 59"),
        ("0 6 0 * *", "'0' is no day of the month", "from 1 to 31"),
        ("0 6 * 13 *", "'13' is no month", "from 1 to 12"),
        ("0 6 * * 8", "'8' is no day of the week", "from 0 to 7"),
        ("0 6 * * mob", "there is no day of the week 'mob'", "did you mean 'MON'?"),
        ("0 6 * okt *", "there is no month 'okt'", "did you mean 'OCT'?"),
        ("0 6 * * 5-1", "'5-1' is no day of the week", "a span 1-5"),
        ("*/0 6 * * *", "'*/0' is no minute", "*/2"),
        ("0 6 * *", "a schedule has five fields, not 4", "such as 0 6 * * 1-5"),
        ("0 0 6 * * *", "a schedule has five fields, not 6", "minute, hour"),
        ("@daily", "'@daily' is not written in five fields", 'write "0 0 * * *"'),
        ("@dayly", "'@dayly' is not written in five fields", "did you mean '@daily'?"),
        ("6 Uhr", "a schedule has five fields, not 2", "minute, hour"),
        (" ", "a schedule has five fields, not 0", "minute, hour"),
        ("0 6 * * ٣", "'٣' is no day of the week", "from 0 to 7"),
        ("0 6 31 2 mon#5,0-", "'mon#5,0-' is no day of the week", "from 0 to 7"),
    ],
)
def test_what_is_no_schedule(read, schedule: str, message: str, hint: str) -> None:
    (found,) = check_job(read(SHORT + f'schedule: "{schedule}"\n'))
    assert found.message == message
    assert hint in found.hint
    assert found.location.path == "schedule"
    assert found.location.column == 11


@pytest.mark.parametrize(
    "schedule",
    ["0 6 * * 1-5", "*/15 * * * *", "0 6 l * *", "0 6 lw * *", "0 6 * * Mon-Fri", "0 0 29 2 *",
     "0 0 * 2 MON#5", "0 6 30 2 1", "5,35 6-22/2 1,15 jan-jun 7"],
)  # fmt: skip
def test_what_is_one(read, schedule: str) -> None:
    assert list(check_job(read(SHORT + f'schedule: "{schedule}"\n'))) == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [("Europe/Athen", "Europe/Athens"), ("Athens", "Europe/Athens"), ("New York", "America/New_Yo"),
     ("europe/athens", "Europe/Athens"), ("CEST", "CET")],
)  # fmt: skip
def test_zones_that_were_meant(read, written: str, meant: str) -> None:
    (found,) = check_job(read(SHORT + f'timezone: "{written}"\n'))
    assert meant in found.hint


def test_both_may_be_wrong(read) -> None:
    found = check_job(read(SHORT + 'schedule: "0 6 * *"\ntimezone: Nowhere\n'))
    assert [complaint.location.path for complaint in found] == ["schedule", "timezone"]


@pytest.mark.parametrize(
    ("schedule", "day", "expected"),
    [
        # Clocks in Athens: on 29 March from 03:00 to 04:00, on 25 October from 04:00 to 03:00.
        ("30 3 * * *", "2026-03-29", ["03-29 04:00 EEST"]),
        ("30 3 * * *", "2026-10-25", ["10-25 03:30 EEST"]),
        ("*/20 3 * * *", "2026-03-29", ["03-29 04:00 EEST"]),
        ("*/30 3 * * *", "2026-10-25", ["10-25 03:00 EEST", "10-25 03:30 EEST"]),
        ("0 3,4 * * *", "2026-03-29", ["03-29 04:00 EEST"]),
        ("30 2-4 * * *", "2026-10-25",
         ["10-25 02:30 EEST", "10-25 03:30 EEST", "10-25 04:30 EET"]),
        ("0 */6 * * *", "2026-10-25",
         ["10-25 06:00 EET", "10-25 12:00 EET", "10-25 18:00 EET"]),
        ("0 6 * * *", "2026-03-29", ["03-29 06:00 EEST"]),
    ],
)  # fmt: skip
def test_by_the_clock_on_the_wall(schedule: str, day: str, expected: list[str]) -> None:
    day_after = at(day) + timedelta(days=1)
    assert told(Times(schedule, ATHENS), at(day), day_after - timedelta(minutes=1)) == expected


@pytest.mark.parametrize("schedule", ["0 * * * *", "0 0-23 * * *", "30 */1 * * *"])
@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_every_hour_that_passes(schedule: str, day: str, hours: int) -> None:
    start = at(day) - timedelta(seconds=1)
    found = told(Times(schedule, ATHENS), start, at(day).replace(hour=23, minute=59))
    assert len(found) == len(set(found)) == hours


CRON = st.tuples(
    st.sampled_from(["0", "30", "*/20", "5,35", "*"]),
    st.sampled_from(["*", "0-23", "2", "3", "*/2", "0,23", "1-4"]),
    st.sampled_from(["*", "1", "29", "25-31", "L"]),
    st.sampled_from(["*", "3,4", "10,11"]),
    st.sampled_from(["*", "0", "mon-fri"]),
).map(" ".join)
CHANGES = ("2026-03-08", "2026-03-29", "2026-04-05", "2026-04-24", "2026-10-04", "2026-10-29",
           "2026-10-25", "2026-11-01")  # fmt: skip


def slowly(schedule: str, zone: ZoneInfo, since: datetime, until: datetime) -> list[datetime]:
    """The moments in (since, until], minute by minute, by a matcher of its own: see Times."""
    found: list[datetime] = []
    moment = since.astimezone(UTC).replace(second=0, microsecond=0)
    walls: set[datetime] = set()
    every_hour = schedule.split()[1] in ("*", "0-23")
    previous = (moment - timedelta(minutes=1)).astimezone(zone).replace(tzinfo=None)
    while moment <= until:
        wall = moment.astimezone(zone).replace(tzinfo=None)
        passed = [wall]
        if not every_hour:
            left_out = int((wall - previous) / timedelta(minutes=1)) - 1
            passed += [previous + timedelta(minutes=n + 1) for n in range(left_out)]
        fresh = [each for each in passed if every_hour or each not in walls]
        if any(matches(schedule, each) for each in fresh) and moment > since:
            found.append(moment)
        walls.update(passed)
        previous, moment = wall, moment + timedelta(minutes=1)
    return found


def matches(schedule: str, wall: datetime) -> bool:
    from cronsim import CronSim

    # In a time without zones, the library is taken at its word.
    return next(CronSim(schedule, wall - timedelta(seconds=1))) == wall


@settings(max_examples=60, deadline=None)
@example(schedule="0 * * * *", zone="Europe/Athens", day="2026-10-25", minutes=900)
@example(schedule="*/20 * * * *", zone="Europe/Athens", day="2026-10-25", minutes=930)
@given(
    schedule=CRON,
    zone=st.sampled_from(ZONES),
    day=st.sampled_from(CHANGES),
    minutes=st.integers(0, 40 * 60),
)
def test_as_the_minutes_pass(schedule: str, zone: str, day: str, minutes: int) -> None:
    here = ZoneInfo(zone)
    assume(here != LORD_HOWE or schedule.split()[1] not in ("*", "0-23"))  # see below
    start = at(day, here).astimezone(UTC) - timedelta(hours=12)
    until = start + timedelta(hours=40)
    times = Times(schedule, here)
    expected = slowly(schedule, here, start, until)
    found, moment = [], start
    while (moment := times.after(moment)) and moment <= until:
        found.append(moment.astimezone(UTC))
    assert found == expected
    now = start + timedelta(minutes=minutes)
    before = [each for each in expected if each <= now]
    latest = times.latest(now.astimezone(here))
    assert latest is not None
    # In UTC, since a moment of a repeated hour equals no moment of another zone.
    latest = latest.astimezone(UTC)
    assert latest == before[-1] if before else latest <= start


def test_where_clocks_change_by_half_an_hour_every_hour_is_once_an_hour() -> None:
    """At 02:00 they go back to 01:30, which was half an hour ago and is not run again."""
    times, start = Times("30 * * * *", LORD_HOWE), at("2026-04-05T00:00", LORD_HOWE)
    told_there = told(times, start, at("2026-04-05T03:00", LORD_HOWE))
    assert told_there == ["04-05 00:30 +11", "04-05 01:30 +11", "04-05 02:30 +1030"]


def test_the_latest_of_long_ago() -> None:
    times = Times("* * 29 2 *", ATHENS)
    assert times.latest(at("2027-12-31T12:00")) == at("2024-02-29T23:59")
    assert times.after(at("2026-01-01")) == at("2028-02-29T00:00")


def test_the_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":Europe/Athens")
    assert machine_zone() == ATHENS
    times = times_of("0 6 * * *", None)
    assert times
    assert times.zone == ATHENS
    monkeypatch.setenv("TZ", "/nowhere")
    assert machine_zone() is UTC
    assert times_of(None, "Europe/Athens") is None
