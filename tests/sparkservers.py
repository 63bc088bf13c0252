"""Spark Connect servers for tests: Sail from its wheel, and Apache Spark where there is Java.

Sail starts in half a second, in a process of its own, so that it can be killed. Apache Spark takes
far longer, so all processes of a test run share one, which ends when the run does.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apachespark
import pytest
from filelock import FileLock
from loopback import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SAIL = """
import sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
print(server.listening_address[1], flush=True)
sys.stdin.read()
"""
# Starts a server that outlives whoever starts it, and ends when the process with this id does,
# however that happens.
_GUARD = """
import os, subprocess, sys, time
owner, log, *command = sys.argv[1:]
if os.fork():
    sys.exit()
os.setsid()
with open(log, "wb") as out:
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    while server.poll() is None:
        try:
            os.kill(int(owner), 0)
        except ProcessLookupError:
            server.kill()
        time.sleep(0.5)
    out.write(b"ended")
"""
_CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"


# Meant to start sooner: what it compiles lives for a minute.
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j2.level=ERROR"
_SETTINGS = {
    "spark.connect.grpc.binding.address": "127.0.0.1",
    "spark.log.level": "ERROR",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.leafNodeDefaultParallelism": "1",
    "spark.sql.shuffle.partitions": "1",
    "spark.ui.enabled": "false",
}


@dataclass
class SparkServer:
    """A running server. `kind` is sail or apache; one that tests may kill has a process."""

    kind: str
    url: str
    process: subprocess.Popen[str] | None = None

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()


def start_sail() -> SparkServer:
    """A server of its own: end it with `kill`."""
    pytest.importorskip("pysail", reason="Sail is not installed: pip install pysail")
    pytest.importorskip("pyspark", reason="the client is not installed: exportkit[spark]")
    process = subprocess.Popen(
        [sys.executable, "-c", _SAIL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    return SparkServer("sail", f"sc://127.0.0.1:{int(process.stdout.readline())}", process)


def _start_apache(home: Path, folder: Path, owner: int) -> str:
    """Start Apache Spark in local mode, for as long as `owner` lives. Answers its address."""
    port = free_port()
    settings = _SETTINGS | {
        "spark.connect.grpc.binding.port": str(port),
        "spark.local.dir": str(folder / "local"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    log = folder / "log"
    subprocess.run(
        [
            *(sys.executable, "-c", _GUARD, str(owner), str(log)),
            *(str(home / "bin" / "spark-submit"), "--master", "local[2]", "--class", _CONNECT),
            *("--driver-memory", "1g", "--driver-java-options", _JAVA),
            *(part for name, value in settings.items() for part in ("--conf", f"{name}={value}")),
        ],
        cwd=folder,
        env={**os.environ, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1"},
        check=True,
    )
    for _ in range(1000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return f"sc://127.0.0.1:{port}"
        said = log.read_bytes() if log.exists() else b""
        assert not said.endswith(b"ended"), f"Apache Spark did not start: {said[-2000:]!r}"
        time.sleep(0.1)
    raise AssertionError(f"Apache Spark did not start in time: {said[-2000:]!r}")


@pytest.fixture(scope="session")
def sail() -> Iterator[SparkServer]:
    """Sail, once for all tests of a process; do not kill it."""
    server = start_sail()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def apache(tmp_path_factory: pytest.TempPathFactory) -> SparkServer:
    """Apache Spark, once for all processes of a test run; skips the test where there is none."""
    try:
        home = apachespark.home()
    except LookupError as missing:
        pytest.skip(str(missing))
    base, owner = tmp_path_factory.getbasetemp(), os.getpid()
    if "PYTEST_XDIST_WORKER" in os.environ:  # one of several, each in a folder of its own
        base, owner = base.parent, os.getppid()
    folder = base / "apache"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        address = folder / "address"
        if not address.exists():
            address.write_text(_start_apache(home, folder, owner), encoding="utf-8")
        return SparkServer("apache", address.read_text(encoding="utf-8"))


@pytest.fixture(params=["sail", "apache"])
def spark(request: pytest.FixtureRequest) -> SparkServer:
    """Each kind of server in turn."""
    server: SparkServer = request.getfixturevalue(request.param)
    return server
