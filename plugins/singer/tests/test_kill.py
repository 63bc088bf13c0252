"""Targets and exportkit itself killed at any instant: nothing is lost, and rows end right."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from singer_stage import Stage, ended, person
from test_targets import at_postgresql

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from postgresql import Database

ROWS = 600


def people(stage: Stage, spent: int) -> None:
    stage.people(*(person(f"p{number:05}", spent=spent + number) for number in range(ROWS)))


def target_of(process: subprocess.Popen[str]) -> psutil.Process | None:
    """The running target of an exportkit; None if exportkit ends first."""
    while process.poll() is None:
        try:
            for child in psutil.Process(process.pid).children():
                if "--config" in child.cmdline():
                    return child
        except psutil.Error:
            pass
        time.sleep(0.01)
    return None


@pytest.mark.timeout(200)
@pytest.mark.parametrize("victim", ["target", "exportkit"])
def test_killed_again_and_again(
    stage: Stage, postgresql: Database, need: Callable[[str], None], victim: str
) -> None:
    need("target-postgres")
    at_postgresql(stage, postgresql)
    stage.destination["batch_rows"] = 300
    people(stage, 0)
    assert stage.run().counts["added"] == ROWS
    people(stage, 1)  # everybody changes, so that half a batch would show
    chance, kills = random.Random(f"killed {victim}"), 0
    for _ in range(2):
        process = stage.start("run", "people", "--json")
        target = target_of(process)
        time.sleep(chance.uniform(0.1, 0.8))
        if target is not None:
            os.kill(target.pid if victim == "target" else process.pid, signal.SIGKILL)
        first = ended(process, 120)
        if victim == "target" and first.code:
            assert "was killed by SIGKILL" in first.complaint
            assert first.run["counts"]["updated"] % 300 == 0
        kills += bool(first.code)
    assert kills
    last = stage.run()
    assert last.run["error"] is None
    assert postgresql.run("SELECT count(*), sum(spent) FROM people").split() == [
        str(ROWS),
        str(sum(range(1, ROWS + 1))),
    ]
    assert stage.run().counts["sent"] == 0
    assert stage.left_behind() == []
