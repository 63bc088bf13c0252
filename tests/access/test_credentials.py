"""Credentials: kept durably in one place, chosen once, private, and never quoted."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import keyring
import pytest
from cryptography.fernet import Fernet
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from exportkit import PluginError
from exportkit.access import credentials as module
from exportkit.access.credentials import KeptCredentials
from exportkit.access.sealing import VARIABLE
from exportkit.errors import BusyError, JournalError, PermissionDeniedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHER_KEY = "bm8gc2VjcmV0LCBidXQgYSBrZXkgZm9yIHRlc3Rpbmc="
TOKEN = {"access_token": "s3cr3t-4711", "expires_at": 12.5}
COUNTER = """
import sys
from pathlib import Path
from exportkit.access.credentials import KeptCredentials
kept = KeptCredentials(Path(sys.argv[1]), "marketing")
for _ in range(25):
    with kept.held():
        kept.replace({"number": kept.read().get("number", 0) + 1})
"""


WRITER = """
import itertools, sys
from pathlib import Path
from exportkit.access.credentials import KeptCredentials
kept = KeptCredentials(Path(sys.argv[1]), "marketing")
for number in itertools.count(1):
    kept.replace({"number": number, "padding": "x" * 10_000})
    print(number, flush=True)
"""


class Desktop(KeyringBackend):
    """A keyring in memory that can be locked."""

    viable = False  # keyring takes any class it can see for the system's own, if it is viable

    priority = 5  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def _open(self) -> dict[tuple[str, str], str]:
        if self.locked:
            raise KeyringLocked("the words of s3cr3t-4711")
        return self.kept

    def get_password(self, service: str, username: str) -> str | None:
        return self._open().get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._open()[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self._open()[service, username]


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from keyring.backends.fail import Keyring

    monkeypatch.delenv(VARIABLE, raising=False)
    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def desktop() -> Desktop:
    found = Desktop()
    keyring.set_keyring(found)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "credentials"


@pytest.fixture
def kept(folder: Path) -> KeptCredentials:
    return KeptCredentials(folder, "marketing")


def again(kept: KeptCredentials) -> KeptCredentials:
    """As another process has them."""
    return KeptCredentials(kept.file.parent, "marketing")


def whole(error: BaseException) -> str:
    """All that an error could tell anybody."""
    chain: BaseException | None = error
    said = ""
    while chain is not None:
        said += f"{chain!r} {chain} {getattr(chain, 'hint', '')}"
        chain = chain.__cause__ or chain.__context__
    return said


def test_nothing_is_kept_and_nothing_written_before_there_is_something(
    kept: KeptCredentials, folder: Path
) -> None:
    assert kept.read() == {}
    assert kept.store is None
    assert not folder.exists()


def test_without_a_keyring_a_private_file_keeps_them(kept: KeptCredentials, folder: Path) -> None:
    kept.replace(TOKEN)
    assert again(kept).read() == TOKEN
    assert kept.store == "file"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [(p.name, p.stat().st_mode & 0o777) for p in folder.iterdir()] == [
        ("marketing.json", 0o600)
    ]


def test_others_are_replaced_whole(kept: KeptCredentials) -> None:
    kept.replace(TOKEN)
    kept.replace({"refresh_token": "other"})
    assert again(kept).read() == {"refresh_token": "other"}


def test_with_a_key_the_file_is_encrypted(
    kept: KeptCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, Fernet.generate_key().decode())
    kept.replace(TOKEN)
    assert kept.store == "encrypted file"
    assert "4711" not in kept.file.read_text()
    assert again(kept).read() == TOKEN


def test_a_key_is_renewed_by_giving_both(
    kept: KeptCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    monkeypatch.setenv(VARIABLE, old)
    kept.replace(TOKEN)
    monkeypatch.setenv(VARIABLE, f"{new},{old}")
    kept.replace(kept.read())
    monkeypatch.setenv(VARIABLE, new)
    assert kept.read() == TOKEN


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (None, "is not set"),
        ("", "is not set"),
        ("k3y-of-mine", "holds no key"),
        (OTHER_KEY, "cannot be decrypted"),
    ],
)
def test_without_the_right_key_nothing_is_read_or_replaced(
    key: str | None, said: str, kept: KeptCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, Fernet.generate_key().decode())
    kept.replace(TOKEN)
    before = kept.file.read_bytes()
    monkeypatch.delenv(VARIABLE)
    if key is not None:
        monkeypatch.setenv(VARIABLE, key)
    with pytest.raises(PermissionDeniedError, match=said) as raised:
        again(kept).read()
    assert raised.value.exit_code == 4
    assert raised.value.hint
    assert "4711" not in whole(raised.value)
    assert "k3y" not in whole(raised.value)
    if "decrypted" not in said:
        with pytest.raises(PermissionDeniedError, match=said):
            again(kept).replace({})
    assert kept.file.read_bytes() == before


def test_a_key_that_comes_later_changes_nothing_by_itself(
    kept: KeptCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.replace(TOKEN)
    monkeypatch.setenv(VARIABLE, Fernet.generate_key().decode())
    kept.replace(TOKEN)
    assert kept.store == "file"
    kept.move(TOKEN, "file")
    assert kept.store == "encrypted file"
    assert again(kept).read() == TOKEN


def test_a_keyring_keeps_them_where_there_is_one(kept: KeptCredentials, desktop: Desktop) -> None:
    kept.replace(TOKEN)
    kept.replace(TOKEN | {"scope": "all"})
    assert kept.store == "keyring"
    assert "4711" not in kept.file.read_text()
    assert again(kept).read() == TOKEN | {"scope": "all"}
    assert len(desktop.kept) == 1


def test_a_bad_key_is_found_before_there_is_a_token_to_lose(
    kept: KeptCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "k3y-of-mine")
    with pytest.raises(PermissionDeniedError, match="holds no key"):
        kept.read()


def test_what_cannot_be_kept_is_said_before_a_sign_in(
    kept: KeptCredentials, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.expect(None)
    kept.expect("file")
    with pytest.raises(PermissionDeniedError, match="no system keyring"):
        kept.expect("keyring")
    folder.mkdir()
    kept.file.write_text("{")
    for store in ("file", None):
        with pytest.raises(JournalError, match="are damaged"):
            kept.expect(store)  # type: ignore[arg-type]


def test_two_workspaces_do_not_share_an_entry(tmp_path: Path, desktop: Desktop) -> None:
    for number in (1, 2):
        KeptCredentials(tmp_path / str(number), "marketing").replace({"number": number})
    assert KeptCredentials(tmp_path / "1", "marketing").read() == {"number": 1}


def test_a_keyring_that_is_gone_is_an_error_and_no_other_place(
    kept: KeptCredentials, desktop: Desktop
) -> None:
    kept.replace(TOKEN)
    keyring.set_keyring(keyring.backends.fail.Keyring())
    for call in (kept.read, lambda: kept.replace({"a": 1}), kept.remove):
        with pytest.raises(PermissionDeniedError, match="keyring, which cannot be used") as raised:
            call()
        assert raised.value.exit_code == 4
        assert "--store file" in (raised.value.hint or "")
    keyring.set_keyring(desktop)
    assert kept.read() == TOKEN


def test_a_locked_keyring_is_an_error_and_its_words_are_not_told(
    kept: KeptCredentials, desktop: Desktop
) -> None:
    kept.replace(TOKEN)
    desktop.locked = True
    with pytest.raises(PermissionDeniedError, match="KeyringLocked") as raised:
        kept.read()
    assert "4711" not in whole(raised.value)


def test_a_keyring_that_is_locked_at_the_first_time_is_not_chosen(
    kept: KeptCredentials, desktop: Desktop
) -> None:
    desktop.locked = True
    kept.replace(TOKEN)
    assert kept.store == "file"
    desktop.locked = False
    kept.replace(TOKEN)
    assert (kept.store, desktop.kept) == ("file", {})


def test_they_move_when_somebody_says_so(kept: KeptCredentials, desktop: Desktop) -> None:
    kept.replace(TOKEN)
    kept.move(TOKEN, "file")
    assert (kept.store, desktop.kept) == ("file", {})
    kept.move(TOKEN, None)
    assert kept.store == "file"
    kept.move(TOKEN, "keyring")
    assert kept.store == "keyring"
    assert kept.read() == TOKEN


def test_an_entry_that_somebody_removed_is_missed(kept: KeptCredentials, desktop: Desktop) -> None:
    kept.replace(TOKEN)
    desktop.kept.clear()
    with pytest.raises(PermissionDeniedError, match="it has no such entry"):
        kept.read()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"store": "attic"}',
        b'{"store": ["file"], "values": {}}',
        b'{"store": "file"}',
        b'{"store": "file", "values": ["s3cr3t-4711"]}',
        b'{"store": "keyring", "entry": 3}',
    ],
)
def test_a_damaged_file_says_what_to_do(
    content: bytes, kept: KeptCredentials, folder: Path
) -> None:
    folder.mkdir()
    kept.file.write_bytes(content)
    for call in (kept.read, lambda: kept.replace({}), lambda: kept.store):
        with pytest.raises(JournalError, match="are damaged") as raised:
            call()
        assert "exportkit connection authorize marketing" in (raised.value.hint or "")
        assert "4711" not in whole(raised.value)
    kept.remove()
    assert kept.read() == {}


def test_what_cannot_be_written_leaves_what_was_kept(kept: KeptCredentials) -> None:
    kept.replace(TOKEN)
    with pytest.raises(PluginError, match="are no JSON values") as raised:
        kept.replace({"s3cr3t-4711": object()})
    assert "4711" not in whole(raised.value)
    with pytest.raises(PluginError):
        kept.replace({"number": float("nan")})
    assert kept.read() == TOKEN


def test_a_folder_that_cannot_be_made_is_said(kept: KeptCredentials, folder: Path) -> None:
    folder.write_text("a file")
    for call in (lambda: kept.replace(TOKEN), lambda: kept.held().__enter__()):
        with pytest.raises(JournalError, match=r"cannot be (written|read)"):
            call()


def test_removing_leaves_nothing(kept: KeptCredentials, desktop: Desktop, folder: Path) -> None:
    kept.replace(TOKEN)
    kept.remove()
    assert (desktop.kept, list(folder.iterdir())) == ({}, [])
    kept.remove()


def test_no_repr_shows_a_secret(kept: KeptCredentials) -> None:
    kept.replace(TOKEN)
    assert repr(kept) == "<Credentials of 'marketing'>"


def test_processes_take_turns(folder: Path, kept: KeptCredentials) -> None:
    command = [sys.executable, "-c", COUNTER, str(folder)]
    environment = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    running = [subprocess.Popen(command, env=environment) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    assert kept.read() == {"number": 100}


def test_a_killed_process_leaves_the_last_values_that_it_kept(
    folder: Path, kept: KeptCredentials
) -> None:
    for pause in (0.0, 0.02, 0.05):
        environment = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        command = [sys.executable, "-c", WRITER, str(folder)]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            said = writer.stdout.readline()
            time.sleep(pause)
            writer.kill()
            said += writer.stdout.read()
        last = int(said.splitlines()[-1])
        # Killed between what it kept and what it said of it.
        assert kept.read()["number"] in (last, last + 1)


def test_holding_twice_in_one_thread_is_fine_and_another_waits(kept: KeptCredentials) -> None:
    order: list[str] = []

    def other() -> None:
        with again(kept).held():
            order.append("other")

    with kept.held(), kept.held():
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join(10)
    assert order == ["first", "other"]


def test_who_waits_too_long_is_told(kept: KeptCredentials, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_HOLD", 0.1)
    told: list[BaseException] = []

    def other() -> None:
        try:
            with again(kept).held():
                pass
        except BusyError as error:
            told.append(error)

    with kept.held():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(10)
    assert "another process holds the credentials of 'marketing'" in str(told[0])


def test_the_file_says_what_it_is(kept: KeptCredentials) -> None:
    kept.replace(TOKEN)
    document: dict[str, Any] = json.loads(kept.file.read_text())
    assert document == {"version": 1, "store": "file", "values": TOKEN}
