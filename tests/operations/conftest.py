"""Runs to tell about, and servers on loopback that are told."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.records import Counts, Failure, Run
from exportkit.state.locks import SKIPPED

if TYPE_CHECKING:
    from collections.abc import Iterator

MORNING = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


def a_run(status: str = "succeeded", kind: str | None = None, **counts: int) -> Run:
    """A run of the job vip that took 12 seconds and ended like this."""
    failure = Failure(kind, "the list is gone", "name another list") if kind else None
    end = MORNING + timedelta(seconds=12)
    return Run("20261124T060000-vip-0a1b2c", "vip", status, MORNING, end, Counts(**counts), failure)


def skipped() -> Run:
    """A run that found another one on, so that nothing was begun."""
    message = f"{SKIPPED}job 'vip' is running since 06:00 as pid 4121"
    return replace(a_run("deferred", "busy"), error=Failure("busy", message, "try again later"))


@dataclass
class Listener:
    """A web server that keeps what is posted to it, and answers with `status`."""

    url: str = ""
    status: int = 200
    bodies: list[bytes] = field(default_factory=list)

    @property
    def messages(self) -> list[Any]:
        return [json.loads(body) for body in self.bodies]


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            listener.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(listener.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        listener.url = f"127.0.0.1:{server.server_port}"
        try:
            yield listener
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found
