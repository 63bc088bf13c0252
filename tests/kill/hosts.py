"""Two hosts that share a state in PostgreSQL: each has the workspace, and no file of the other."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from warm import WarmRunner

from exportkit.engines.frames import KEY
from exportkit.engines.parquet import read_batches
from exportkit.state.folder import open_state
from exportkit.state.house import House
from exportkit.state.snapshots import read_snapshot

from .conftest import Trial, make_workspace, write_connection, write_people, write_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exportkit.testing import Runner

NAMES = ("host-a", "host-b")


@dataclass
class Hosts(Trial):
    """A trial whose every run is on the other host than the one before."""

    others: list[Runner] = field(default_factory=list)

    def turn(self) -> Runner:
        """The next host; what this one has on its disk, the next one has not."""
        self.others.append(self.runner)
        self.runner = self.others.pop(0)
        return self.runner

    def people(self, generation: int) -> None:
        for host in (self.runner, *self.others):
            write_people(host.workspace, self.number, generation)

    def arm(self, *faults: dict[str, Any], **options: Any) -> None:
        for host in (self.runner, *self.others):
            write_connection(host.workspace, faults, **{**self.options, **options})

    @contextmanager
    def house(self) -> Iterator[House]:
        """The state that they share, as a third host sees it."""
        folder = self.runner.workspace.parent / "onlooker"
        folder.mkdir(exist_ok=True)
        url = json.loads((self.runner.workspace / "exportkit.yaml").read_text())["state"]
        with House(open_state(folder, url)) as house:
            yield house
        shutil.rmtree(folder)

    def remembered(self) -> dict[str, dict[str, str]]:
        with self.house() as house:
            house.shelf.bring(house.state.snapshots)
            (place,) = (house.state.snapshots / "letter").iterdir()
            snapshot = read_snapshot(place)
            assert snapshot
            files = filter(None, (snapshot.delivered, snapshot.kept))
            reads = (read for path in files for read in read_batches(path))
            found = [row for read in reads for row in read.to_pylist()]
        return {row.pop(KEY): row for row in found}

    def unfinished(self) -> list[str]:
        with self.house() as house:
            runs = house.journal.runs("letter")
            return [run.run_id for run in runs if not run.folded or run.finished_at is None]


def make_hosts(folder: Path, site: Path, state: str, like: Trial, mode: str) -> Hosts:
    """Two workspaces like the trial's, that deliver to one ledger."""
    options = {**like.options, "folder": str(folder / "ledger")}
    runners = []
    for name in NAMES:
        make_workspace(folder / name, mode)
        write_yaml(folder / name / "exportkit.yaml", {"state": state})
        write_connection(folder / name, **options)
        runners.append(WarmRunner(folder / name, site, "letter", options["folder"]))
    first, *others = runners
    return Hosts(first, like.twin, options, like.number, others=others)
