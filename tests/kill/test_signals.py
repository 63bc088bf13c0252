"""SIGTERM and Ctrl-C: the call in flight is finished and journaled; the next run does the rest."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.state.journal import open_journal
from exportkit.testing import Difference, Ended, ended

from .conftest import settled, undisturbed, write_yaml

if TYPE_CHECKING:
    from .conftest import MakeTrial, Trial

FEW = 300
ADD, UPDATE = 4, 5
"""The pushes of the second generation, counted over the ledger's life: 45 new, 75 changed."""

BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)


def signalled(
    trial: Trial, hook: str, call: int, *numbers: signal.Signals, options: tuple[str, ...] = ()
) -> Ended:
    """Run the job and send the signals, a moment apart, as soon as this call of a hook is out."""
    with trial.runner.ledger() as ledger:
        process = trial.runner.start(*options)
        deadline = time.monotonic() + 60
        while len(ledger.calls(hook)) < call and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        for number in numbers:
            time.sleep(0.1)
            process.send_signal(number)
        return ended(process)


def interrupted(done: Ended) -> dict[str, Any]:
    """The counts of a run that was asked to stop, and did."""
    assert done.code == 1, done.stderr
    assert (done.run["status"], done.run["error"]["kind"]) == ("interrupted", "interrupted")
    assert "Traceback" not in done.stderr
    counts: dict[str, Any] = done.run["counts"]
    return counts


def states(trial: Trial) -> list[str]:
    """How far the journal says each batch of the last run got."""
    with open_journal(trial.runner.workspace / ".exportkit" / "journal.sqlite") as journal:
        (last,) = journal.runs("letter", limit=1)
        assert last.finished_at, "its end is written down"
        return [batch.state for batch in journal.batches(last.run_id)]


def mended(trial: Trial, **expected: int) -> None:
    """The next run does exactly the rest, and all ends as if nothing had been."""
    counts = undisturbed(trial.runner)
    assert {name: counts[name] for name in expected} == expected
    assert trial.difference() == Difference()
    settled(trial)


@BOTH
def test_a_call_in_flight_is_finished(trial: MakeTrial, number: signal.Signals) -> None:
    subject = trial("mirror", FEW, begun=True)
    subject.arm({"hook": "push", "call": ADD, "do": "slow", "seconds": 1})
    counts = interrupted(signalled(subject, "push", ADD, number))
    assert (counts["added"], counts["updated"], counts["unsettled"]) == (45, 0, 75)
    assert states(subject) == ["folded"]
    mended(subject, added=0, updated=75, removed=45)


def test_a_removal_in_flight_is_finished(trial: MakeTrial) -> None:
    # Nothing is left to stop after it.
    subject = trial("mirror", FEW, begun=True)
    subject.arm({"hook": "remove", "do": "slow", "seconds": 1})
    done = signalled(subject, "remove", 1, signal.SIGTERM)
    assert (done.code, done.run["status"]) == (0, "succeeded")
    mended(subject, unchanged=300, sent=0, removed=0)


def test_a_connection_in_the_making_is_made_and_closed(trial: MakeTrial) -> None:
    subject = trial("mirror", FEW, begun=True)
    subject.arm({"hook": "connect", "call": 2, "do": "slow", "seconds": 1})
    assert interrupted(signalled(subject, "connect", 2, signal.SIGTERM))["sent"] == 0
    assert states(subject) == []
    mended(subject, added=45, updated=75, removed=45)


@BOTH
def test_the_second_signal_stops_at_once(trial: MakeTrial, number: signal.Signals) -> None:
    subject = trial("mirror", FEW, begun=True)
    subject.arm({"hook": "push", "call": UPDATE, "do": "slow", "seconds": 60})
    begun = time.monotonic()
    done = signalled(subject, "push", UPDATE, number, number)
    assert done.code == -number
    assert time.monotonic() - begun < 30
    mended(subject, updated=75, removed=45)


def test_a_signal_of_each_kind_stops_at_once_too(trial: MakeTrial) -> None:
    subject = trial("mirror", FEW, begun=True)
    subject.arm({"hook": "push", "call": ADD, "do": "slow", "seconds": 60})
    done = signalled(subject, "push", ADD, signal.SIGINT, signal.SIGTERM)
    assert done.code == -signal.SIGTERM
    mended(subject, added=45, updated=75, removed=45)


@BOTH
def test_nobody_waits_for_a_settlement_after_it(trial: MakeTrial, number: signal.Signals) -> None:
    subject = trial("mirror", FEW, begun=True, receipts=True)
    subject.arm(settle_after_seconds=3600)
    begun = time.monotonic()
    counts = interrupted(signalled(subject, "settle", 2, number))
    assert time.monotonic() - begun < 30
    assert (counts["unsettled"], counts["sent"]) == (120, 120)
    assert states(subject) == ["pending", "pending"]
    subject.arm(settle_after_seconds=0)
    mended(subject, sent=0, removed=45)


SIGNALLED = """
import os, signal, sys
def called(frame, event, _):
    if event == "call" and frame.f_code.co_name == {function!r}:
        if "exportkit" in frame.f_code.co_filename:
            sys.setprofile(None)
            os.kill(os.getpid(), signal.SIGTERM)
sys.setprofile(called)
from exportkit.cli import main
main()
"""


def signalled_in(trial: Trial, function: str) -> Ended:
    """A run that gets a SIGTERM as a function of ours begins."""
    return replace(trial.runner, command=SIGNALLED.format(function=function)).run()


@pytest.mark.parametrize(
    "function", ["open_source", "recover", "map_profiles", "accept", "make_plan", "check_guards"]
)
def test_while_it_plans_it_stops_before_anything_is_sent(trial: MakeTrial, function: str) -> None:
    subject = trial("mirror", FEW, begun=True)
    assert interrupted(signalled_in(subject, function))["sent"] == 0
    assert states(subject) == []
    mended(subject, added=45, updated=75, removed=45)


@pytest.mark.parametrize("function", ["adopt", "mark_folded", "end_run", "prune"])
def test_while_it_remembers_it_goes_on_to_the_end(trial: MakeTrial, function: str) -> None:
    subject = trial("mirror", FEW, begun=True)
    done = signalled_in(subject, function)
    assert (done.code, done.run["status"]) == (0, "succeeded")
    assert done.run["counts"]["added"] == 45
    mended(subject, unchanged=300, sent=0, removed=0)


def test_the_jobs_after_it_are_not_begun(trial: MakeTrial) -> None:
    subject = trial("mirror", FEW, begun=True)
    jobs = subject.runner.workspace / "jobs"
    note = {
        "name": "note",
        "source": "people",
        "segments": ["everyone"],
        "connection": "stand",
        "destination": {"list": "others"},
        "map": {"email": "email"},
        "key": "email",
        "mode": "upsert",
    }
    write_yaml(jobs / "note.yaml", note)
    subject.arm({"hook": "push", "call": ADD, "do": "slow", "seconds": 1})
    done = signalled(subject, "push", ADD, signal.SIGTERM, options=("note",))
    assert done.code == 1
    assert "note: " not in done.stderr, "its source is not even read"
    with subject.runner.ledger() as ledger:
        assert ledger.members("others") == {}
    mended(subject, updated=75, removed=45)
