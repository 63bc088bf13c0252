"""Servers of tests on loopback: a port that is free, and waiting until somebody answers there."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nobody listens on, for who cannot be told to choose one."""
    with socket.create_server((HOST, 0)) as free:
        return int(free.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when the process answers on the port. AssertionError if it ends, or takes a minute."""
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, "the server did not start"
        assert time.monotonic() < deadline, "the server does not answer"
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
