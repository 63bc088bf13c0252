"""A made-up mail service on a real socket: it keeps contacts, and fails when a test says so.

Runs in this process (`Crm`), so that tests see what arrived, or stays when the caller is killed.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEY = "k-4f9a2c7e1b"
CLIENT = ("app-17", "s3cret/app:17+x")


@dataclass(frozen=True)
class Request:
    """A call as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    port: int

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True)
class Fault:
    """How one call goes wrong. `how`: answer, unread, lost (taken, not answered), garbage, half."""

    how: str = "answer"
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


Answer = tuple[int, Any]


class Crm:
    """The service. `contacts` by address; `applied` counts how often each call took effect."""

    def __init__(self, *, honours_keys: bool = True, slow: float = 0.0) -> None:
        self.contacts: dict[str, Any] = {}
        self.applied: Counter[str] = Counter()
        self.requests: list[Request] = []
        self.faults: deque[Fault | None] = deque()
        self.honours_keys, self.slow = honours_keys, slow
        self.tokens: set[str] = set()
        self.token_calls = 0
        self.lifetime = 3600
        self.wants: Callable[[Request], bool] = lambda _request: True
        self.unfit = re.compile("unfit")
        self.whole_batches = False
        self.busiest = 0
        self._busy = 0
        self._answers: dict[str, Answer] = {}
        self.lock = threading.Lock()
        crm = self

        class Handler(_Handler):
            service = crm

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail(self, *faults: Fault | None) -> None:
        """The next calls go wrong like this; None goes well."""
        self.faults.extend(faults)

    def twice(self) -> dict[str, int]:
        """What took effect more than once."""
        return {name: times for name, times in self.applied.items() if times > 1}

    def enter(self) -> None:
        with self.lock:
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)

    def leave(self) -> None:
        with self.lock:
            self._busy -= 1

    def answer(self, request: Request) -> Answer:
        """What the call does, once a key."""
        if request.path == "/oauth/token":
            return self._token(request)
        if not self.wants(request):
            return 401, {"message": "who are you?"}
        key = request.headers.get("Idempotency-Key", "") if self.honours_keys else ""
        with self.lock:
            if key and key in self._answers:
                return self._answers[key]
            answer = self._done(request)
            if key:
                self._answers[key] = answer
            return answer

    def _done(self, request: Request) -> Answer:
        path = urlsplit(request.path).path.removeprefix("/v1")
        if path == "/me":
            return 200, {"name": "The mill"}
        if path == "/contacts" and request.method == "POST":
            return self._kept(request.json)
        if path.startswith("/contacts/"):
            address = unquote(path.removeprefix("/contacts/"))
            if request.method == "DELETE":
                return self._gone(address)
            return self._kept({**request.json, "email": address})
        if path == "/batch":
            return self._batch(request.json["contacts"])
        if path == "/unlist":
            for address in request.json:
                self._gone(address)
            return 200, {}
        return 404, {"message": f"no such place: {path}"}

    def _kept(self, contact: Any) -> Answer:
        address = str(contact["email"])
        if self.unfit.search(json.dumps(contact, ensure_ascii=False)):
            return 422, {"error": {"message": f"{address} is unfit for mail"}}
        self.contacts[address] = contact
        self.applied[f"add {address}"] += 1
        return 201, {"id": len(self.contacts), "status": "ok"}

    def _gone(self, address: str) -> Answer:
        if self.contacts.pop(address, None) is None:
            return 404, {"message": "never heard of them"}
        self.applied[f"remove {address}"] += 1
        return 204, None

    def _batch(self, contacts: list[Any]) -> Answer:
        unfit = [self.unfit.search(json.dumps(each)) is not None for each in contacts]
        if self.whole_batches and any(unfit):
            return 400, {"message": f"{sum(unfit)} of {len(unfit)} are unfit"}
        results = []
        for contact, is_unfit in zip(contacts, unfit, strict=True):
            said = {"email": contact["email"], "ok": not is_unfit}
            if is_unfit:
                said["why"] = f"{contact['email']} is unfit for mail"
            else:
                self._kept(contact)
            results.append(said)
        return 207 if any(unfit) else 200, {"results": results}

    def _token(self, request: Request) -> Answer:
        from base64 import b64decode

        self.token_calls += 1
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        given = request.headers.get("Authorization", "").removeprefix("Basic ")
        if b64decode(given).decode() != ":".join(CLIENT):
            return 401, {"error": "invalid_client"}
        token = f"granted-{self.token_calls}-{form.get('scope', '').replace(' ', '.')}"
        self.tokens.add(f"Bearer {token}")
        return 200, {"access_token": token, "token_type": "bearer", "expires_in": self.lifetime}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Callers that go away are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    service: Crm

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""

    def handle_any(self) -> None:
        crm = self.service
        crm.enter()
        try:
            self._handle(crm)
        finally:
            crm.leave()

    def _handle(self, crm: Crm) -> None:
        fault = None
        if self.path != "/oauth/token" and crm.faults:
            with crm.lock:
                fault = crm.faults.popleft() if crm.faults else None
        if fault and fault.how == "unread":
            self._reset()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        port = self.client_address[1]
        request = Request(self.command, self.path, dict(self.headers.items()), body, port)
        with crm.lock:
            crm.requests.append(request)
        time.sleep(crm.slow)
        if fault and fault.how == "answer":
            self._say(fault.status, fault.body, fault.headers)
            return
        status, answer = crm.answer(request)
        if fault and fault.how == "lost":
            self._reset()
        elif fault and fault.how == "garbage":
            self._say(status, "}{ no JSON")
        elif fault and fault.how == "half":
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{"half":')
            self._reset()
        else:
            self._say(status, answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def _say(self, status: int, answer: Any, headers: Mapping[str, str] | None = None) -> None:
        content = b"" if answer is None else answer if isinstance(answer, bytes) else b""
        if answer is not None and not content:
            content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.wfile.flush()
        self.connection.close()
