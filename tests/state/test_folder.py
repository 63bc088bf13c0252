"""The state folder: private from the start, and every file old or new, never half."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

import pytest

from exportkit.errors import ConfigError, JournalError
from exportkit.state.folder import (
    StateFolder,
    fingerprint,
    new_folder,
    open_state,
    read_json,
    remove_folder,
    write_durably,
)

if TYPE_CHECKING:
    from pathlib import Path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def loose_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("loose_umask")
def test_nobody_else_may_look_inside(tmp_path: Path) -> None:
    state = open_state(tmp_path, ".exportkit")
    write_durably(state.root / "notes.json", b"{}")
    run = new_folder(state.run("r1"))
    assert [mode(p) for p in (state.root, state.locks, state.runs, run)] == [0o700] * 4
    assert mode(state.root / "notes.json") == 0o600
    assert mode(state.root / ".gitignore") == 0o600


def test_git_ignores_it(tmp_path: Path) -> None:
    state = open_state(tmp_path, ".exportkit")
    assert (state.root / ".gitignore").read_text() == "*\n"
    (state.root / ".gitignore").write_text("mine\n")
    open_state(tmp_path, ".exportkit")
    assert (state.root / ".gitignore").read_text() == "mine\n"


def test_it_may_lie_elsewhere(tmp_path: Path) -> None:
    assert open_state(tmp_path / "a", "../b/state").root == tmp_path / "b" / "state"
    assert open_state(tmp_path, str(tmp_path / "c")).root == tmp_path / "c"


def test_a_state_in_another_kind_of_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a state cannot be kept in mysql "):
        open_state(tmp_path, "mysql://user:secret@host/db")


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / ".exportkit").write_text("")
    with pytest.raises(JournalError, match="cannot be written: file exists") as raised:
        open_state(tmp_path, ".exportkit")
    assert "state:" in (raised.value.hint or "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(JournalError, match="permission denied"):
        open_state(tmp_path, ".exportkit")
    tmp_path.chmod(0o700)


def test_a_run_folder_is_made_once(tmp_path: Path) -> None:
    state = open_state(tmp_path, "state")
    folder = new_folder(state.run("r1"))
    with pytest.raises(JournalError, match="file exists"):
        new_folder(folder)
    (folder / "file").touch()
    remove_folder(folder)
    remove_folder(folder)
    assert not folder.exists()


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    write_durably(path, b"old")
    with path.open("rb") as reader:
        write_durably(path, b"new")
        assert reader.read() == b"old", "who reads it goes on with the old one"
    assert path.read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["facts.json"]


def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.mkdir()
    with pytest.raises(JournalError, match=r"facts\.json cannot be written"):
        write_durably(path, b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["facts.json"]


def test_json_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_json(tmp_path / "facts.json") is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"{'a': 1}", b'{"a": 1}{'])
def test_damaged_json(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "facts.json"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"facts\.json is damaged") as raised:
        read_json(path)
    assert raised.value.hint


def test_a_folder_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be read"):
        read_json(tmp_path)


def test_a_fingerprint_is_of_the_content() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint(
        dict(reversed({"a": 1, "b": [2]}.items()))
    )
    several = [{"a": 1}, {"a": "1"}, {"a": [1]}, {"a": None}, {"b": 1}, {}, [], "", "é", "\ud800"]
    assert len({fingerprint(value) for value in several}) == len(several)


def test_each_target_of_a_job_has_a_snapshot_of_its_own(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    places = [state.snapshot(j, ["csv", {"path": p}]) for j in ("a", "b") for p in ("x", "y")]
    assert len(set(places)) == 4
    assert state.snapshot("a", ["csv", {"path": "x"}]) == places[0]


def test_a_fingerprint_stays_the_same_for_good() -> None:
    # Snapshots are found by it: another digest would send everything again.
    value = ["csv", {"path": "out/vip.csv", "délimiteur": ";"}]
    text = '["csv", {"délimiteur": ";", "path": "out/vip.csv"}]'
    assert fingerprint(value) == hashlib.sha256(text.encode()).hexdigest()


def test_a_folder_that_everybody_can_look_into_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_state(tmp_path, "state")
    assert caplog.text == ""
    (tmp_path / "state").chmod(0o755)
    open_state(tmp_path, "state")
    assert f"chmod 700 {tmp_path / 'state'}" in caplog.text
