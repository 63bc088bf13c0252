"""A clock that jumps back between two runs: all that was written down before lies in the future."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from exportkit.state.journal import open_journal
from exportkit.testing import Difference

from .conftest import settled, undisturbed

if TYPE_CHECKING:
    from .conftest import MakeTrial, Trial

FEW = 300
REFUSED = ["p000299@example.com", "p000340@example.com"]


def jump_back(trial: Trial) -> None:
    """Move what the state says of times ten years into the future."""
    state = trial.runner.workspace / ".exportkit"
    with closing(sqlite3.connect(state / "journal.sqlite")) as db, db:
        for column in ("runs.started_at", "runs.finished_at", "batches.intended_at"):
            table, name = column.split(".")
            db.execute(f"UPDATE {table} SET {name} = '2036' || substr({name}, 5)")
        for (run_id,) in db.execute("SELECT run_id FROM runs").fetchall():
            later = f"2036{run_id[4:]}"
            db.execute("UPDATE runs SET run_id = ? WHERE run_id = ?", (later, run_id))
            db.execute("UPDATE batches SET run_id = ? WHERE run_id = ?", (later, run_id))
            if (state / "runs" / run_id).exists():
                shutil.move(state / "runs" / run_id, state / "runs" / later)
    (place,) = (state / "snapshots" / "letter").iterdir()
    facts = json.loads((place / "snapshot.json").read_text())
    facts["run_id"] = f"2036{facts['run_id'][4:]}"
    (place / "snapshot.json").write_text(json.dumps(facts))


def runs_of(trial: Trial) -> list[str]:
    with open_journal(trial.runner.workspace / ".exportkit" / "journal.sqlite") as journal:
        return [run.run_id for run in journal.runs("letter")]


def test_runs_go_on_in_their_order(trial: MakeTrial) -> None:
    subject = trial("mirror", FEW, begun=True, refuse=REFUSED)
    jump_back(subject)
    done = subject.runner.run()
    assert (done.code, done.run["counts"]["added"], done.run["counts"]["removed"]) == (0, 44, 45)
    first, second = runs_of(subject)
    assert first == done.run["run_id"], "the latest is the one that was last"
    assert second.startswith("2036")
    assert subject.difference() == Difference()
    settled(subject)
    command = "from exportkit.cli import main; main()"
    said = replace(subject.runner, command=command.replace("main()", REJECTIONS)).run()
    assert json.loads(said.stdout)["run_id"] == first
    assert undisturbed(subject.runner)["sent"] == 0


REJECTIONS = "import sys; main([*sys.argv[1:3], 'rejections', 'letter', '--json'])"


@pytest.mark.parametrize(("hook", "call"), [("push", 4), ("push", 5), ("remove", 1)])
@pytest.mark.parametrize("do", ["kill_before", "kill_after"])
def test_what_was_in_flight_is_taken_up(trial: MakeTrial, hook: str, call: int, do: str) -> None:
    subject = trial("mirror", FEW, begun=True)
    subject.arm({"hook": hook, "do": do, "call": call})
    subject.dies()
    with closing(sqlite3.connect(subject.runner.workspace / ".exportkit/journal.sqlite")) as db, db:
        for table, name in (("runs", "started_at"), ("batches", "intended_at")):
            db.execute(f"UPDATE {table} SET {name} = '2036' || substr({name}, 5)")
    undisturbed(subject.runner)
    assert subject.difference() == Difference()
    settled(subject)
