"""Nothing lost, nothing twice: real runs, killed at many instants, end as if nothing had been.

EXPORTKIT_KILL_SEED repeats the instants of a failure, EXPORTKIT_KILLS sets how many there are in
each of the random tests.
"""

from __future__ import annotations

import os
import random
import secrets
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from exportkit.testing import Difference, random_instants

from .conftest import BATCH, settled, undisturbed

if TYPE_CHECKING:
    from .conftest import MakeTrial, Trial

SEED = os.environ.get("EXPORTKIT_KILL_SEED") or secrets.token_hex(4)
KILLS = int(os.environ.get("EXPORTKIT_KILLS", "4"))
AGAIN = f"repeat it with EXPORTKIT_KILL_SEED={SEED}"
PEOPLE = 2_000


def disturb(trial: Trial, kills: int, seed: str) -> None:
    """Two generations: kill the run again and again, then let it end."""
    instants = random_instants(random.Random(seed), calls=8, seconds=0.6)
    for generation in (0, 1):
        trial.people(generation)
        for instant in islice(instants, kills // 2):
            if not trial.kill(instant):
                break
        undisturbed(trial.runner)
    assert trial.killed, "every run ended before it could be killed"


@pytest.mark.parametrize(
    ("mode", "receipts"),
    [("upsert", False), ("mirror", False), ("mirror", True)],
    ids=["upsert, immediate", "mirror, immediate", "mirror, receipts"],
)
def test_killed_at_random(trial: MakeTrial, mode: str, receipts: bool) -> None:
    subject = trial(mode, PEOPLE, receipts=receipts)
    disturb(subject, KILLS, f"{SEED}-{mode}-{receipts}")
    assert subject.difference() == Difference(), AGAIN
    settled(subject)


@pytest.mark.parametrize("receipts", [False, True], ids=["immediate", "receipts"])
def test_killed_at_random_without_find_delivery(trial: MakeTrial, receipts: bool) -> None:
    subject = trial("mirror", PEOPLE, without=["find_delivery"], receipts=receipts)
    disturb(subject, KILLS, f"{SEED}-without-{receipts}")
    difference = subject.difference()
    assert (difference.lost, difference.members) == ((), ()), AGAIN
    doubled = [row.key for row in difference.doubled]
    assert len(doubled) <= BATCH * len(subject.killed), AGAIN
    assert set(doubled) <= subject.doubtful(), AGAIN
    settled(subject)


FEW = 300
FIRST = {"push": 4, "remove": 1}
"""By hook: which call of it, counted from the first run on, is the first of the second run."""
MIDWAY = [
    ("connect", 2, "kill_after"),
    *(
        (*call, do)
        for call in [("push", 5), ("settle", 2), ("remove", 1)]
        for do in ("kill_before", "kill_after")
    ),
    ("finish", 2, "kill_before"),
    ("finish", 2, "kill_after"),
]


@pytest.mark.parametrize(("hook", "call", "do"), MIDWAY)
def test_killed_in_a_hook(trial: MakeTrial, hook: str, call: int, do: str) -> None:
    subject = trial("mirror", FEW, receipts=True, begun=True)
    subject.arm({"hook": hook, "do": do, "call": call})
    subject.dies()
    undisturbed(subject.runner)
    assert subject.difference() == Difference()
    settled(subject)


@pytest.mark.parametrize("do", ["kill_before", "kill_after"])
def test_killed_while_it_asks_what_became_of_a_batch(trial: MakeTrial, do: str) -> None:
    subject = trial("mirror", FEW, begun=True)
    subject.arm(
        {"hook": "push", "do": "kill_after", "call": FIRST["push"]},
        {"hook": "find_delivery", "do": do},
    )
    subject.dies()
    subject.dies()
    undisturbed(subject.runner)
    assert subject.difference() == Difference()
    settled(subject)


@pytest.mark.parametrize(
    ("hook", "do"),
    [
        ("push", "kill_before"),
        ("push", "half_then_kill"),
        ("push", "kill_after"),
        ("remove", "kill_after"),
    ],
)
def test_without_find_delivery_the_one_batch_in_doubt_is_sent_again(
    trial: MakeTrial, hook: str, do: str
) -> None:
    subject = trial("mirror", FEW, without=["find_delivery"], begun=True)
    subject.arm({"hook": hook, "do": do, "call": FIRST[hook]})
    subject.dies()
    undisturbed(subject.runner)
    difference = subject.difference()
    assert (difference.lost, difference.members) == ((), ())
    # What the killed run's last batch had taken before the process died; nothing else.
    assert {row.key for row in difference.doubled} == subject.doubtful()
    assert bool(difference.doubled) is (do != "kill_before")
    settled(subject)


@pytest.mark.parametrize(("hook", "do"), [("push", "kill_after"), ("remove", "kill_before")])
def test_a_batch_that_nobody_knows_of_waits(trial: MakeTrial, hook: str, do: str) -> None:
    subject = trial("mirror", FEW, begun=True)
    subject.arm({"hook": hook, "do": do, "call": FIRST[hook]}, find_delivery="unknown")
    subject.dies()
    subject.runner.run()
    difference = subject.difference()
    assert difference.doubled == ()
    assert bool(difference.lost) is (do == "kill_before")
    assert subject.unfinished(), "it has to be asked for again"
    subject.arm(find_delivery="knows")
    undisturbed(subject.runner)
    assert subject.difference() == Difference()
    settled(subject)
