"""The fault destination, installed for this process."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any

import pytest

from exportkit import Batch, Catalogue, Connection, Target
from exportkit.host import load_plugins
from exportkit.testing import install_faults, open_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exportkit.host import Destination
    from exportkit.testing import Ledger

TARGET = "everybody"


class Stand:
    """A fault destination as the host sees it, and its ledger as a test reads it."""

    def __init__(self, folder: Path, destination: Destination) -> None:
        self.folder = folder
        self.destination = destination
        self.target = Target({"list": TARGET}, Catalogue(TARGET), folder)

    def connection(self, *faults: dict[str, Any], **options: Any) -> Connection:
        options = {"folder": "ledger", "faults": list(faults), **options}
        return Connection("stand", "faulty", "The stand", options, self.folder)

    @contextmanager
    def connect(self, *faults: dict[str, Any], **options: Any) -> Iterator[Any]:
        with self.destination.connect(self.connection(*faults, **options)) as session:
            yield session

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        with open_ledger(self.folder / "ledger") as ledger:
            yield ledger

    def taken(self) -> list[str]:
        """The keys that were taken, as often as they were."""
        with self.ledger() as ledger:
            return [row.key for row in ledger.rows()]

    def calls(self, hook: str) -> int:
        with self.ledger() as ledger:
            return len(ledger.calls(hook))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Install a fault destination made with these arguments, and load it."""
    folder = tmp_path / "site"

    def installed(**arguments: Any) -> Stand:
        install_faults(folder, **arguments)
        monkeypatch.syspath_prepend(str(folder))
        found = [each for dist in distributions(path=[str(folder)]) for each in dist.entry_points]
        host = load_plugins(found)
        assert host.broken == ()
        return Stand(tmp_path, host.destination("faulty"))

    yield installed
    sys.modules.pop("exportkit_faulty", None)


@pytest.fixture
def stand(install: Any) -> Stand:
    return install()


def make_batch(*people: str, number: int = 0, operation: Any = "add") -> Batch:
    import pyarrow as pa

    emails = pa.array([f"{person}@example.com" for person in people], pa.string())
    data = pa.record_batch([emails], names=["email"])
    return Batch(f"run-{operation}-{number:09d}", "run", operation, data, emails)
