"""A state in PostgreSQL, as two hosts see it that have nothing else in common."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from exportkit import Counts, Run
from exportkit.errors import BusyError, ConfigError, JournalError, QuotaSpentError
from exportkit.records import Limits
from exportkit.state import tables, upgrades
from exportkit.state.calls import counted_calls, user_of
from exportkit.state.folder import open_state, state_folder
from exportkit.state.house import House
from exportkit.state.postgresql import Database
from exportkit.state.shared import PIECE, DatabaseShelf
from exportkit.state.sharedtables import IN_ORDER
from exportkit.state.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests import postgresql as fixtures

    Server = fixtures.Database

NOW = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)

HOLDER = """
import sys
from pathlib import Path
from exportkit.state.folder import open_state

state = open_state(Path(sys.argv[1]), sys.argv[2])
with state.shelf.held(state.locks / "vip.lock", "job 'vip'"):
    print("held", flush=True)
    sys.stdin.read()
"""
OPENER = """
import sys
from pathlib import Path
from exportkit.state.folder import open_state
from exportkit.state.house import House

with House(open_state(Path(sys.argv[1]), sys.argv[2])) as house:
    house.journal.audit("tried", "it", "somebody", "somewhere")
"""


def url_of(server: Server) -> str:
    """Without the password, as a workspace names it."""
    return f"postgresql://exportkit@127.0.0.1:{server.server.port}/{server.name}"


@pytest.fixture
def url(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PGPASSWORD", postgresql.server.password)
    return url_of(postgresql)


@pytest.fixture
def hosts(url: str, tmp_path: Path) -> Iterator[tuple[House, House]]:
    with ExitStack() as opened:
        folders = (tmp_path / "a", tmp_path / "b")
        yield tuple(opened.enter_context(House(open_state(each, url))) for each in folders)


def begin(house: House, run_id: str = "r1", job: str = "vip", target: str = "t") -> None:
    house.journal.begin_run(run_id, job, NOW, target=target, folded=False)


def test_what_one_writes_into_the_journal_the_other_reads(hosts: tuple[House, House]) -> None:
    here, there = hosts
    begin(here)
    here.journal.intend("r1-add-0", "r1", "add", 0, 10)
    here.journal.answer("r1-add-0", "pending", receipt="no. 5", refused=2)
    (batch,) = there.journal.batches("r1")
    assert (batch.rows, batch.state, batch.receipt, batch.refused) == (10, "pending", "no. 5", 2)
    assert [run.run_id for run in there.journal.open_runs("vip", "t")] == ["r1"]
    there.journal.answer("r1-add-0", "done")
    there.journal.mark_folded("r1")
    assert here.journal.open_runs("vip", "t") == []
    assert here.journal.folded("vip") == {"r1": True}
    assert here.journal.dead_runs("vip") == ["r1"]
    there.journal.end_run(Run("r1", "vip", "succeeded", NOW, NOW, Counts(selected=10, added=10)))
    assert here.journal.dead_runs("vip") == []
    here.journal.audit("run", "vip", "jane", "host-a", run_id="r1")
    assert [entry.details for entry in there.journal.audited("vip")] == [{"run_id": "r1"}]


def test_runs_come_as_they_were_written_down_whatever_the_clocks_say(
    hosts: tuple[House, House],
) -> None:
    here, there = hosts
    for number, hours in enumerate((5, 0, 3)):
        house = hosts[number % 2]
        house.journal.begin_run(f"r{number}", "vip", NOW - timedelta(hours=hours))
    assert [run.run_id for run in here.journal.runs("vip")] == ["r2", "r1", "r0"]
    here.journal.note_run("r0", counts=Counts().as_dict())
    assert [run.run_id for run in there.journal.runs("vip")] == ["r2", "r1", "r0"]
    here.journal.forget("vip", NOW - timedelta(hours=1), "r1")
    assert {run.run_id for run in there.journal.runs()} == {"r1"}


def test_the_age_of_a_batch_is_told_by_the_databases_clock(
    hosts: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = hosts
    monkeypatch.setattr(there.state.database, "skew", lambda: timedelta(hours=-30))  # it is ahead
    begin(here)
    here.journal.intend("r1-add-0", "r1", "add", 0, 10)
    (batch,) = there.journal.batches("r1")
    ahead = datetime.fromisoformat(batch.intended_at) - datetime.now(UTC)
    assert timedelta(hours=29.9) < ahead < timedelta(hours=30.1)


@pytest.fixture
def holder(url: str, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of the job `vip` until its stdin is closed."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "elsewhere"), url]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_is_free_as_soon_as_its_process_is_killed(
    hosts: tuple[House, House], holder: subprocess.Popen[str]
) -> None:
    here, there = hosts
    running = here.runner("vip")
    assert running
    assert running["pid"] == holder.pid
    with (
        pytest.raises(BusyError, match=f"is running since 20.* as pid {holder.pid} on "),
        here.lock("vip"),
    ):
        pytest.fail("two hold the lock")
    assert here.runner("news") is None
    holder.kill()
    holder.wait()
    with there.lock("vip"):
        running = here.runner("vip")
        assert running
        assert running["pid"] == os.getpid()
    assert here.runner("vip") is None


def test_one_process_does_not_take_a_lock_twice(hosts: tuple[House, House]) -> None:
    here, there = hosts
    with here.lock("vip"), here.lock("news"):
        with pytest.raises(BusyError, match="job 'vip' is running"), here.lock("vip"):
            pytest.fail("the same lock twice")
        assert here.runner("vip")
        with pytest.raises(BusyError), there.lock("news"):
            pytest.fail("two hold the lock")
    with there.lock("vip"), there.lock("news"):
        pass


def test_two_workspaces_in_one_database_do_not_meet(url: str, tmp_path: Path) -> None:
    with (
        House(open_state(tmp_path / "a", url)) as here,
        House(open_state(tmp_path / "b", f"{url}?schema=second")) as other,
        here.lock("vip"),
        other.lock("vip"),
    ):
        begin(here)
        assert other.journal.runs() == []


def end_sessions(server: Server) -> None:
    server.run("SELECT pg_terminate_backend(session) FROM exportkit.holders")
    time.sleep(0.1)


def test_nothing_is_written_of_a_batch_once_the_session_is_gone(
    hosts: tuple[House, House], postgresql: Server
) -> None:
    here, there = hosts
    with here.lock("vip"):
        begin(here)
        here.journal.intend("r1-add-0", "r1", "add", 0, 10)
        end_sessions(postgresql)
        for _ in range(2):  # nor is the session silently replaced
            with pytest.raises(JournalError, match="session that held the lock") as raised:
                here.journal.intend("r1-add-1", "r1", "add", 10, 10)
        assert "run the job again" in (raised.value.hint or "")
        with pytest.raises(JournalError, match="another runner may have taken over"):
            here.shelf.still_held()
        with pytest.raises(JournalError):
            here.journal.answer("r1-add-0", "done")
    assert [batch.state for batch in there.journal.batches("r1")] == ["intended"]
    with here.lock("vip"):  # it can be had again
        here.journal.answer("r1-add-0", "done")


def test_who_believes_to_hold_a_lock_that_another_took_writes_nothing(
    hosts: tuple[House, House], postgresql: Server
) -> None:
    """Something between us and the server may have given the session to somebody else."""
    here, there = hosts
    with here.lock("vip"):
        begin(here)
        postgresql.run("UPDATE exportkit.holders SET token = 'of somebody else'")
        with pytest.raises(JournalError, match="session that held the lock"):
            here.journal.intend("r1-add-0", "r1", "add", 0, 10)
        path = here.state.snapshot("vip", "t") / "snapshot.json"
        write(path, b"{}")
        with pytest.raises(JournalError, match="session that held the lock"):
            here.shelf.share(path.parent, fenced=True)
    assert there.journal.batches("r1") == []
    assert there.shelf.files(there.state.snapshots) == {}


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def moved(path: Path, here: House, there: House) -> Path:
    """The same place at the other host."""
    return there.state.root / path.relative_to(here.state.root)


def test_files_of_any_size_arrive_as_they_are(hosts: tuple[House, House]) -> None:
    here, there = hosts
    folder = here.state.run("r1") / "changes"
    sizes = (0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7)
    contents = {write(folder / f"{size}.parquet", os.urandom(size)): size for size in sizes}
    write(folder / ".x.parquet.12345678.draft", b"in the making")
    here.shelf.share(folder)
    assert there.shelf.files(there.state.runs) == {
        moved(path, here, there): size for path, size in contents.items()
    }
    there.shelf.bring(there.state.run("r1"))
    for path in contents:
        copy = moved(path, here, there)
        assert copy.read_bytes() == path.read_bytes()
        assert copy.stat().st_mode & 0o777 == 0o600
        assert copy.parent.stat().st_mode & 0o777 == 0o700
    assert there.state.size() == sum(sizes)


def test_a_file_is_replaced_and_taken_away_for_all(
    hosts: tuple[House, House], postgresql: Server
) -> None:
    here, there = hosts
    mine = write(here.state.schedules / "vip.json", b"one")
    theirs = moved(mine, here, there)
    here.shelf.share(mine)
    there.shelf.bring(theirs)
    mine.write_bytes(b"two, longer")
    here.shelf.share(mine)
    there.shelf.bring(theirs)
    assert theirs.read_bytes() == b"two, longer"
    theirs.unlink()
    there.shelf.share(theirs)
    here.shelf.bring(mine)
    assert not mine.exists()
    assert postgresql.run("SELECT count(*) FROM exportkit.pieces") == "0", "nothing is left of it"


def test_a_folder_is_shared_whole_and_only_files_of_a_name_are_brought(
    hosts: tuple[House, House],
) -> None:
    here, there = hosts
    place = here.state.snapshot("vip", "t")
    for name in ("snapshot.json", "delivered-1.parquet"):
        write(place / name, b"1")
    here.shelf.share(place)
    there.shelf.bring(there.state.snapshots, named="snapshot.json")
    assert [path.name for path in moved(place, here, there).iterdir()] == ["snapshot.json"]
    (place / "delivered-1.parquet").unlink()
    write(place / "delivered-2.parquet", b"2")
    here.shelf.share(place)
    names = {path.name for path in there.shelf.files(there.state.snapshots)}
    assert names == {"snapshot.json", "delivered-2.parquet"}


def test_who_reads_while_it_is_replaced_has_the_old_or_the_new(
    hosts: tuple[House, House],
) -> None:
    here, there = hosts
    mine = write(here.state.run("r1") / "accepted.parquet", b"0" * PIECE * 2)
    here.shelf.share(mine)
    stop = threading.Event()

    def replace() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            mine.write_bytes(str(number % 10).encode() * PIECE * 2)
            here.shelf.share(mine)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(20):
            theirs = moved(mine, here, there)
            there.shelf.bring(theirs)
            assert len(set(theirs.read_bytes())) == 1
    finally:
        stop.set()
        thread.join()


def test_damage_is_found_and_a_name_that_leads_out_is_refused(
    hosts: tuple[House, House], postgresql: Server
) -> None:
    here, there = hosts
    mine = write(here.state.run("r1") / "accepted.parquet", b"content")
    here.shelf.share(mine)
    postgresql.run("UPDATE exportkit.files SET sha256 = 'x'")
    with pytest.raises(JournalError, match=r"runs/r1/accepted\.parquet in .* is damaged"):
        there.shelf.bring(there.state.run("r1"))
    assert not moved(mine, here, there).exists()
    for damage in (
        "UPDATE exportkit.pieces SET packed = 'garbage'",
        "DELETE FROM exportkit.pieces",
    ):
        here.shelf.share(write(mine, os.urandom(10)))
        postgresql.run(damage)
        with pytest.raises(JournalError, match="is damaged"):
            there.shelf.bring(there.state.run("r1"))
    postgresql.run("UPDATE exportkit.files SET path = 'runs/r1/../../../../x'")
    with pytest.raises(JournalError, match="names a file outside"):
        there.shelf.bring(there.state.run("r1"))


def test_the_workbench_goes_with_its_process(url: str, tmp_path: Path) -> None:
    state = state_folder(tmp_path, url)
    assert not (tmp_path / ".exportkit").exists(), "until something is opened"
    with House(open_state(tmp_path, url)) as house:
        write(house.state.run("r1") / "accepted.parquet", b"personal")
        assert house.state.root.stat().st_mode & 0o777 == 0o700
        assert house.state.root == state.root
    assert list((tmp_path / ".exportkit" / "runners").iterdir()) == []
    assert state.home == tmp_path / ".exportkit"
    assert state.shown == f"{url} (schema exportkit)"


def test_many_make_the_tables_at_once(url: str, tmp_path: Path, postgresql: Server) -> None:
    command = [sys.executable, "-c", OPENER, str(tmp_path), url]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    assert postgresql.run("SELECT count(*) FROM exportkit.audit") == "4"
    assert postgresql.run("SELECT version FROM exportkit.schema") == str(tables.SCHEMA_VERSION)


def test_who_waited_while_another_made_the_tables_sees_them(url: str) -> None:
    """A transaction that began before they were there, and had looked already."""
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    databases, failed = [Database(url) for _ in range(3)], []

    def make(database: Database) -> None:
        try:
            _ = database.engine
        except JournalError as error:
            failed.append(error)

    first = psycopg.connect(url)
    first.execute("CREATE SCHEMA exportkit")
    first.commit()
    first.execute("SELECT pg_advisory_xact_lock(%s)", [IN_ORDER])
    threads = [threading.Thread(target=make, args=[database]) for database in databases]
    for thread in threads:
        thread.start()
    while len(first.execute(waiting).fetchall()) < len(threads):
        time.sleep(0.01)
    first.close()
    for thread, database in zip(threads, databases, strict=True):
        thread.join()
        database.close()
    assert failed == []


def test_an_older_journal_is_upgraded_and_a_newer_one_left_alone(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql: Server
) -> None:
    with House(open_state(tmp_path, url)) as house:
        begin(house)
    newest = tables.SCHEMA_VERSION
    monkeypatch.setattr(tables, "SCHEMA_VERSION", newest + 1)

    step = "ALTER TABLE runs ADD COLUMN extra varchar"
    monkeypatch.setitem(upgrades.UPGRADES, newest, lambda ask: ask(step))
    with House(open_state(tmp_path, url)) as house:
        assert [run.run_id for run in house.journal.runs()] == ["r1"]
    assert postgresql.run("SELECT extra FROM exportkit.runs") == ""
    monkeypatch.setattr(tables, "SCHEMA_VERSION", newest)
    with (
        House(open_state(tmp_path, url)) as house,
        pytest.raises(JournalError, match="written by a newer exportkit"),
    ):
        _ = house.journal


LIMITS = Limits(calls_per_second=4, calls_per_day=6)


def test_calls_are_counted_and_paced_over_all_hosts(
    hosts: tuple[House, House], tmp_path: Path
) -> None:
    here, there = hosts
    counters = []
    for house in hosts:
        user = user_of(tmp_path, "marketing", house.state)
        counters.append(counted_calls(LIMITS, user, house.state)("the key"))
    begun = time.monotonic()
    for number in range(6):
        counters[number % 2].take()
    assert time.monotonic() - begun > 1, "four of them in a second, whoever makes them"
    assert [counter.left() for counter in counters] == [0, 0]
    with pytest.raises(QuotaSpentError, match="used up") as raised:
        counters[0].take()
    assert "delete the row" in (raised.value.hint or "")
    (usage,) = usage_of(tmp_path, there.state)
    assert (usage.connections, sum(usage.days.values())) == (("marketing",), 6)
    other = counted_calls(LIMITS, "", here.state)("another key")
    other.spent()
    assert counted_calls(LIMITS, "", there.state)("another key").left() == 0


def refusal(tmp_path: Path, url: str) -> Any:
    with House(open_state(tmp_path, url)) as house, pytest.raises(JournalError) as raised:
        _ = house.journal
    return raised.value


def test_what_keeps_it_from_working_is_said(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql: Server
) -> None:
    nobody = refusal(tmp_path, url.replace(postgresql.name, "nowhere"))
    assert 'database "nowhere" does not exist' in nobody.message
    assert "PGPASSWORD" in nobody.hint
    away = refusal(tmp_path, "postgresql://exportkit@127.0.0.1:1/state?connect_timeout=2")
    assert "127.0.0.1" in away.message
    odd = refusal(tmp_path, f"{url}?colour=green")
    assert "colour" in odd.message
    guest = f"guest_{postgresql.name}"
    postgresql.run(f"CREATE ROLE {guest} LOGIN PASSWORD 'guest'")
    monkeypatch.setenv("PGPASSWORD", "guest")
    denied = refusal(tmp_path, url.replace("exportkit@", f"{guest}@"))
    assert "permission denied" in denied.message
    assert "docs/runners.md" in denied.hint
    monkeypatch.setenv("PGPASSWORD", "wrong-password")
    wrong = refusal(tmp_path, url)
    monkeypatch.setenv("PGPASSWORD", postgresql.server.password)
    with House(open_state(tmp_path, url)) as house:
        _ = house.journal
    postgresql.run("DROP TABLE exportkit.runs CASCADE")
    with House(open_state(tmp_path, url)) as house, pytest.raises(JournalError) as gone:
        house.journal.runs()
    assert "restore them" in (gone.value.hint or "")
    assert "password authentication failed" in wrong.message
    assert "wrong-password" not in str(wrong)


@pytest.mark.parametrize("missing", ["psycopg", "sqlalchemy"])
def test_without_the_driver_it_says_which_extra_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    for module in [name for name in sys.modules if name.startswith("exportkit.state.")]:
        monkeypatch.delitem(sys.modules, module)  # what is imported stays so
    with pytest.raises(ConfigError, match=rf"{missing}.*exportkit\[postgresql-state\]"):
        open_state(tmp_path, "postgresql://db/state")


def test_intents_are_durable_whatever_the_role_says(url: str, postgresql: Server) -> None:
    postgresql.run("ALTER ROLE exportkit SET synchronous_commit = 'off'")
    try:
        database = Database(url)
        with database.session() as session:
            settings = {
                name: session.exec_driver_sql(f"SHOW {name}").scalar()
                for name in ("synchronous_commit", "tcp_keepalives_idle", "search_path")
            }
        database.close()
    finally:
        postgresql.run("ALTER ROLE exportkit RESET synchronous_commit")
    assert settings == {
        "synchronous_commit": "on",
        "tcp_keepalives_idle": "10",
        "search_path": "exportkit",
    }


def test_a_workspace_that_cannot_be_written_to_says_what_the_folder_is_for(
    url: str, tmp_path: Path
) -> None:
    (tmp_path / ".exportkit").write_text("")
    with pytest.raises(JournalError, match="cannot be written") as raised:
        open_state(tmp_path, url)
    assert "the state is in the database" in (raised.value.hint or "")


def test_nothing_is_open_before_it_is_used(tmp_path: Path) -> None:
    shelf = DatabaseShelf("postgresql://nobody@127.0.0.1:1/nothing", tmp_path / ".exportkit")
    shelf.close()
    assert not (tmp_path / ".exportkit").exists()
