"""The sockets: HTTP/1.1 on the loopback interface, one thread a connection."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from .exchange import Answer, RefusedError, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from .service import Outcome, Service

MOST_BYTES = 64 * 1024 * 1024
_NO_BODY = (204, 304)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A call that was answered, or cut (`status` 0). `received` and `sent` are bytes of bodies."""

    method: str
    path: str
    status: int
    received: int
    sent: int
    seconds: float
    route: str = ""
    query: dict[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


class Server(ThreadingHTTPServer):
    """Serves until `stop`; every connection and thread is gone after it."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(
        self, host: str, port: int, service: Service, record: Callable[[Recorded, Request], None]
    ) -> None:
        super().__init__((host, port), Handler)
        self.service = service
        self.record = record
        self.defects: list[BaseException] = []
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="sandbox", daemon=True)

    def start(self) -> None:
        """Serve from a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, hang up on everybody, wait for the threads."""
        self.shutdown()
        self._thread.join()
        with self._open_lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # it has hung up already
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the connection, which is remembered."""
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """The connection ends, and is forgotten."""
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing is written: whoever hung up knows, and defects are kept in `defects`."""

    def _serve(self) -> None:
        self.serve_forever(poll_interval=0.02)


class Handler(BaseHTTPRequestHandler):
    """Reads a request in full, and sends its answer in one piece."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = 1 << 18
    server: Server
    _headers_buffer: list[bytes]

    def _handle(self) -> None:
        begun = time.perf_counter()
        request = self._read()
        if request is None:
            self._send(Answer(413, content_type=""), close=True)
            return
        try:
            outcome = self.server.service.handle(request)
        except Exception as defect:  # noqa: BLE001 - shown as a 500, and raised when the box closes
            self.server.defects.append(defect)
            refusal = RefusedError(
                500, "sandbox.defect", f"the sandbox failed: {type(defect).__name__}"
            )
            self._send(refusal.answer())
            return
        self._note(request, outcome, time.perf_counter() - begun)
        if outcome.answer is None:
            self._cut()
        else:
            self._send(outcome.answer, half=outcome.half)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _handle  # noqa: N815

    def _read(self) -> Request | None:
        length = self.headers.get("Content-Length", "0")
        size = int(length) if length.isdigit() else MOST_BYTES + 1
        if size > MOST_BYTES or "chunked" in self.headers.get("Transfer-Encoding", ""):
            return None
        parts = urlsplit(self.path)
        return Request(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(size) if size else b"",
        )

    def _note(self, request: Request, outcome: Outcome, seconds: float) -> None:
        sent = outcome.answer
        self.server.record(
            Recorded(
                request.method,
                request.path,
                sent.status if sent else 0,
                len(request.body),
                len(sent.body) if sent else 0,
                seconds,
                outcome.route,
                request.query,
            ),
            request,
        )

    def _send(self, sent: Answer, *, half: bool = False, close: bool = False) -> None:
        self.send_response_only(sent.status)
        self.send_header("Date", self.date_time_string())
        if sent.content_type and sent.status not in _NO_BODY:
            self.send_header("Content-Type", sent.content_type)
        for name, value in sent.headers.items():
            self.send_header(name, value)
        if sent.status not in _NO_BODY:
            self.send_header("Content-Length", str(len(sent.body)))
        self.close_connection = half or close or self.close_connection
        if self.close_connection:
            self.send_header("Connection", "close")
        body = b"" if self.command == "HEAD" else sent.body
        self._headers_buffer += [b"\r\n", body[: len(body) // 2] if half else body]
        self.flush_headers()  # head and body in one piece

    def _cut(self) -> None:
        """Reset the connection: no goodbye, as a crash or a broken line would."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        os.close(self.connection.detach())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silence: whoever wants to see calls is told of them by `record`."""
