"""What a connection keeps where several runners share a state: encrypted, and the same for all."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet

from exportkit.access import credentials as module
from exportkit.access.credentials import KeptCredentials, kept_credentials
from exportkit.errors import BusyError, PermissionDeniedError
from exportkit.state.folder import open_state
from exportkit.state.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgresql import Database

TOKEN = {"refresh_token": "rt-0123456789abcdef-first"}
NEXT = {"refresh_token": "rt-0123456789abcdef-second"}
KEY = "EXPORTKIT_CREDENTIALS_KEY"

RENEWER = """
import sys
import time
from pathlib import Path
from exportkit.access.credentials import kept_credentials
from exportkit.state.folder import open_state
from exportkit.state.house import House

with House(open_state(Path(sys.argv[1]), sys.argv[2])) as house:
    kept = kept_credentials(house.state, "marketing")
    for _ in range(5):
        with kept.held():
            kept.replace({"number": kept.read().get("number", 0) + 1})
"""


@pytest.fixture
def url(postgresql: Database, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PGPASSWORD", postgresql.server.password)
    monkeypatch.setenv(KEY, Fernet.generate_key().decode())
    return f"postgresql://exportkit@127.0.0.1:{postgresql.server.port}/{postgresql.name}"


@pytest.fixture
def hosts(url: str, tmp_path: Path) -> Iterator[tuple[KeptCredentials, KeptCredentials]]:
    with (
        House(open_state(tmp_path / "a", url)) as here,
        House(open_state(tmp_path / "b", url)) as there,
    ):
        yield kept_credentials(here.state, "marketing"), kept_credentials(there.state, "marketing")


Two = tuple[KeptCredentials, KeptCredentials]


def test_a_new_token_is_everybodys_at_once_and_encrypted(hosts: Two, postgresql: Database) -> None:
    here, there = hosts
    assert there.read() == {}
    here.replace(TOKEN)
    assert there.read() == TOKEN
    assert there.store == "encrypted file"
    with there.held():
        there.replace(NEXT)
    assert here.read() == NEXT
    packed = postgresql.run("SELECT encode(packed, 'escape') FROM exportkit.pieces")
    assert packed
    assert "rt-0123456789abcdef" not in packed
    assert postgresql.run("SELECT path FROM exportkit.files") == "credentials/marketing.json"
    here.remove()
    assert there.read() == {}
    assert there.store is None


def test_without_a_key_nothing_is_read_signed_in_for_or_kept(
    hosts: Two, monkeypatch: pytest.MonkeyPatch, postgresql: Database
) -> None:
    here, there = hosts
    monkeypatch.delenv(KEY)
    ways = (
        here.read,  # before a new token could be got, and lost
        lambda: here.replace(TOKEN),
        lambda: here.expect("file"),
        lambda: here.expect(None),
        lambda: here.move(TOKEN, "file"),
        lambda: here.move(TOKEN, None),
    )
    for way in ways:
        with pytest.raises(PermissionDeniedError, match="cannot be kept in a database without"):
            way()
    assert postgresql.run("SELECT count(*) FROM exportkit.files") == "0"
    monkeypatch.setenv(KEY, Fernet.generate_key().decode())
    here.replace(TOKEN)
    monkeypatch.delenv(KEY)
    with pytest.raises(PermissionDeniedError, match="are encrypted"):
        there.read()


def test_a_keyring_is_no_place_for_several(hosts: Two) -> None:
    here, _ = hosts
    for way in (lambda: here.expect("keyring"), lambda: here.move(TOKEN, "keyring")):
        with pytest.raises(PermissionDeniedError, match="no keyring in common"):
            way()


def test_one_at_a_time_renews_them(url: str, tmp_path: Path, hosts: Two) -> None:
    here, _ = hosts
    command = [sys.executable, "-c", RENEWER]
    processes = [subprocess.Popen([*command, str(tmp_path / name), url]) for name in ("c", "d")]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert here.read() == {"number": 10}


def test_a_job_of_the_same_name_is_something_else(url: str, tmp_path: Path) -> None:
    with House(open_state(tmp_path, url)) as house, house.lock("marketing"):
        kept = kept_credentials(house.state, "marketing")
        began = time.monotonic()
        with kept.held():
            assert house.runner("marketing")
        assert time.monotonic() - began < 30
    with House(open_state(tmp_path, url)) as house, kept_credentials(house.state, "news").held():
        assert house.runner("news") is None


def test_who_waits_too_long_is_told_and_may_hold_twice(
    hosts: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = hosts
    monkeypatch.setattr(module, "LONGEST_HOLD", 0.1)
    with here.held(), here.held():
        here.replace(TOKEN)
        with (
            pytest.raises(BusyError, match="another process holds the credentials") as told,
            there.held(),
        ):
            pytest.fail("two hold them")
        assert not told.value.message.startswith("skipped")
    with there.held():
        assert there.read() == TOKEN
