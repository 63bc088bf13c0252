"""A real MariaDB for tests, where one is installed: at most one a test process, on loopback.

def test_it(mariadb: MariaDatabase) -> None:        # an empty database, utf8mb4
    mariadb.run("CREATE TABLE people (id int)")
    connect(mariadb.url)                            # mysql://USER:PASSWORD@127.0.0.1:PORT/NAME
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from loopback import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOST = "127.0.0.1"
_WATCHED = '"$@" <&- & cat >/dev/null; kill -TERM $!; wait $!; rm -rf "$0"'


@dataclass(frozen=True, slots=True)
class MariaDatabase:
    """One database of the server."""

    port: int
    name: str
    password: str

    @property
    def url(self) -> str:
        """As a user with every right in it, by password."""
        return f"mysql://exportkit:{self.password}@{_HOST}:{self.port}/{self.name}"

    def run(self, *statements: str) -> Any:
        """Run statements as the superuser; answers the rows of the last."""
        import pymysql

        rows: Any = ()
        with closing(
            pymysql.connect(host=_HOST, port=self.port, user="root", charset="utf8mb4")
        ) as connection:
            connection.autocommit(True)
            with connection.cursor() as cursor:
                cursor.execute("SET time_zone = '+00:00'")
                if self.name:
                    cursor.execute(f"USE {self.name}")
                for statement in statements:
                    cursor.execute(statement)
                    rows = cursor.fetchall()
        return rows


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDatabase]:
    """The server of this test process."""
    programs = [shutil.which(name, path=_path()) for name in ("mariadbd", "mariadb-install-db")]
    if None in programs:
        pytest.skip("needs MariaDB: apt-get install mariadb-server-core mariadb-client-core")
    with TemporaryDirectory(prefix="exportkit-maria-") as name, _started(programs, name) as server:
        yield server


@pytest.fixture(scope="module")
def mariadb(mariadb_server: MariaDatabase) -> Iterator[MariaDatabase]:
    """An empty database for the tests of a module."""
    name = f"test_{secrets.token_hex(6)}"
    mariadb_server.run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    yield MariaDatabase(mariadb_server.port, name, mariadb_server.password)
    mariadb_server.run(f"DROP DATABASE {name}")


@contextmanager
def _started(programs: list[str | None], name: str) -> Iterator[MariaDatabase]:
    folder, as_user = Path(name), _unprivileged()
    if as_user:
        folder.chmod(0o755)
        shutil.chown(folder, as_user["user"], as_user["group"])
    server, install = programs
    data = f"--datadir={folder / 'data'}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    made = [install, "--no-defaults", data, "--auth-root-authentication-method=normal"]
    subprocess.run([*made, "--skip-test-db"], check=True, **quiet, **as_user)
    port = free_port()
    command = [server, "--no-defaults", data, f"--port={port}", f"--bind-address={_HOST}"]
    options = [f"--socket={folder / 'sock'}", f"--pid-file={folder / 'pid'}", "--skip-log-bin"]
    small = ["--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0"]
    with subprocess.Popen(
        ["/bin/sh", "-c", _WATCHED, folder, *command, *options, *small],
        stdin=subprocess.PIPE,
        **quiet,
        **as_user,
    ) as process:
        try:
            database = MariaDatabase(port, "", secrets.token_urlsafe(12))
            _wait_for(database)
            yield database
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait(timeout=60)


def _wait_for(database: MariaDatabase) -> None:
    import pymysql

    deadline = time.monotonic() + 60
    while True:
        try:
            return database.run(
                f"CREATE USER exportkit IDENTIFIED BY '{database.password}'",
                "GRANT ALL ON *.* TO exportkit",
            )
        except pymysql.err.OperationalError:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.1)


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])


def _unprivileged() -> dict[str, Any]:
    if os.name != "posix" or os.geteuid() != 0:
        return {}
    return {"user": "nobody", "group": "nogroup", "extra_groups": []}
