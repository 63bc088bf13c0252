"""A destination that is installed as it was is not imported before somebody asks for it."""

from __future__ import annotations

import sys
import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from exportkit import Counts, PluginError, Run
from exportkit.host import Host, load_plugins

from .conftest import SOUND, Site

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUN = Run("r1", "vip", "succeeded", datetime.now(UTC), datetime.now(UTC), Counts())
LISTENS = """
    @hookimpl
    def run_finished(run):
        print("heard of", run.job)
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "exportkit" / "plugins.json"


@pytest.fixture
def again(site: Site, cache: Path) -> Callable[[], tuple[Host, int]]:
    """Loads as a new process does; answers the host, and how often mill has been imported."""

    def load() -> tuple[Host, int]:
        sys.modules.pop("exportkit_mill", None)
        return load_plugins(), imports(site)

    return load


def imports(site: Site) -> int:
    log = site.folder / "imports"
    return len(log.read_text()) if log.exists() else 0


def noted(site: Site, source: str = SOUND) -> str:
    """A module that notes that it is imported."""
    log = str(site.folder / "imports")
    return f"with open({log!r}, 'a') as log: log.write('i')\n{textwrap.dedent(source)}"


def test_it_is_imported_when_it_is_asked_for(
    site: Site, again: Callable[[], tuple[Host, int]]
) -> None:
    site.install(noted(site), record="sha256=1")
    assert again()[1] == 1
    host, count = again()
    assert count == 1
    assert "mill" in host.destinations
    (mill,) = [plugin for plugin in host.plugins if plugin.name == "mill"]
    assert mill.hooks == ("describe_destination", "connect", "push")
    assert host.destination("csv").type == "csv"
    assert imports(site) == 1
    assert host.destination("mill").describe().title == "Paper mill"
    assert host.destination("mill").type == "mill"
    assert imports(site) == 2
    sys.modules.pop("exportkit_mill")
    load_plugins(everything=True)
    assert imports(site) == 3


CHANGES: dict[str, Callable[[Path], object]] = {
    "another version of a file": lambda info: (info / "RECORD").write_text("a.py,sha256=2,\n"),
    "no record": lambda info: (info / "RECORD").unlink(),
    "in place": lambda info: (info / "direct_url.json").write_text(
        '{"dir_info": {"editable": true}}'
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_makes_it_unknown_again(
    site: Site, again: Callable[[], tuple[Host, int]], change: str
) -> None:
    site.install(noted(site), record="sha256=1")
    again()
    assert again()[1] == 1
    CHANGES[change](site.folder / "exportkit_mill-1.2.3.dist-info")
    assert again()[1] == 2


def test_another_exportkit_makes_it_unknown_again(
    site: Site, again: Callable[[], tuple[Host, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install(noted(site), record="sha256=1")
    again()
    monkeypatch.setattr("exportkit.host.memory.__version__", "0.2.0")
    assert again()[1] == 2


def test_what_concerns_others_is_always_loaded(
    site: Site, again: Callable[[], tuple[Host, int]]
) -> None:
    source = """
        from exportkit import hookimpl
        @hookimpl(wrapper=True)
        def push(session, batch): return (yield)
    """
    site.install(noted(site, source), record="sha256=1")
    assert [again()[1] for _ in range(3)] == [1, 2, 3]


def test_a_destination_that_listens_hears_of_runs(
    site: Site, again: Callable[[], tuple[Host, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    site.install(noted(site, SOUND + LISTENS), record="sha256=1")
    again()
    host, count = again()
    assert count == 1
    assert host.run_finished(RUN) == ()
    assert "heard of vip" in capsys.readouterr().err


def test_its_commands_are_there(site: Site, again: Callable[[], tuple[Host, int]]) -> None:
    import click

    commands = "    @hookimpl\n    def register_commands(cli): cli.command('weigh')(lambda: None)\n"
    site.install(noted(site, SOUND + commands), record="sha256=1")
    again()
    host, _ = again()
    group = click.Group("mill")
    host.commands["mill"](group)
    assert list(group.commands) == ["weigh"]


def test_one_that_broke_since_is_broken_when_it_is_asked_for(
    site: Site, again: Callable[[], tuple[Host, int]]
) -> None:
    site.install(noted(site), record="sha256=1")
    again()
    (site.folder / "exportkit_mill.py").write_text("import no_such_module\n")
    host, _ = again()
    assert host.destination("csv").type == "csv"
    with pytest.raises(PluginError, match="No module named 'no_such_module'"):
        host.destination("mill")
    assert "mill" not in host.destinations
    assert [broken.name for broken in host.broken] == ["mill"]
    with pytest.raises(PluginError, match="No module named 'no_such_module'"):
        host.destination("mill")


MEMORIES = ["", "nonsense", "[]", '{"x": 1}', "null"]


@pytest.mark.parametrize("text", MEMORIES)
def test_a_memory_that_is_none_is_made_anew(
    site: Site, again: Callable[[], tuple[Host, int]], cache: Path, text: str
) -> None:
    site.install(noted(site), record="sha256=1")
    cache.parent.mkdir(parents=True)
    cache.write_text(text)
    assert [again()[1] for _ in range(2)] == [1, 1]


def test_facts_that_cannot_be_are_not_believed(
    site: Site, again: Callable[[], tuple[Host, int]], cache: Path
) -> None:
    site.install(noted(site), record="sha256=1")
    again()
    text = cache.read_text()
    for wrong in (
        text.replace('"push"', '"pull"'),
        text.replace('"hooks"', '"hocks"'),
        text.replace('"destination": true', '"destination": false'),
        text.replace('"name": "mill"', '"name": "csv"'),
    ):
        assert wrong != text
        before = imports(site)
        cache.write_text(wrong)
        assert [again()[1] for _ in range(2)] == [before + 1] * 2


def test_no_place_to_remember_is_no_trouble(
    site: Site, again: Callable[[], tuple[Host, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install(noted(site), record="sha256=1")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
    assert [again()[1] for _ in range(2)] == [1, 2]
