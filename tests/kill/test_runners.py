"""One job on two hosts that share nothing but a PostgreSQL: at once, and killed on one of them.

EXPORTKIT_KILL_SEED repeats the instants and lines of a failure.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import socket
import time
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from exportkit.testing import Difference, Ended, ended, random_instants

from .conftest import settled, undisturbed
from .hosts import make_hosts
from .lines import Line, Writing, lines_of_a_run, run_until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.postgresql import Database

    from .conftest import MakeTrial
    from .hosts import Hosts

SEED = os.environ.get("EXPORTKIT_KILL_SEED") or secrets.token_hex(4)
KILLS = int(os.environ.get("EXPORTKIT_KILLS", "1"))
AGAIN = f"repeat it with EXPORTKIT_KILL_SEED={SEED}"
FEW, MANY = 300, 1_000
REFUSED = [f"p{person:06d}@example.com" for person in (60, 200, 310)]


@pytest.fixture
def hosts(
    trial: MakeTrial,
    tmp_path: Path,
    sites: Callable[..., Path],
    postgresql: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Hosts]:
    """Two hosts, of which one has delivered the first generation, unless they are new."""
    monkeypatch.setenv("PGPASSWORD", postgresql.server.password)
    url = f"postgresql://exportkit@127.0.0.1:{postgresql.server.port}/{postgresql.name}"

    def make(mode: str, number: int, *, begun: bool = False, receipts: bool = False) -> Hosts:
        like = trial(mode, number, receipts=receipts, refuse=REFUSED)
        subject = make_hosts(tmp_path, sites(), url, like, mode)
        if begun:
            subject.people(0)
            undisturbed(subject.runner)
            subject.people(1)
        return subject

    return make


def ends_well(hosts: Hosts, how: str = "") -> None:
    undisturbed(hosts.turn())
    assert hosts.difference() == Difference(), how
    settled(hosts, how)


def test_killed_at_random(hosts: Callable[..., Hosts]) -> None:
    subject = hosts("mirror", MANY, receipts=True)
    instants = random_instants(random.Random(SEED), calls=8, seconds=0.9)
    for generation in (0, 1):
        subject.people(generation)
        for instant in islice(instants, KILLS):
            subject.turn()
            if not subject.kill(instant):
                break
        undisturbed(subject.turn())
    assert subject.killed, "every run ended before it could be killed"
    ends_well(subject, AGAIN)


@pytest.mark.parametrize(
    ("hook", "call", "do"),
    [("push", 5, "kill_after"), ("remove", 1, "kill_before")],
)
def test_killed_in_a_hook(hosts: Callable[..., Hosts], hook: str, call: int, do: str) -> None:
    subject = hosts("mirror", FEW, begun=True, receipts=True)
    subject.arm({"hook": hook, "do": do, "call": call})
    subject.turn()
    subject.dies()
    subject.arm()
    ends_well(subject)


@pytest.mark.parametrize(
    "instant",
    [
        Line("state/journal.py", "mark_folded"),  # the snapshot is shared, the journal old
        Writing("/refused/"),
    ],
    ids=str,
)
def test_killed_where_state_changes_hands(
    hosts: Callable[..., Hosts], instant: Line | Writing
) -> None:
    subject = hosts("mirror", FEW, begun=True, receipts=True)
    ended = run_until(subject.turn(), instant)
    assert subject.was_killed(ended), f"{instant} was not met\n{ended.stderr}"
    ends_well(subject)


@pytest.mark.parametrize("pair", range(KILLS))
def test_at_any_line_and_on_another_host_at_any_line_again(
    hosts: Callable[..., Hosts], tmp_path: Path, pair: int
) -> None:
    subject = hosts("mirror", FEW, receipts=True)
    subject.people(0)
    lines = lines_of_a_run(subject.turn(), tmp_path / "lines")
    subject.people(1)
    source, how = random.Random(f"{SEED}-{pair}"), [AGAIN]
    for _ in range(2):
        line = source.choice(lines)
        line = Line(line.file, line.place, source.choice([1, line.times]))
        subject.was_killed(run_until(subject.turn(), line))
        how.append(str(line))
    ends_well(subject, "\n".join(how))


SECOND = 4
"""The first push of the second generation, counted over the ledger's life."""


