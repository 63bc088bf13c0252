"""Real stores for the tests: an S3-compatible server from a wheel, and a web server with moods."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

from loopback import free_port, wait_for

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "s3cr3t-of-the-test"}


@contextmanager
def s3_server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """An S3-compatible server: its address and its process."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(10)


@dataclass
class Page:
    """What a web server has at one address, and how it behaves there."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    parts: bool = True
    etag: str | None = '"1"'
    modified: float | None = 1_700_000_000
    cut: int | None = None
    length: bool = True
    fail_times: int = 0


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that goes away in the middle is no news."""


class Web:
    """A web server on a loopback address. `pages` by path; `asked` is what it was asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.signed_in: str | None = None
        self._server = Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Web:
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def _handler(self) -> type[Handler]:
        return type("Handler", (Handler,), {"web": self})


class Handler(BaseHTTPRequestHandler):
    """Answers as the page at the address says."""

    protocol_version = "HTTP/1.1"
    web: Web

    def log_message(self, *args: Any) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        path, wanted = self.path.partition("?")[0], self.headers.get("Range")
        self.web.asked.append((self.path, wanted))
        self.web.signed_in = self.headers.get("Authorization")
        page = self.web.pages.get(path, Page(b"nothing here", 404))
        if page.fail_times:
            page.fail_times -= 1
            page = Page(b"", 503)
        headers = dict(page.headers)
        if page.etag:
            headers["ETag"] = page.etag
        if page.modified is not None:
            headers["Last-Modified"] = formatdate(page.modified, usegmt=True)
        self._answer(page, headers, wanted if page.parts and page.status == 200 else None)

    def _answer(self, page: Page, headers: dict[str, str], wanted: str | None) -> None:
        body, status = page.body, page.status
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last or len(body)) + 1, len(body))
            status = 206 if start < len(body) else 416
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
            body = body[start:stop]
        if page.length:
            headers["Content-Length"] = str(len(body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.close_connection = page.cut is not None or not page.length
        self.end_headers()
        with suppress(OSError):  # whoever asked has seen enough
            self.wfile.write(body if page.cut is None else body[: page.cut])
