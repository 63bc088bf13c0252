"""A workspace whose jobs are run, to CSV files and to a list that keeps a ledger."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass, field
from importlib.metadata import distributions, entry_points
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from exportkit.config.workspace import open_workspace
from exportkit.host.loader import load_plugins
from exportkit.pipeline.handover import Allowed
from exportkit.pipeline.prepare import prepare
from exportkit.pipeline.rejections import rejected_rows
from exportkit.pipeline.run import plan_job, run_job
from exportkit.pipeline.work import Orders, Planned
from exportkit.records import Counts, Limits, Run
from exportkit.state.folder import StateFolder, open_state
from exportkit.state.house import House
from exportkit.testing import Call, install_faults, open_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from exportkit.host.loader import Host

FAULTY = "faulty"
BUCKETS = (
    "rejected",
    "duplicates",
    "suppressed",
    "unchanged",
    "added",
    "updated",
    "refused",
    "unsettled",
)


@dataclass
class Onlooker:
    """Looks on, remembers the stages and says nothing."""

    stages: list[str] = field(default_factory=list)

    def stage(self, name: str, detail: str = "") -> None:
        self.stages.append(name)

    def sending(self, rows: int) -> None: ...
    def sent(self, rows: int) -> None: ...


@dataclass
class Shop:
    """A workspace with the source `people`, the job `vip`, and somebody who runs it."""

    root: Path
    host: Host
    job: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    last: Run | None = None
    watch: Onlooker = field(default_factory=Onlooker)

    def people(self, *rows: str, header: str = "id,email,name,city") -> None:
        text = "\n".join([header, *rows])
        (self.root / "people.csv").write_text(text + "\n", encoding="utf-8")

    def set(self, **keys: Any) -> None:
        """Change the job."""
        self.job.update(keys)

    def list(self, *, consent: bool = True, **options: Any) -> None:
        """Deliver to the list from now on, under these options of its connection."""
        connection: dict[str, Any] = {
            "name": "list",
            "type": FAULTY,
            "options": {"folder": "ledger", **options},
        }
        if consent:
            connection["consent"] = {"agreed_by": "jane@example.com", "agreed_on": "2026-01-01"}
        self.write("connections/list.yaml", connection)
        self.set(connection="list", destination={})

    def write(self, name: str, content: dict[str, Any]) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        text = yaml.safe_dump({"version": 1, **content}, sort_keys=False, allow_unicode=True)
        path.write_text(text, encoding="utf-8")

    def _open(self) -> Any:
        self.write(f"jobs/{self.job['name']}.yaml", self.job)
        self.write("sources/people.yaml", self.source)
        workspace = open_workspace(self.root)
        return prepare(workspace, self.host, workspace.job(self.job["name"]))

    def run(
        self, *, allow: Sequence[str] = (), watch: Onlooker | None = None, **orders: Any
    ) -> Run:
        """Run the job; checks what holds for every run, however it ended."""
        prepared = self._open()
        self.watch = watch or Onlooker()
        allowed = Allowed(**dict.fromkeys(allow, True))
        with self.house() as house:
            run = run_job(prepared, house, Orders(allowed=allowed, **orders), self.watch)
            journaled = house.journal.run(run.run_id)
        assert journaled
        assert journaled.run == run
        self.last = run
        counts = run.counts.as_dict()
        assert sum(counts[name] for name in BUCKETS) == counts["selected"], counts
        return run

    def counts(self, **how: Any) -> Counts:
        """The counts of a run that is not to fail."""
        run = self.run(**how)
        assert run.error is None, run.error
        return run.counts

    def plan(self) -> Planned:
        prepared = self._open()
        with self.house() as house:
            return plan_job(prepared, house, Orders(planning=True), self.watch)

    def house(self) -> House:
        return House(open_state(self.root, ".exportkit"))

    @property
    def state(self) -> StateFolder:
        return StateFolder(self.root / ".exportkit")

    @property
    def out(self) -> list[dict[str, str]]:
        """The rows of the CSV file."""
        text = (self.root / "out" / "vip.csv").read_text(encoding="utf-8")
        return list(csv.DictReader(text.splitlines(keepends=True)))

    @property
    def members(self) -> dict[str, dict[str, str | None]]:
        """Who is on the list, by key."""
        with open_ledger(self.root / "ledger") as ledger:
            return ledger.members("everybody")

    def calls(self, hook: str, after: int = 0) -> list[Call]:
        with open_ledger(self.root / "ledger") as ledger:
            return ledger.calls(hook, after)

    def rejected(self) -> list[dict[str, Any]]:
        """The rows that the last run did not deliver."""
        assert self.last
        return list(rejected_rows(self.state.run(self.last.run_id)))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the plugin of the list is installed: once of this machine, once of a third party."""
    folder = tmp_path_factory.mktemp("site")
    install_faults(folder, FAULTY, limits=Limits(batch_rows=3))
    install_faults(folder, "abroad", third_party=True)
    return folder


@pytest.fixture
def shop(tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.syspath_prepend(str(site))
    found = [
        each
        for distribution in distributions(path=[str(site)])
        for each in distribution.entry_points
    ]
    ours = entry_points(group="exportkit", name="csv")
    shop = Shop(tmp_path, load_plugins([*ours, *found]))
    assert not shop.host.broken
    shop.write("exportkit.yaml", {})
    shop.write("connections/files.yaml", {"name": "files", "type": "csv"})
    shop.source = {
        "name": "people",
        "file": "people.csv",
        "key": "id",
        "segments": {"all": {}, "athens": {"where": "city = 'Athens'"}},
    }
    shop.job = {
        "name": "vip",
        "source": "people",
        "segments": ["all"],
        "connection": "files",
        "destination": {"path": "out/vip.csv"},
        "map": {"email": "email", "name": "name"},
        "key": "email",
    }
    shop.people("1,ann@example.com,Ann,Athens", "2,bob@example.com,Bob,Bonn", "3,c@x.org,Cid,Cork")
    yield shop
    for module in ("exportkit_faulty", "exportkit_abroad"):
        sys.modules.pop(module, None)