@contextmanager
def midway(hosts: Hosts, hook: str, call: int) -> Iterator[subprocess.Popen[str]]:
    """A run on the next host that was stopped in the middle of this call of a hook."""
    hosts.arm({"hook": hook, "do": "slow", "call": call, "seconds": 2})
    with hosts.runner.ledger() as ledger, hosts.turn().start() as process:
        deadline = time.monotonic() + 60
        while len(ledger.calls(hook)) < call and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGSTOP)
        hosts.arm()
        yield process
        process.kill()


def goes_on(process: subprocess.Popen[str]) -> Ended:
    process.send_signal(signal.SIGCONT)
    return ended(process)


def test_the_second_host_is_told_who_runs_it_since_when(
    hosts: Callable[..., Hosts], postgresql: Database
) -> None:
    subject = hosts("mirror", FEW, begun=True)
    with midway(subject, "push", SECOND) as first:
        second = subject.turn().run()
        with subject.house() as house:
            running = house.runner("letter")
        assert goes_on(first).code == 0
    assert second.code == 75
    told = second.error["message"]
    assert told.startswith("skipped: job 'letter' is running since ")
    assert told.endswith(f" as pid {first.pid} on {socket.gethostname()}")
    assert running
    assert (running["pid"], running["host"]) == (first.pid, socket.gethostname())
    assert postgresql.run("SELECT count(*) FROM exportkit.holders") == "0"
    ends_well(subject)


def test_who_loses_the_session_makes_no_other_call(
    hosts: Callable[..., Hosts], postgresql: Database
) -> None:
    subject = hosts("mirror", FEW, begun=True)
    with midway(subject, "push", SECOND) as process:
        postgresql.run("SELECT pg_terminate_backend(session) FROM exportkit.holders")
        done = goes_on(process)
    assert done.code == 1
    assert done.error["kind"] == "journal"
    assert "the session that held the lock" in done.error["message"]
    with subject.runner.ledger() as ledger:
        assert len(ledger.calls("push")) == SECOND, "the call that was out, and none after it"
    ends_well(subject)


def test_a_database_that_vanishes_ends_the_run_and_another_takes_it_up(
    hosts: Callable[..., Hosts], postgresql: Database
) -> None:
    subject, name = hosts("mirror", FEW, begun=True), postgresql.name
    allow = "UPDATE pg_database SET datallowconn = {} WHERE datname = '" + name + "';"
    with midway(subject, "push", SECOND) as process:
        postgresql.server.run(
            allow.format("false")
            + "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            + f"WHERE datname = '{name}'"
        )
        done = goes_on(process)
        postgresql.server.run(allow.format("true"))
    assert done.code == 1
    assert done.error["kind"] == "journal"
    assert "Traceback" not in done.stderr
    with subject.runner.ledger() as ledger:
        assert len(ledger.calls("push")) == SECOND
    ends_well(subject)


def test_who_slept_while_another_took_over_changes_nothing(
    hosts: Callable[..., Hosts], postgresql: Database
) -> None:
    subject = hosts("mirror", FEW, begun=True, receipts=True)
    with midway(subject, "settle", 2) as sleeper:
        postgresql.run("SELECT pg_terminate_backend(session) FROM exportkit.holders")
        undisturbed(subject.turn())
        done = goes_on(sleeper)
    assert done.code == 1
    assert "another runner may have taken over" in done.error["message"]
    ends_well(subject)


def test_nothing_of_a_run_stays_on_its_host(hosts: Callable[..., Hosts]) -> None:
    subject = hosts("mirror", FEW, begun=True)
    subject.arm({"hook": "push", "do": "kill_after", "call": SECOND})
    subject.dies()
    left = subject.runner.workspace / ".exportkit" / "runners"
    assert list(left.iterdir()), "of a process that is killed"
    subject.arm()
    undisturbed(subject.runner)
    assert list(left.iterdir()) == []
