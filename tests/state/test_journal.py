"""The journal survives being closed, killed, shared and damaged, and never quotes anybody."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.errors import JournalError
from exportkit.records import Counts, Failure, Run
from exportkit.state import tables, upgrades
from exportkit.state.batches import Unjournaled
from exportkit.state.journal import open_journal
from exportkit.state.tables import SCHEMA_VERSION

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
COUNTS = Counts(selected=10, rejected=1, added=8, refused=1, sent=9)
REASONS = [{"column": "email", "reason": "missing", "rows": 1}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def opened(path: Path) -> None:
    with open_journal(path):
        pass


def ended(run_id: str = "r1", **changes: Any) -> Run:
    values = {
        "run_id": run_id,
        "job": "vip",
        "status": "partial",
        "started_at": START,
        "finished_at": START + timedelta(seconds=9, microseconds=5),
        "counts": COUNTS,
        **changes,
    }
    return Run(**values)


def test_a_run_is_the_same_after_reopening(path: Path) -> None:
    facts = {"mode": "mirror", "columns": ["a.b", 'a"b', "é"]}
    failed = ended(status="failed", error=Failure("destination", "no", "do"))
    with open_journal(path) as journal:
        journal.begin_run("r1", "vip", START, target="list", facts=facts, folded=False)
        journal.end_run(failed, reasons=REASONS)
    with open_journal(path) as journal:
        found = journal.run("r1")
        assert journal.run("r2") is None
    assert found
    assert found.run == failed
    assert (found.facts, found.reasons, found.target) == (facts, tuple(REASONS), "list")
    assert found.folded is False


def test_a_run_that_nobody_ended_was_interrupted(path: Path) -> None:
    with open_journal(path) as journal:
        journal.begin_run("r1", "vip", START)
        found = journal.run("r1")
    assert found
    assert (found.finished_at, found.run.status, found.run.counts) == (
        None,
        "interrupted",
        Counts(),
    )


def test_times_are_kept_in_utc(path: Path) -> None:
    athens = timezone(timedelta(hours=2))
    with open_journal(path) as journal:
        journal.begin_run("r1", "vip", datetime(2026, 11, 20, 8, 0, tzinfo=athens))
        found = journal.run("r1")
    assert found
    assert found.started_at.isoformat() == "2026-11-20T06:00:00+00:00"


def test_the_latest_runs_come_first(path: Path) -> None:
    with open_journal(path) as journal:
        for number, job in enumerate(["a", "b", "a", "a"]):
            journal.begin_run(f"r{number}", job, START + timedelta(seconds=number))
        assert [run.run_id for run in journal.runs()] == ["r3", "r2", "r1", "r0"]
        assert [run.run_id for run in journal.runs("a", limit=2)] == ["r3", "r2"]
        assert journal.runs("c") == []


def test_a_run_id_is_taken_once(path: Path) -> None:
    with open_journal(path) as journal:
        journal.begin_run("r1", "vip", START)
        with pytest.raises(JournalError):
            journal.begin_run("r1", "vip", START)


@pytest.mark.parametrize("kept", ["journal", "memory"])
def test_batches_remember_how_far_they_got(path: Path, kept: str) -> None:
    with open_journal(path) as journal:
        ledger = journal if kept == "journal" else Unjournaled()
        for operation in ("add", "update", "remove"):
            ledger.intend(f"r1-{operation}-0", "r1", operation, 0, 100)  # type: ignore[arg-type]
        ledger.intend("r2-add-0", "r2", "add", 100, 7)
        ledger.answer("r1-update-0", "pending", receipt="ticket", refused=2)
        ledger.answer("r1-remove-0", "done", refused=1)
        found = {batch.batch_id: batch for batch in ledger.batches("r1")}
        assert [batch.batch_id for batch in ledger.batches("r2")] == ["r2-add-0"]
    add, update, remove = (found[f"r1-{name}-0"] for name in ("add", "update", "remove"))
    assert (add.state, add.receipt, add.refused, add.rows) == ("intended", None, 0, 100)
    assert (update.state, update.receipt, update.refused) == ("pending", "ticket", 2)
    assert (remove.state, remove.operation, remove.refused) == ("done", "remove", 1)


def test_batches_come_in_the_order_in_which_they_left(path: Path) -> None:
    with open_journal(path) as journal:
        for operation, first in [("add", 0), ("add", 5), ("update", 0), ("remove", 0)]:
            batch_id = f"r1-{operation}-{first:09}"
            journal.intend(batch_id, "r1", operation, first, 5)  # type: ignore[arg-type]
        found = [(batch.operation, batch.first_row) for batch in journal.batches("r1")]
    assert found == [("add", 0), ("add", 5), ("update", 0), ("remove", 0)]


@pytest.mark.parametrize("state", ["intended", "pending", "unknown", "not_taken", "done"])
def test_a_run_is_open_until_nothing_of_it_is(path: Path, state: Any) -> None:
    with open_journal(path) as journal:
        journal.begin_run("r1", "vip", START, target="list", folded=False)
        journal.begin_run("r2", "vip", START, target="list")
        journal.intend("r1-add-0", "r1", "add", 0, 5)
        if state != "intended":
            journal.answer("r1-add-0", state)
        assert [run.run_id for run in journal.open_runs("vip", "list")] == ["r1"]
        assert journal.open_runs("vip", "other") == journal.open_runs("other", "list") == []
        journal.mark_folded("r1")
        still = [run.run_id for run in journal.open_runs("vip", "list")]
        (batch,) = journal.batches("r1")
    settled = state in ("not_taken", "done")
    assert still == ([] if settled else ["r1"])
    assert batch.state == ("folded" if state == "done" else state)


def test_a_dead_run_is_marked(path: Path) -> None:
    with open_journal(path) as journal:
        journal.begin_run("r1", "vip", START)
        journal.interrupt("r1")
        found = journal.run("r1")
    assert found
    assert found.status == "interrupted"
    assert found.finished_at


def test_the_audit_is_kept(path: Path) -> None:
    with open_journal(path) as journal:
        journal.audit("show values", "job vip", "jane", "host", rows=3)
    with sqlite3.connect(path) as db:
        (row,) = db.execute("SELECT user, host, action, subject, details FROM audit").fetchall()
    db.close()
    assert row == ("jane", "host", "show values", "job vip", '{"rows": 3}')


def test_only_its_owner_may_read_it(path: Path) -> None:
    before = os.umask(0)
    try:
        with open_journal(path) as journal:
            journal.begin_run("r1", "vip", START)
            modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {0o600}


def test_a_newer_journal_is_refused(path: Path) -> None:
    with open_journal(path):
        pass
    with sqlite3.connect(path) as db:
        db.execute("UPDATE schema SET version = ?", (SCHEMA_VERSION + 1,))
    db.close()
    with pytest.raises(JournalError, match="written by a newer exportkit") as raised:
        opened(path)
    assert "install the newer exportkit" in (raised.value.hint or "")


def test_an_older_journal_is_brought_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_journal(path) as journal:
        journal.begin_run("r1", "vip", START)
    steps = {
        1: lambda ask: ask("ALTER TABLE runs ADD COLUMN mood TEXT DEFAULT 'good'"),
        2: lambda ask: ask("UPDATE runs SET mood = 'better'"),
    }
    monkeypatch.setattr(upgrades, "UPGRADES", steps)
    monkeypatch.setattr(tables, "SCHEMA_VERSION", 3)
    for _ in range(2):
        with open_journal(path) as journal:
            assert [run.run_id for run in journal.runs()] == ["r1"]
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT version FROM schema").fetchall() == [(3,)]
            assert db.execute("SELECT mood FROM runs").fetchall() == [("better",)]


def test_an_upgrade_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(path)
    steps = {
        1: lambda ask: ask("ALTER TABLE runs ADD COLUMN mood TEXT"),
        2: lambda ask: ask("ALTER TABLE nowhere ADD COLUMN mood TEXT"),
    }
    with monkeypatch.context() as later:
        later.setattr(upgrades, "UPGRADES", steps)
        later.setattr(tables, "SCHEMA_VERSION", 3)
        with pytest.raises(JournalError):
            opened(path)
    opened(path)
    with closing(sqlite3.connect(path)) as db:
        assert "mood" not in {row[1] for row in db.execute("PRAGMA table_info(runs)")}


def test_every_version_has_a_step_to_the_next() -> None:
    assert list(upgrades.UPGRADES) == list(range(1, SCHEMA_VERSION))


def test_runs_come_in_their_order_when_the_clock_jumps_back(path: Path) -> None:
    with open_journal(path) as journal:
        for number, days in enumerate([0, 4000, 1]):
            journal.begin_run(f"r{number}", "vip", START + timedelta(days=days))
        assert [run.run_id for run in journal.runs("vip")] == ["r2", "r1", "r0"]


def test_old_runs_are_forgotten_with_their_batches(path: Path) -> None:
    with open_journal(path) as journal:
        for number, (job, folded) in enumerate(
            [("vip", True), ("vip", False), ("other", True), ("vip", True), ("vip", True)]
        ):
            run_id = f"r{number}"
            journal.begin_run(run_id, job, START + timedelta(days=number), folded=folded)
            journal.intend(f"b{number}", run_id, "add", 0, 1)
        journal.forget("vip", START + timedelta(days=4), latest="r3")
        assert journal.folded("vip") == {"r1": False, "r3": True, "r4": True}
        assert journal.folded("other") == {"r2": True}
        assert [len(journal.batches(f"r{number}")) for number in range(5)] == [0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    "content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"x" * 999]
)
def test_a_damaged_journal(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"journal\.sqlite is damaged") as raised:
        opened(path)
    assert "move the file away" in (raised.value.hint or "")
    assert path.read_bytes() == content, "it is left as it is, for whoever can mend it"


def test_a_journal_that_is_damaged_further_on(path: Path) -> None:
    with open_journal(path) as journal:
        for number in range(200):
            journal.begin_run(f"r{number}", "vip", START, facts={"x": "y" * 100})
    content = bytearray(path.read_bytes())
    content[-8 * 4096 :] = b"\xff" * 8 * 4096
    path.write_bytes(content)
    with pytest.raises(JournalError, match="is damaged"), open_journal(path) as journal:
        journal.runs()


def read(path: Path) -> None:
    with open_journal(path) as journal:
        journal.runs()
        journal.batches("r1")
        journal.audited()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE runs SET counts = '{broken'",
        "UPDATE runs SET counts = '{\"strange\": 1}'",
        "UPDATE runs SET started_at = 'yesterday'",
        "UPDATE batches SET intended_at = 7",
        "UPDATE audit SET details = 'none'",
    ],
)
def test_a_row_that_nobody_can_have_written(path: Path, change: str) -> None:
    with open_journal(path) as journal:
        journal.begin_run("r1", "vip", START)
        journal.intend("b1", "r1", "add", 0, 1)
        journal.audit("a", "b", "c", "d")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    with pytest.raises(JournalError, match=r"journal\.sqlite is damaged: a row says") as raised:
        read(path)
    assert "move the file away" in (raised.value.hint or "")


@pytest.mark.parametrize("in_the_way", ["folder", "no folder"])
def test_a_journal_that_cannot_be_made(path: Path, in_the_way: str) -> None:
    if in_the_way == "folder":
        path.mkdir()
    with pytest.raises(JournalError, match="cannot be opened"):
        opened(path if in_the_way == "folder" else path / "deeper")


OPENER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from exportkit.state.journal import open_journal

print("ready", flush=True)
sys.stdin.readline()
with open_journal(Path(sys.argv[1])) as journal:
    for number in range(20):
        journal.begin_run(f"{sys.argv[2]}-{number}", "vip", datetime.now(UTC))
"""


