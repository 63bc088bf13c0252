"""Where the browser comes back to after a sign-in: one page on this machine, for one answer."""

from __future__ import annotations

import hmac
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from exportkit import DestinationError

if TYPE_CHECKING:
    from types import TracebackType

PATH = "/callback"
_PAGE = (
    "<!doctype html><meta charset=utf-8><title>exportkit</title>"
    "<body style='font:1.2em sans-serif;margin:4em'><p>{}</p>"
)


class Listener:
    """Waits for the browser to come back with `state`; whatever else asks learns nothing.

    Raises DestinationError if the port is taken.
    """

    def __init__(self, port: int, state: str) -> None:
        self._state = state
        self._answer: dict[str, str] | None = None
        self._first = threading.Lock()
        self._came = threading.Event()
        try:
            self._server = _Server(("127.0.0.1", port), _Handler)
        except OSError:
            raise DestinationError(
                f"port {port} on this machine is taken, so that no sign-in can come back to it",
                hint="close what uses it; or set redirect_port, and the redirect URI of the "
                "application at the service, to another one; or use --device",
            ) from None
        self._server.listener = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def redirect_uri(self) -> str:
        """The address to come back to, as the application has to name it at the service."""
        return f"http://localhost:{self._server.server_address[1]}{PATH}"

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, seconds: float) -> dict[str, str] | None:
        """What the browser brought: `code`, or `error`. None if it did not come in time."""
        self._came.wait(seconds)
        return self._answer

    def take(self, query: str) -> bool:
        """Whether this is the answer to our question. The first that is one is kept."""
        values = {name: given[0] for name, given in parse_qs(query).items() if len(given) == 1}
        ours = hmac.compare_digest(values.get("state", "").encode(), self._state.encode())
        if not ours or not ("code" in values or "error" in values):
            return False
        with self._first:
            if self._answer is None:
                self._answer = values
        self._came.set()
        return True


class _Server(ThreadingHTTPServer):
    # Browsers open connections that they do not use: nobody waits for those.
    daemon_threads = True
    block_on_close = False
    listener: Listener


class _Handler(BaseHTTPRequestHandler):
    timeout = 10
    server: _Server

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path != PATH:
            self._say(404, "There is nothing here.")
        elif self.server.listener.take(address.query):
            self._say(200, "Thank you. You can close this window; the rest is in the terminal.")
        else:
            self._say(400, "This does not belong to the sign-in that exportkit waits for.")

    def _say(self, status: int, text: str) -> None:
        body = _PAGE.format(text).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is given
        """Nothing: what is asked for has a code in it."""
