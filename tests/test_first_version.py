"""Plugins of the first version work on this one: docs/growing.md is what this holds us to."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exportkit import Connection
from exportkit.cli import main
from exportkit.host import load_plugins
from exportkit.host.inspection import SPECS
from tests.host.conftest import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent / "first_version"
NEVER_EDITED = {
    "exportkit_first": "108c25335585a955e5b43120ce3beaf5a6f3eef5271d19fae35701f73f17ae72",
    "exportkit_bystander": "8a64dcda563b41f898ab217216e63d0dbb1a334f0f695190f85500fb7675a926",
}
FILES = {
    "exportkit.yaml": "version: 1\n",
    "sources/people.yaml": "version: 1\nname: people\nfile: people.csv\nkey: id\n"
    "segments: {all: {}}\n",
    "connections/room.yaml": "version: 1\nname: room\ndisplay_name: The room\ntype: first\n"
    "options: {folder: boxes}\n",
    "jobs/boxes.yaml": "version: 1\nname: boxes\nsource: people\nsegments: [all]\n"
    "connection: room\nmap: {email: email, first_name: name, note: note}\nmode: mirror\n",
    "people.csv": "id,email,name,note\n1,ann@example.com,Ann,a\n2,bob@example.com,Bob,b\n"
    "3,nobody@example.com,No,c\n4,eve@example,Eve,d\n",
}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A workspace, in an installation with the two plugins of the first version."""
    site = Site(tmp_path / "site")
    site.folder.mkdir()
    monkeypatch.syspath_prepend(str(site.folder))
    for module in NEVER_EDITED:
        source = (HERE / f"{module}.py").read_text(encoding="utf-8")
        name = module.removeprefix("exportkit_")
        site.install(source, name=name, module=module, version="1.0", requires=["exportkit>=0.1"])
    folder = tmp_path / "workspace"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(folder)
    yield folder
    for module in NEVER_EDITED:
        sys.modules.pop(module, None)


def said(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capfd.readouterr()
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    assert isinstance(left.value.code, int)
    return (left.value.code, *capfd.readouterr())


def run(capfd: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    code, out, err = said(capfd, "run", "boxes", "--json")
    (done,) = json.loads(out)["runs"]
    assert code == 0, err
    return done, err


def boxes(workspace: Path, name: str) -> Any:
    return json.loads((workspace / "boxes" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", NEVER_EDITED)
def test_nobody_has_edited_it(module: str) -> None:
    found = hashlib.sha256((HERE / f"{module}.py").read_bytes()).hexdigest()
    assert found == NEVER_EDITED[module], "plugins out there are not edited either: undo that"


@pytest.mark.usefixtures("workspace")
def test_it_loads_with_every_hook_that_it_has() -> None:
    host = load_plugins()
    assert host.broken == ()
    plugins = {plugin.name: plugin for plugin in host.plugins}
    hooks = (HERE / "exportkit_first.py").read_text(encoding="utf-8")
    assert plugins["first"].hooks == tuple(hook for hook in SPECS if f"def {hook}(" in hooks)
    assert len(plugins["first"].hooks) == 14
    assert plugins["bystander"].wraps == ("connect", "push")


def test_it_delivers_settles_refuses_and_removes(
    workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first, err = run(capfd)
    assert (first["status"], first["counts"]["added"]) == ("partial", 2)
    assert (first["counts"]["refused"], first["counts"]["rejected"]) == (1, 1)
    assert boxes(workspace, "letters")["ann@example.com"] == {
        "email": "ann@example.com",
        "first_name": "Ann",
        "note": "A",
    }
    for line in ("bystander saw add", "bystander heard of a run", "first heard of boxes partial 2"):
        assert line in err
    people = workspace / "people.csv"
    people.write_text("id,email,name,note\n1,ann@example.com,Anna,a\n", encoding="utf-8")
    second, _ = run(capfd)
    assert (second["counts"]["updated"], second["counts"]["removed"]) == (1, 1)
    assert list(boxes(workspace, "letters")) == ["ann@example.com"]
    closed = boxes(workspace, "closed")
    assert closed == {"people": 1, "columns": ["email", "first_name", "note"], "box": "letters"}


@pytest.mark.usefixtures("workspace")
def test_its_errors_get_their_place(capfd: pytest.CaptureFixture[str]) -> None:
    job = Path("jobs/boxes.yaml")
    job.write_text(FILES["jobs/boxes.yaml"].replace("note: note", "loud: note"))
    code, _, err = said(capfd, "plan", "boxes")
    assert code == 2
    assert "jobs/boxes.yaml:6:39: map.loud: boxes are quiet" in err


@pytest.mark.usefixtures("workspace")
def test_its_commands_and_its_session(capfd: pytest.CaptureFixture[str]) -> None:
    assert said(capfd, "first", "boxes") == (0, "one box\n", "")
    code, out, _ = said(capfd, "connection", "test", "room")
    assert code == 0
    assert "box room of The room" in out


def test_its_sign_in_and_out(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = load_plugins().destination("first")
    connection = Connection("room", "first", "The room", {"folder": "boxes"}, workspace)
    assert first.authorize(connection, Keyboard()) == {"key": "Key?"}
    first.revoke(connection)
    assert capfd.readouterr().err == "first gave the key back\n"


class Keyboard:
    browser = False

    def __call__(self, question: str, *, secret: bool = False) -> str:
        return f"{question}?"

    def tell(self, text: str) -> None:
        pass