def test_several_processes_may_begin_it_and_write_at_once(path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    for process in processes:
        assert process.stdout
        process.stdout.readline()
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    failures = [process.communicate(timeout=60)[1] for process in processes]
    assert failures == [""] * len(processes)
    with open_journal(path) as journal:
        assert len(journal.runs()) == 6 * 20


def test_a_process_that_dies_while_it_begins_a_journal_leaves_none(path: Path) -> None:
    """At whatever statement it is killed, the next one can work."""
    killed = 0
    for statements in range(1, 60, 2):
        path.unlink(missing_ok=True)
        for rest in path.parent.glob("journal.sqlite-*"):
            rest.unlink()
        done = subprocess.run([sys.executable, "-c", KILLED, str(path), str(statements)])
        killed += done.returncode == -9
        with open_journal(path) as journal:
            journal.begin_run("r1", "vip", START)
            journal.intend("b1", "r1", "add", 0, 1)
            journal.audit("a", "b", "c", "d")
        if done.returncode == 0:
            break
    assert killed > 3
    assert done.returncode == 0


KILLED = """
import os, signal, sys
from pathlib import Path
import sqlite3
from functools import partial
from exportkit.state.journal import open_journal

left = int(sys.argv[2])

class Connection(sqlite3.Connection):
    def execute(self, *asked):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*asked)

sqlite3.connect = partial(sqlite3.connect, factory=Connection)

with open_journal(Path(sys.argv[1])):
    pass
"""


def test_a_file_needs_no_library_for_databases(path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom exportkit.state.journal import open_journal\n"
        "with open_journal(Path(sys.argv[1])) as journal: journal.runs()\n"
        "print('sqlalchemy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_the_audit_is_read_back_the_latest_first(path: Path) -> None:
    with open_journal(path) as journal:
        for number, subject in enumerate(("a", "b", "a")):
            journal.audit("looked", subject, "jane", "host", number=number)
        assert [entry.details["number"] for entry in journal.audited()] == [2, 1, 0]
        assert [entry.details["number"] for entry in journal.audited("a")] == [2, 0]
        assert len(journal.audited(limit=1)) == 1
        (entry,) = journal.audited("b")
    assert (entry.action, entry.user, entry.host) == ("looked", "jane", "host")
    assert datetime.now(UTC) - entry.at < timedelta(minutes=1)
