"""An HTTP proxy to put between a plugin and its server: it hands calls on, or makes them go wrong.

The plugin is pointed at the proxy's address as if it were the server's. Nothing of the server has
to be known, so any plugin's HTTP can be tried, with a stand-in or with the real service behind.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

READING = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing."""
GARBAGE = b"\x00\xff<html>{not what anybody asked for"
_NOT_HANDED_ON = {
    *("connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host"),
    *("proxy-authenticate", "proxy-authorization", "content-length"),
}
_NO_BODY = (204, 304)


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one call.

    `reaches` says whether the server gets the call. `answer` is what the client gets: `whole`,
    the server's own answer; `none`, a connection that is closed; `reset`, one that is torn down;
    `garbage`; `half` of the body; or the `status`, with these `headers`. `seconds` pass before it.
    """

    reaches: bool
    answer: str = "whole"
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0


def throttled(seconds: int) -> Fault:
    """A 429 that asks to wait so long."""
    return Fault(False, "status", 429, (("Retry-After", str(seconds)),))


FAULTS: dict[str, Fault] = {
    "drop": Fault(reaches=False, answer="none"),
    "reset before": Fault(reaches=False, answer="reset"),
    "reset after": Fault(reaches=True, answer="reset"),
    "delay": Fault(reaches=True, seconds=0.1),
    "garble": Fault(reaches=True, answer="garbage"),
    "half": Fault(reaches=True, answer="half"),
    "429": throttled(1),
    "500": Fault(reaches=False, answer="status", status=500),
    "500 after": Fault(reaches=True, answer="status", status=500),
    "503": Fault(reaches=False, answer="status", status=503),
}
"""The faults that the contract tries, by name. "After" means that the server got the call."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call as it passed: `status` is the server's own, 0 if it did not get the call.

    `began` and `ended` are seconds of a clock that only goes forward. `repr` shows no body.
    """

    method: str
    path: str
    status: int
    sent: int
    fault: Fault | None
    began: float
    ended: float
    body: bytes = field(repr=False, default=b"")

    @property
    def taken(self) -> bool:
        """Whether the server took something that may change what it holds."""
        return self.method not in READING and 200 <= self.status < 300


class FaultyProxy:
    """Listens on this machine while inside `with`, and hands calls on to `upstream`.

    `url` is the address to call instead. `exchanges` are the calls so far, oldest first.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        if self.upstream.scheme not in ("http", "https") or not self.upstream.hostname:
            raise ValueError(f"no address of a server: {upstream!r}")
        self.exchanges: list[Exchange] = []
        self._faults: list[Fault | None] = []
        self._lock = threading.Lock()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._server.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.end()

    def next_calls(self, *faults: Fault | None) -> None:
        """What is to happen to the next calls, one each; None hands a call on as it is."""
        with self._lock:
            self._faults = list(faults)

    def since(self, number: int) -> Sequence[Exchange]:
        """The calls that passed after the first `number`."""
        with self._lock:
            return tuple(self.exchanges[number:])

    @property
    def passed(self) -> int:
        """How many calls have come so far."""
        with self._lock:
            return len(self.exchanges)

    @property
    def connections(self) -> int:
        """How many connections to the proxy are open."""
        return len(self._server.connections)

    def fault_for_this_call(self) -> Fault | None:
        """What is to happen to the call that has just come in."""
        with self._lock:
            return self._faults.pop(0) if self._faults else None

    def note(self, exchange: Exchange) -> None:
        """Remember a call; before its answer leaves, so that whoever got it finds it here."""
        with self._lock:
            self.exchanges.append(exchange)

    def forward(self, method: str, path: str, headers: Any, body: bytes) -> Answer:
        """The server's own answer; a 502 if it gives none."""
        made = HTTPSConnection if self.upstream.scheme == "https" else HTTPConnection
        connection = made(self.upstream.hostname or "", self.upstream.port, timeout=120)
        kept = [(name, value) for name, value in headers.items() if _handed_on(name)]
        try:
            connection.putrequest(method, f"{self.upstream.path}{path}", skip_accept_encoding=True)
            for name, value in kept:
                connection.putheader(name, value)
            if body or method not in READING:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            answer = connection.getresponse()
            content = answer.read()
            passed = [(name, value) for name, value in answer.getheaders() if _handed_on(name)]
            return Answer(answer.status, tuple(passed), content)
        except (OSError, HTTPException):
            return Answer(502, (), b"")
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer on its way to the client."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def _handed_on(name: str) -> bool:
    return name.lower() not in _NOT_HANDED_ON


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, proxy: FaultyProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy
        self.connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self.shutdown()
        self._thread.join()
        for connection in tuple(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it has hung up already
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silence: whoever hung up knows."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _handle(self) -> None:
        began, proxy = time.monotonic(), self.server.proxy
        body = self._body()
        fault = proxy.fault_for_this_call()
        answer = Answer(0)
        if fault is None or fault.reaches:
            answer = proxy.forward(self.command, self.path, self.headers, body)
        if fault is not None and fault.seconds:
            time.sleep(fault.seconds)
        proxy.note(
            Exchange(
                self.command,
                self.path,
                answer.status,
                len(body),
                fault,
                began,
                time.monotonic(),
                body,
            )
        )
        self._answer(fault, answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _handle  # noqa: N815

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(iter(self._chunk, b""))
        length = self.headers.get("Content-Length", "0")
        return self.rfile.read(int(length)) if length.isdigit() else b""

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0] or b"0", 16)
        content = self.rfile.read(size)
        self.rfile.readline()
        return content

    def _answer(self, fault: Fault | None, answer: Answer) -> None:
        match fault.answer if fault else "whole":
            case "none":
                self.close_connection = True
            case "reset":
                self._reset()
            case "garbage":
                self._send(Answer(200, (("Content-Type", "application/json"),), GARBAGE))
            case "half":
                self._send(answer, half=True)
            case "status":
                assert fault is not None  # only a fault has a status
                self._send(Answer(fault.status, fault.headers, b"the kit's proxy says so"))
            case _:
                self._send(answer)

    def _send(self, answer: Answer, *, half: bool = False) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        has_body = answer.status not in _NO_BODY
        if has_body:
            # Of a body that is empty, half is told apart by a length that is never reached.
            self.send_header("Content-Length", str(len(answer.body) + (half and not answer.body)))
        if half:
            self.close_connection = True
        self.end_headers()
        if has_body and self.command != "HEAD":
            self.wfile.write(answer.body[: len(answer.body) // 2] if half else answer.body)

    def _reset(self) -> None:
        """Tear the connection down: no goodbye, as a crash or a broken line would."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        os.close(self.connection.detach())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silence: the calls are in `exchanges`."""
