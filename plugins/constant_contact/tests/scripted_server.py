"""A server on a real socket that answers as a test tells it to, call by call."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Request:
    """A call as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    port: int
    """The client's port: the same one is the same connection."""

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass(frozen=True)
class Answer:
    """One answer. `how` is whole, half, unread, reset, garbage, silent or closed."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    how: str = "whole"

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def fault(how: str) -> Answer:
    """No proper answer: unread is reset before the call was read, reset is after that."""
    return Answer(200, {"half": "of a body that is longer than this"}, how=how)


class Server:
    """Answers the calls below each path from that path's own script, the longest path first.

    A script's item is an `Answer` or a function of the `Request`. A path whose script has run out
    answers 418, which nothing expects.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._scripts: dict[str, deque[Answer | Callable[[Request], Answer]]] = {}
        self._always: dict[str, Callable[[Request], Answer]] = {}
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.script = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def on(self, path: str, *answers: Answer | Callable[[Request], Answer]) -> None:
        """What to answer below the path, after what was said before."""
        self._scripts.setdefault(path, deque()).extend(answers)

    def always(self, path: str, answer: Callable[[Request], Answer]) -> None:
        """What to answer below the path, however often."""
        self._always[path] = answer

    def called(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path.startswith(path)]

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS."""
        self._http.context = context

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def unread(self) -> bool:
        """Whether the next call is to be reset before it is read."""
        for script in self._scripts.values():
            if script and isinstance(script[0], Answer) and script[0].how == "unread":
                script.popleft()
                return True
        return False

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        for path in sorted({*self._scripts, *self._always}, key=len, reverse=True):
            if request.path.startswith(path):
                script = self._scripts.get(path)
                item = script.popleft() if script else self._always.get(path, Answer(418))
                return item if isinstance(item, Answer) else item(request)
        return Answer(418)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    script: Server
    context: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.context is None:
            super().finish_request(request, client_address)
            return
        with self.context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no trouble."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    server: _Http

    def handle_one_request(self) -> None:
        select.select([self.connection], [], [], self.timeout)
        if self.server.script.unread():
            self.close_connection = True
            _reset(self.connection)
            return
        super().handle_one_request()

    def answer(self) -> None:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        query = parse_qs(address.query, keep_blank_values=True)
        request = Request(
            self.command, address.path, query, self.headers, body, self.client_address[1]
        )
        answer = self.server.script.answer(request)
        content = answer.content
        if answer.how == "silent":
            with suppress(OSError):  # until the client gives up
                while not select.select([self.connection], [], [], 5)[0]:
                    time.sleep(0.01)
        if answer.how in ("silent", "closed", "reset"):
            self.close_connection = True
            if answer.how == "reset":
                _reset(self.connection)
            return
        if answer.how == "garbage":
            self.close_connection = True
            self.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if answer.how == "half":
            content, self.close_connection = content[: len(content) // 2], True
        with suppress(OSError):
            self.wfile.write(content)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names are given

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is given
        """Nothing."""


def _reset(connection: socket.socket) -> None:
    """Close with a reset instead of an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())
