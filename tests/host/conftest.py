"""Plugins that are really installed: a module and its metadata in a folder of their own."""

from __future__ import annotations

import importlib
import sys
import textwrap
from importlib.metadata import EntryPoint, distributions
from typing import TYPE_CHECKING

import pytest

from exportkit import Batch, Catalogue, Connection, Target
from exportkit.host import Host, load_plugins

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SOUND = """
    from contextlib import contextmanager
    from exportkit import *

    @hookimpl
    def describe_destination():
        return Description("Paper mill")

    @hookimpl
    @contextmanager
    def connect(connection):
        yield {"seen": []}

    @hookimpl
    def push(session, batch):
        session["seen"].append(batch.id)
        return Delivery()
"""


class Site:
    """A folder on `sys.path` to install plugins into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: list[str] = []

    def install(
        self,
        source: str,
        *,
        name: str = "mill",
        module: str = "exportkit_mill",
        distribution: str | None = None,
        version: str = "1.2.3",
        target: str | None = None,
        requires: Iterable[str] = (),
        record: str | None = None,
    ) -> None:
        """Install one module as one distribution with one entry point.

        `record` is the digest that an installer notes of the module.
        """
        distribution = distribution or f"exportkit-{name}"
        (self.folder / f"{module}.py").write_text(textwrap.dedent(source))
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "entry_points.txt").write_text(f"[exportkit]\n{name} = {target or module}\n")
        if record is not None:
            (info / "RECORD").write_text(f"{module}.py,{record},\n")
        self.modules.append(module)
        importlib.invalidate_caches()

    def entry_points(self) -> list[EntryPoint]:
        found = distributions(path=[str(self.folder)])
        return [each for dist in found for each in dist.entry_points if each.group == "exportkit"]

    def load(self) -> Host:
        return load_plugins(self.entry_points())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    site = Site(folder)
    yield site
    for module in site.modules:
        sys.modules.pop(module, None)


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    return Connection("mill", "mill", "The mill", {"account": "a"}, tmp_path)


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target({}, Catalogue("mill"), tmp_path)


@pytest.fixture
def batch() -> Batch:
    return make_batch("ann@example.com", "bob@example.com")


def make_batch(*keys: str) -> Batch:
    import pyarrow as pa

    emails = pa.array(keys, pa.string())
    return Batch("run-1", "run", "add", pa.record_batch([emails], names=["email"]), emails)
