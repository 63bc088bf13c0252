"""What is audited carries the name of who really did it."""

from __future__ import annotations

import os
import pwd
import socket
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from exportkit.access.audit import current_user, note
from exportkit.state.journal import open_journal

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_note_says_who_did_what_and_where(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with open_journal(path) as journal:
        note(journal, "show values", "job vip", run_id="r1")
    with closing(sqlite3.connect(path)) as db:
        (row,) = db.execute("SELECT user, host, action, subject, details FROM audit").fetchall()
    assert row == (
        current_user(),
        socket.gethostname(),
        "show values",
        "job vip",
        '{"run_id": "r1"}',
    )


def test_the_environment_makes_nobody_else_of_us(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "USERNAME", "LNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "mallory")
    assert current_user() == pwd.getpwuid(os.geteuid()).pw_name


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 2**31 - 7)
    assert current_user() == str(2**31 - 7)
