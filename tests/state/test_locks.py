"""A job runs once at a time, whatever becomes of the process that runs it."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from exportkit.errors import BusyError, JournalError
from exportkit.state.locks import held, holder_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLDER = """
import sys
from pathlib import Path
from exportkit.state.locks import held

with held(Path(sys.argv[1]), "job 'vip'"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vip.lock"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its stdin is closed."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_is_told_at_once_who_runs_it_and_since_when(
    path: Path, holder: subprocess.Popen[str]
) -> None:
    begun = time.monotonic()
    with pytest.raises(BusyError) as raised, held(path, "job 'vip'"):
        pytest.fail("two hold the lock")
    assert time.monotonic() - begun < 1
    told = raised.value
    assert told.message.startswith("skipped: job 'vip' is running since ")
    assert told.message.endswith(f" as pid {holder.pid} on {socket.gethostname()}")
    since = told.message.partition(" since ")[2].partition(" as ")[0]
    age = datetime.now().astimezone() - datetime.fromisoformat(since).astimezone()
    assert -1 <= age.total_seconds() < 60
    assert told.exit_code == 75


def test_who_holds_it(path: Path, holder: subprocess.Popen[str]) -> None:
    found = holder_of(path)
    assert found
    assert (found["pid"], found["host"]) == (holder.pid, socket.gethostname())
    holder.communicate()
    assert holder_of(path) is None


def test_a_killed_holder_never_blocks(path: Path, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert holder_of(path) is None
    with held(path, "job 'vip'"):
        found = holder_of(path)
        assert found
        assert found["pid"] == os.getpid()


def test_it_is_free_again_whatever_the_block_raises(path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), held(path, "job 'vip'"):
        raise KeyboardInterrupt
    with held(path, "job 'vip'"):
        pass
    assert holder_of(path) is None
    assert not path.with_suffix(".json").exists(), "nobody is taken for the next holder"


def test_two_of_one_process_exclude_each_other(path: Path) -> None:
    with held(path, "job 'vip'"):
        with pytest.raises(BusyError), held(path, "job 'vip'"):
            pytest.fail("two hold the lock")
        with held(path.with_name("other.lock"), "job 'other'"):
            pass
        assert holder_of(path)


def test_nobody_holds_what_is_not_there(path: Path) -> None:
    assert holder_of(path) is None
    assert not path.exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", "7", '{"pid": 1}', '{"pid": 1, "host": "h", "since": "x"}']
)
def test_it_is_busy_even_if_nobody_can_tell_who_holds_it(path: Path, content: str) -> None:
    with held(path, "job 'vip'"):
        path.with_suffix(".json").write_text(content)
        with pytest.raises(BusyError, match="job 'vip' is running"), held(path, "job 'vip'"):
            pytest.fail("two hold the lock")


def test_its_files_are_private(path: Path) -> None:
    before = os.umask(0)
    try:
        with held(path, "job 'vip'"):
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"vip.lock": 0o600, "vip.json": 0o600}


def test_a_lock_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("")
    with pytest.raises(JournalError, match="cannot be taken"), held(tmp_path / "locks/a.lock", "a"):
        pytest.fail("held")
