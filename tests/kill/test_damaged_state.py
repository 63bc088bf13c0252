"""A damaged state is told from all else, named, left as it is, and there is a way back."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import MakeTrial, Trial

    Run = Callable[..., tuple[int, dict[str, Any]]]

FEW = 300
REFUSED = "p000299@example.com"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the trial's job in this process: the exit code, and what `--json` says."""

    def running(trial: Trial, *options: str) -> tuple[int, dict[str, Any]]:
        monkeypatch.syspath_prepend(str(trial.runner.site))
        monkeypatch.delitem(sys.modules, "exportkit_faulty", raising=False)
        with pytest.raises(SystemExit) as ended:
            main(["--workspace", str(trial.runner.workspace), "run", "letter", "--json", *options])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(ended.value.code or 0), json.loads(said.out)

    return running


def begun(trial: MakeTrial) -> Trial:
    """A first run is over, the next has something to add, to update and to remove."""
    return trial("mirror", FEW, begun=True, refuse=[REFUSED])


def place_of(trial: Trial) -> Path:
    (place,) = (trial.runner.workspace / ".exportkit" / "snapshots" / "letter").iterdir()
    return place


def failure(code: int, said: dict[str, Any]) -> dict[str, str]:
    """The error of a run that failed because of the state."""
    error: dict[str, str] = said.get("error") or said["runs"][0]["error"]
    assert (code, error["kind"]) == (1, "journal"), said
    assert "@" not in json.dumps(said), "nobody is named"
    assert error["hint"]
    return error


def pushed(trial: Trial) -> int:
    with trial.runner.ledger() as ledger:
        return len(ledger.calls("push"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\xff" * 76 + content[80:])


def missing(path: Path) -> None:
    path.unlink()


DAMAGES: list[tuple[str, Callable[[Path], None]]] = [
    *(("snapshot.json", damage) for damage in (cut, empty, noise)),
    *(("delivered-*.parquet", damage) for damage in (cut, empty, noise, missing)),
    *(("refused-*.parquet", damage) for damage in (cut, empty, noise, missing)),
]


@pytest.mark.parametrize(
    ("file", "damage"), DAMAGES, ids=[f"{file.split('.')[0]} {d.__name__}" for file, d in DAMAGES]
)
def test_a_damaged_snapshot_is_named_and_kept(
    trial: MakeTrial, run: Run, file: str, damage: Callable[[Path], None]
) -> None:
    subject = begun(trial)
    place = place_of(subject)
    (path,) = place.glob(file)
    damage(path)
    before = {each.name: each.read_bytes() for each in place.iterdir()}
    calls = pushed(subject)
    error = failure(*run(subject))
    assert str(path) in error["message"]
    assert "move its folder away" in error["hint"]
    assert pushed(subject) == calls, "nothing was sent"
    assert failure(*run(subject, "--full")) == error
    after = {each.name: each.read_bytes() for each in place.iterdir()}
    assert before.items() <= after.items()


@pytest.mark.parametrize("away", ["out of the state folder", "beside it"])
def test_without_its_snapshot_every_row_counts_as_new(
    trial: MakeTrial, run: Run, tmp_path: Path, away: str
) -> None:
    subject = begun(trial)
    place = place_of(subject)
    cut(place / "snapshot.json")
    failure(*run(subject))
    copy = place.with_name(f"{place.name}.damaged") if away == "beside it" else tmp_path / "copy"
    shutil.move(place, copy)
    code, said = run(subject)
    assert (code, said["runs"][0]["counts"]["added"]) == (0, FEW - 1), said
    assert (copy / "snapshot.json").exists()
    with subject.runner.ledger() as ledger:
        everybody = ledger.members("everybody")
    # Who left meanwhile is at the destination still, as the hint says.
    assert len(everybody) == FEW + FEW * 15 // 100 - 1
    code, said = run(subject)
    assert (code, said["runs"][0]["counts"]["sent"]) == (0, 0), said


def test_a_snapshot_of_a_newer_version(trial: MakeTrial, run: Run) -> None:
    subject = begun(trial)
    path = place_of(subject) / "snapshot.json"
    right = path.read_text()
    path.write_text(json.dumps(json.loads(right) | {"version": 2, "news": True}))
    error = failure(*run(subject))
    assert str(path.parent) in error["message"]
    assert "newer exportkit" in error["hint"]
    path.write_text(right)
    code, said = run(subject)
    assert (code, said["runs"][0]["counts"]["added"]) == (0, 45), said


def damaged_pages(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


def stranger(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE runs (distance INTEGER)")


def text(path: Path) -> None:
    path.write_text("not a database\n" * 400)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [cut, damaged_pages, text, stranger, folder])
def test_a_damaged_journal_is_named_kept_and_begun_anew(
    trial: MakeTrial, run: Run, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    subject = begun(trial)
    path = subject.runner.workspace / ".exportkit" / "journal.sqlite"
    damage(path)
    before = path.read_bytes() if path.is_file() and damage is not stranger else None
    calls = pushed(subject)
    error = failure(*run(subject))
    assert str(path) in error["message"]
    assert "move the file away" in error["hint"]
    assert before is None or path.read_bytes() == before
    assert pushed(subject) == calls, "nothing was sent"
    shutil.move(path, tmp_path / "copy")
    code, said = run(subject)
    counts = said["runs"][0]["counts"]
    # The snapshot still knows who has been sent what.
    assert (code, counts["added"], counts["updated"], counts["removed"]) == (0, 45, 75, 45), said


def test_a_journal_of_a_newer_version(trial: MakeTrial, run: Run) -> None:
    subject = begun(trial)
    path = subject.runner.workspace / ".exportkit" / "journal.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE schema SET version = 7")
    error = failure(*run(subject))
    assert str(path) in error["message"]
    assert "newer exportkit" in error["hint"]
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute("SELECT version FROM schema").fetchall() == [(7,)]
        db.execute("UPDATE schema SET version = 1")
    code, said = run(subject)
    assert (code, said["runs"][0]["counts"]["added"]) == (0, 45), said


@pytest.mark.parametrize("damage", [cut, missing])
def test_the_files_of_a_run_that_died(
    trial: MakeTrial, run: Run, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    subject = begun(trial)
    subject.arm({"hook": "push", "call": 5, "do": "kill_after"})
    subject.dies()
    state = subject.runner.workspace / ".exportkit"
    dead = max((state / "runs").iterdir())
    path = dead / "changes" / "update.parquet"
    damage(path)
    error = failure(*run(subject))
    assert str(path) in error["message"]
    assert "journal.sqlite" in error["hint"]
    shutil.move(dead, tmp_path / "dead")
    shutil.move(state / "journal.sqlite", tmp_path / "journal.sqlite")
    code, said = run(subject)
    assert code == 0, said
    difference = subject.difference()
    assert (difference.lost, difference.members) == ((), ())


def test_the_lock_of_a_process_that_died(trial: MakeTrial, run: Run) -> None:
    subject = begun(trial)
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    )
    locks = subject.runner.workspace / ".exportkit" / "locks"
    (locks / "letter.lock").write_text("")
    holder = {"pid": int(dead.stdout), "host": os.uname().nodename, "since": "2026-01-01T00:00:00Z"}
    (locks / "letter.json").write_text(json.dumps(holder))
    code, said = run(subject)
    assert (code, said["runs"][0]["status"]) == (0, "partial"), said
