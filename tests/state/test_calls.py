"""Calls under one key are paced and counted over all processes, whatever the clock does."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from exportkit import Limits, QuotaSpentError
from exportkit.errors import JournalError
from exportkit.state.calls import CountedCalls, counted_calls, machine_folder

TAKER = """
import sys
from pathlib import Path
from exportkit import Limits
from exportkit.state.calls import CountedCalls
calls = CountedCalls(Path(sys.argv[1]), Limits(calls_per_second=float(sys.argv[2])))
for _ in range(int(sys.argv[3])):
    calls.take()
    print(calls._turn, flush=True)  # not the present: a busy machine may wake us later
"""


@dataclass
class Clock:
    """A wall clock that can be set, and a steady one that only sleeping moves."""

    wall: float = field(default_factory=lambda: datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp())
    steady: float = 1000.0
    slept: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += seconds
        self.slept += seconds

    def calls(self, file: Path, **limits: Any) -> CountedCalls:
        clocks = {"wall": lambda: self.wall, "steady": lambda: self.steady, "sleep": self.sleep}
        return CountedCalls(file, Limits(**limits), **clocks)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "calls" / "key.json"


def most_in_one_second(moments: list[float]) -> int:
    moments = sorted(moments)
    return max(sum(start <= m < start + 1 for m in moments) for start in moments)


def start_taker(file: Path, rate: float, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", TAKER, str(file), str(rate), str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_share_a_rolling_second(file: Path) -> None:
    takers = [start_taker(file, 8, 8) for _ in range(4)]
    moments = [float(m) for taker in takers for m in taker.communicate(timeout=60)[0].split()]
    assert len(moments) == 32
    assert most_in_one_second(moments) <= 8
    assert max(moments) - min(moments) < 6, "three windows are enough"
    assert list(json.loads(file.read_text())["days"].values()) == [32]


def test_a_killed_process_leaves_a_count_that_works(file: Path) -> None:
    counted = 0
    for pause in (0.0, 0.01, 0.02, 0.05, 0.1):
        taker = start_taker(file, 1_000_000, 1_000_000)
        assert taker.stdout is not None
        taker.stdout.readline()
        time.sleep(pause)
        taker.send_signal(signal.SIGKILL)
        counted += 1 + len(taker.communicate(timeout=30)[0].splitlines())
    CountedCalls(file, Limits()).take()
    made = sum(json.loads(file.read_text())["days"].values())
    # Each may have been killed between its count and its print, and the last line may be cut.
    assert counted - 5 <= made - 1 <= counted + 5


def test_a_turn_that_is_free_is_quick(file: Path) -> None:
    calls = CountedCalls(file, Limits(calls_per_second=1000, calls_per_day=1_000_000))
    calls.take()
    began = time.perf_counter()
    for _ in range(200):
        calls.take()
    assert (time.perf_counter() - began) / 200 < 0.005


def test_a_long_call_may_be_counted_at_its_end(file: Path, clock: Clock) -> None:
    calls = clock.calls(file, calls_per_second=2)
    for seconds in (0.9, 0.0):
        calls.take()
        clock.sleep(seconds)
        calls.ended()
    before = clock.steady
    calls.take()
    assert clock.steady - before == pytest.approx(1.05)
    calls.take()
    clock.sleep(30)
    calls.ended()
    calls.take()
    assert clock.steady - before == pytest.approx(31.05)
    calls.take()
    assert clock.steady - before == pytest.approx(32.1)


def test_threads_share_a_count(file: Path) -> None:
    calls = CountedCalls(file, Limits(calls_per_day=100))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: calls.take(), range(60)))
    assert calls.left() == 40


@pytest.mark.parametrize(
    ("rate", "taken", "slept"), [(4, 8, 1.05), (4, 4, 0), (0.5, 2, 2.05), (2.5, 4, 1.05)]
)
def test_a_rate_is_kept(rate: float, taken: int, slept: float, file: Path, clock: Clock) -> None:
    calls = clock.calls(file, calls_per_second=rate)
    for _ in range(taken):
        calls.take()
    assert clock.slept == pytest.approx(slept)


def test_the_day_ends_at_midnight_in_utc(file: Path, clock: Clock) -> None:
    calls = clock.calls(file, calls_per_day=3)
    for left in (2, 1, 0):
        calls.take()
        assert calls.left() == left
    with pytest.raises(QuotaSpentError, match=r"in a day \(3\) are used up") as raised:
        calls.take()
    assert raised.value.until == datetime(2026, 11, 25, tzinfo=UTC)
    assert "from 2026-11-25 00:00 UTC" in (raised.value.hint or "")
    assert raised.value.exit_code == 75
    clock.wall = datetime(2026, 11, 25, 0, 0, 1, tzinfo=UTC).timestamp()
    calls.take()
    assert calls.left() == 2


def test_without_a_limit_nothing_is_known_to_be_left(file: Path, clock: Clock) -> None:
    calls = clock.calls(file)
    calls.take()
    assert calls.left() is None
    calls.spent()
    assert calls.left() == 0


def test_the_services_word_ends_the_day_for_everybody(file: Path, clock: Clock) -> None:
    assert clock.calls(file, calls_per_day=100).spent() == datetime(2026, 11, 25, tzinfo=UTC)
    other = clock.calls(file, calls_per_day=100)
    assert other.left() == 0
    with pytest.raises(QuotaSpentError):
        other.take()
    clock.wall += 86_400
    other.take()


def test_just_after_midnight_the_service_speaks_of_yesterday(file: Path, clock: Clock) -> None:
    clock.wall = datetime(2026, 11, 25, 0, 0, 30, tzinfo=UTC).timestamp()
    calls = clock.calls(file, calls_per_day=100)
    assert calls.spent() == datetime(2026, 11, 25, 0, 10, tzinfo=UTC)
    clock.wall = datetime(2026, 11, 25, 0, 10, 1, tzinfo=UTC).timestamp()
    calls.take()
    assert calls.left() == 99


@pytest.mark.parametrize("jump", [-86_400 * 400, -3600, -1, 1, 3600, 86_400 * 400])
def test_a_clock_that_jumps_blocks_nobody_and_forgets_nothing(
    jump: int, file: Path, clock: Clock
) -> None:
    calls = clock.calls(file, calls_per_second=2, calls_per_day=10)
    for _ in range(2):
        calls.take()
    clock.wall += jump
    calls.take()
    assert clock.slept < 1.1
    clock.wall -= jump
    same_day = abs(jump) < 86_400
    assert calls.left() == (7 if same_day else 8)


def test_turns_from_before_a_restart_hold_nobody_up(file: Path, clock: Clock) -> None:
    calls = clock.calls(file, calls_per_second=1)
    calls.take()
    clock.steady = 5.0
    calls.take()
    assert clock.slept == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"days": 3}', b"\0" * 100])
def test_a_damaged_count_begins_again_and_says_so(
    content: bytes, file: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    calls = clock.calls(file, calls_per_day=10)
    calls.take()
    assert calls.left() == 9
    assert "counted from none again" in caplog.text


def test_it_is_private_and_names_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    counted_calls(Limits())("https://api.example.com client-4711").take()
    found = [tmp_path / "exportkit", *(tmp_path / "exportkit").rglob("*")]
    assert not any("4711" in str(path) for path in found)
    assert not any("4711" in path.read_text() for path in found if path.is_file())
    assert not any(path.stat().st_mode & 0o077 for path in found if path.name != "exportkit")


def test_each_key_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    calls = counted_calls(Limits(calls_per_day=5))
    calls("a").take()
    assert (calls("a").left(), calls("b").left()) == (4, 5)


@pytest.mark.parametrize("given", [None, "", "relative/folder"])
def test_without_a_folder_it_lies_in_the_accounts_home(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/somewhere/else")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    if given is not None:
        monkeypatch.setenv("XDG_STATE_HOME", given)
    home = pwd.getpwuid(os.geteuid()).pw_dir
    assert machine_folder() == Path(home) / ".local/state/exportkit"


def test_what_cannot_be_counted_is_said(tmp_path: Path) -> None:
    (tmp_path / "calls").write_text("a file")
    with pytest.raises(JournalError, match="calls cannot be counted in") as raised:
        CountedCalls(tmp_path / "calls" / "key.json", Limits()).take()
    assert "XDG_STATE_HOME" in (raised.value.hint or "")
