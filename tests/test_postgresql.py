"""The PostgreSQL that other tests use: real, empty for each test, gone with its process."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from postgresql import Database, Server

ORPHAN = """
import os, sys
sys.path.insert(0, sys.argv[1])
from postgresql import started_server
with started_server() as server:
    print(server.port, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_each_test_has_a_database_of_its_own(
    postgresql: Database, postgresql_server: Server
) -> None:
    postgresql.run("CREATE TABLE people (id int); INSERT INTO people VALUES (1), (2)")
    assert postgresql.run("SELECT id, id * 2 FROM people ORDER BY id") == "1\t2\n2\t4"
    with postgresql_server.new_database() as other:
        assert other.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"


def test_what_fails_says_why(postgresql: Database) -> None:
    with pytest.raises(AssertionError, match='relation "nobody" does not exist'):
        postgresql.run("SELECT * FROM nobody")


def test_the_server_ends_with_its_test_process(postgresql_server: Server) -> None:
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN, here], stdout=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == -9
    deadline = time.monotonic() + 20
    while any(f"\0-p\0{done.stdout.strip()}\0" in command for command in _commands()):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _commands() -> list[str]:
    found = psutil.process_iter(["cmdline"])
    return ["\0".join([*(process.info["cmdline"] or []), ""]) for process in found]
