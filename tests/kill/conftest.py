"""A workspace whose destination writes down all that it takes, and whose people change."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from warm import WarmRunner

from exportkit import Limits
from exportkit.engines.frames import KEY
from exportkit.engines.parquet import read_batches
from exportkit.state.journal import open_journal
from exportkit.state.snapshots import read_snapshot
from exportkit.testing import Difference, Ended, Instant, Runner, compare, in_doubt, install_faults

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BATCH = 100


def write_people(workspace: Path, number: int, generation: int) -> None:
    """The source of a generation: 15 of 100 are gone since the last, 25 changed, 15 new."""
    first, changed = generation * number * 15 // 100, number * 25 // 100
    rows = ["email,name"]
    for person in range(first, first + number):
        version = generation if person < first + changed else 0
        rows.append(f"p{person:06d}@example.com,Name {person} of {version}")
    (workspace / "people.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def make_workspace(folder: Path, mode: str) -> None:
    """A workspace with one job, `letter`; its connection is still to be written."""
    source = {"name": "people", "file": "people.csv", "key": "email", "segments": {"everyone": {}}}
    job = {
        "name": "letter",
        "source": "people",
        "segments": ["everyone"],
        "connection": "stand",
        "map": {"email": "email", "name": "name"},
        "key": "email",
        "mode": mode,
    }
    write_yaml(folder / "exportkit.yaml", {})
    write_yaml(folder / "sources" / "people.yaml", source)
    write_yaml(folder / "jobs" / "letter.yaml", job)


def write_connection(
    folder: Path, faults: Sequence[dict[str, Any]] = (), /, **options: Any
) -> None:
    """The connection to the fault destination, whose ledger is in the workspace."""
    options = {"folder": "ledger", "faults": list(faults), **options}
    connection = {"name": "stand", "type": "faulty", "options": options}
    write_yaml(folder / "connections" / "stand.yaml", connection)


def write_yaml(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 1, **content}), encoding="utf-8")  # JSON is YAML


def undisturbed(runner: Runner) -> dict[str, Any]:
    """A run that must succeed; answers its counts."""
    ended = runner.run()
    assert ended.code == 0, f"{ended.stdout}\n{ended.stderr}"
    counts: dict[str, Any] = ended.run["counts"]
    return counts


@dataclass
class Trial:
    """A workspace that is disturbed, and a twin to which nothing happened."""

    runner: Runner
    twin: Runner
    options: dict[str, Any]
    number: int
    killed: list[int] = field(default_factory=list)

    def people(self, generation: int) -> None:
        write_people(self.runner.workspace, self.number, generation)

    def arm(self, *faults: dict[str, Any], **options: Any) -> None:
        """Rules of the destination from now on."""
        write_connection(self.runner.workspace, faults, **{**self.options, **options})

    def kill(self, instant: Instant) -> bool:
        """Was the run killed at the instant, before it could end?"""
        return self.was_killed(self.runner.run_and_kill(instant))

    def dies(self) -> None:
        """A run that must be killed by a rule."""
        ended = self.runner.run()
        assert self.was_killed(ended), f"{ended.stdout}\n{ended.stderr}"

    def difference(self) -> Difference:
        with self.runner.ledger() as disturbed, self.twin.ledger() as twin:
            return compare(disturbed, twin)

    def remembered(self) -> dict[str, dict[str, str]]:
        """Whom the snapshot holds, by key, with the values that were last confirmed."""
        (place,) = (self.runner.workspace / ".exportkit" / "snapshots" / "letter").iterdir()
        snapshot = read_snapshot(place)
        assert snapshot
        files = filter(None, (snapshot.delivered, snapshot.kept))
        reads = (read for path in files for read in read_batches(path))
        rows = [row for read in reads for row in read.to_pylist()]
        return {row.pop(KEY): row for row in rows}

    def members(self) -> dict[str, Any]:
        """Whom the destination holds, by key, with the values that it was last given."""
        with self.runner.ledger() as ledger:
            return ledger.members("everybody")

    def unfinished(self) -> list[str]:
        """The runs of which the journal does not know the end, or not what was delivered."""
        with open_journal(self.runner.workspace / ".exportkit" / "journal.sqlite") as journal:
            (place,) = (self.runner.workspace / ".exportkit" / "snapshots" / "letter").iterdir()
            still = journal.open_runs("letter", place.name)
            endless = [run for run in journal.runs("letter") if run.finished_at is None]
        return [run.run_id for run in (*still, *endless)]

    def doubtful(self) -> set[str]:
        """The keys that were taken in the last batches of the killed runs."""
        with self.runner.ledger() as ledger:
            return {row.key for row in in_doubt(ledger, self.killed)}

    def was_killed(self, ended: Ended) -> bool:
        """Did this run, begun for the trial, end by SIGKILL? Remembers it if so."""
        if ended.code == -signal.SIGKILL:
            self.killed.append(ended.pid)
        return ended.code == -signal.SIGKILL


def settled(trial: Trial, how: str = "") -> None:
    """After all of it the snapshot holds what the destination holds, and no run is open."""
    assert trial.remembered() == trial.members(), how
    assert trial.unfinished() == [], how


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The folder of a fault destination without some hooks; one for each kind."""

    @cache
    def site(*without: str) -> Path:
        folder = tmp_path_factory.mktemp("site")
        install_faults(folder, without=without, limits=Limits(batch_rows=BATCH))
        return folder

    return site


@pytest.fixture(scope="session")
def twins(
    tmp_path_factory: pytest.TempPathFactory, sites: Callable[..., Path]
) -> Callable[..., Runner]:
    """Workspaces where a job went through generations undisturbed; one of each kind."""

    @cache
    def twin(
        mode: str, number: int, generations: int, receipts: bool, refuse: tuple[str, ...]
    ) -> Runner:
        folder = tmp_path_factory.mktemp("twin") / "workspace"
        make_workspace(folder, mode)
        write_connection(folder, receipts=receipts, refuse=list(refuse))
        runner = WarmRunner(folder, sites(), "letter")
        for generation in range(generations):
            write_people(folder, number, generation)
            undisturbed(runner)
        return runner

    return twin


MakeTrial = Callable[..., Trial]


@pytest.fixture
def trial(tmp_path: Path, sites: Callable[..., Path], twins: Callable[..., Runner]) -> MakeTrial:
    """A workspace to disturb: new, or `begun` with the first generation already delivered."""

    def make(
        mode: str,
        number: int,
        *,
        without: Sequence[str] = (),
        begun: bool = False,
        receipts: bool = False,
        refuse: Sequence[str] = (),
    ) -> Trial:
        folder, options = tmp_path / "workspace", {"receipts": receipts, "refuse": list(refuse)}
        if begun:
            twins(mode, number, 1, receipts, tuple(refuse)).twin(folder)
            write_people(folder, number, 1)
        else:
            make_workspace(folder, mode)
        write_connection(folder, **options)
        runner = WarmRunner(folder, sites(*without), "letter")
        return Trial(runner, twins(mode, number, 2, False, tuple(refuse)), options, number)

    return make
