"""Spark Connect servers for tests: Sail from its wheel, and Apache Spark where it can be had.

Sail starts in half a second, in a process of its own, so that it can be killed. Apache Spark needs
Java and SPARK_HOME, with a Spark that has the Connect server (pip's `pyspark` does).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAIL = """
import sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
print(server.listening_address[1], flush=True)
sys.stdin.read()
"""
_CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"


@dataclass
class SparkServer:
    """A running server. `kind` is sail or apache."""

    kind: str
    url: str
    process: subprocess.Popen[str]

    def kill(self) -> None:
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


def start_apache(folder: Path) -> SparkServer:
    """Apache Spark in local mode; skips the test where there is none."""
    home = os.environ.get("SPARK_HOME")
    if not home or not shutil.which("java"):
        pytest.skip("Apache Spark needs Java, and SPARK_HOME with the Connect server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    process = subprocess.Popen(
        [
            *(str(Path(home) / "bin" / "spark-submit"), "--master", "local[2]"),
            *("--driver-memory", "1g", "--class", _CONNECT),
            *(part for name, value in settings.items() for part in ("--conf", f"{name}={value}")),
        ],
        cwd=folder,
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    server = SparkServer("apache", f"sc://127.0.0.1:{port}", process)
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server
        assert process.poll() is None, "Apache Spark did not start"
        time.sleep(0.1)
    server.kill()
    raise AssertionError("Apache Spark did not start within a minute")


@pytest.fixture(scope="session")
def sail() -> Iterator[SparkServer]:
    """Sail, once for all tests of a process; do not kill it."""
    server = start_sail()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkServer]:
    """Apache Spark, once for all tests of a process; do not kill it."""
    server = start_apache(tmp_path_factory.mktemp("apache"))
    yield server
    server.kill()


@pytest.fixture(params=["sail", "apache"])
def spark(request: pytest.FixtureRequest) -> SparkServer:
    """Each kind of server in turn."""
    server: SparkServer = request.getfixturevalue(request.param)
    return server
