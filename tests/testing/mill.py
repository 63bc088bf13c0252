"""A made-up mail service that takes imports, and an honest destination for it."""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from exportkit import (
    AccessDeniedError,
    Batch,
    Catalogue,
    Column,
    Connection,
    Delivery,
    Description,
    DestinationError,
    Finding,
    Limits,
    OutcomeUnknownError,
    Rejection,
    Settlement,
    Target,
    ThrottledError,
    UnavailableError,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

KEY = "mill-key-of-nobody-5ecret"
MOST_ROWS = 50
NOWHERE = "Nowhere"


class Service:
    """Takes at most 50 people at once, none from Nowhere; `members` may have doubles."""

    def __init__(self) -> None:
        self.members: list[str] = []
        self.imports: dict[str, dict[str, Any]] = {}
        self.repeats = False
        """Whether an import of a name that is there already is left alone."""
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Bound", (_Handler,), {"to": self})
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Service:
        self._thread.start()
        return self

    def __exit__(self, *about: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if (method, path) == ("GET", "/list"):
            return 200, {"id": "list-7", "name": "Everybody", "members": len(set(self.members))}
        if method == "POST" and path == "/imports":
            return self._import(body)
        if method == "GET" and path.startswith("/imports/"):
            found = self.imports.get(path.removeprefix("/imports/"))
            return (200, found) if found else (404, {})
        if method == "POST" and path == "/removals":
            self.members = [each for each in self.members if each not in body["emails"]]
            return 200, {}
        return 404, {}

    def _import(self, body: Any) -> tuple[int, Any]:
        if len(body["people"]) > MOST_ROWS:
            return 413, {}
        name = body["name"]
        if not (self.repeats and name in self.imports):
            no = [each["email"] for each in body["people"] if each.get("city") == NOWHERE]
            taken = [each["email"] for each in body["people"] if each["email"] not in no]
            self.members += taken
            self.imports[name] = {"name": name, "refused": no, "rows": len(body["people"])}
        return 202, {"name": name}


class _Handler(BaseHTTPRequestHandler):
    to: Service

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer = 401, {"error": "who are you?"}
        if self.headers.get("Authorization") == f"Bearer {KEY}":
            status, answer = self.to.answer(self.command, self.path, json.loads(body or b"null"))
        content = json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _handle  # noqa: N815

    def log_message(self, *about: object) -> None:
        pass


class Session:
    """One connection to the mill; calls are sorted by what may have become of them."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = urlsplit(url), key

    def call(self, method: str, path: str, body: Any = None) -> Any:
        status, headers, content = self.exchange(method, path, body)
        if status == 404:
            return None
        if status == 401:
            raise AccessDeniedError("the mill does not accept the key")
        if status == 429:
            asked = float(headers.get("Retry-After") or 1)
            raise ThrottledError("the mill is busy", retry_after=asked)
        if status >= 500:
            raise self.unclear(method)
        if status >= 300:
            raise DestinationError(f"the mill refuses the call ({status})")
        try:
            answer = json.loads(content)
        except ValueError:
            raise self.unclear(method) from None
        if not isinstance(answer, dict):
            raise self.unclear(method)
        return answer

    def exchange(self, method: str, path: str, body: Any) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection(self.url.hostname or "", self.url.port, timeout=5)
        headers = {"Authorization": f"Bearer {self.key}", "Connection": "close"}
        try:
            content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException):
            raise self.unclear(method) from None
        finally:
            connection.close()

    def unclear(self, method: str) -> DestinationError:
        if method == "GET":
            return UnavailableError("the mill does not answer")
        return OutcomeUnknownError("the mill did not say whether it took the call")

    def close(self) -> None:
        """Each call has closed its own connection."""


def row_text(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False)


class Mill:
    """The honest destination."""

    description = Description(
        "Paper mill",
        connection_options={
            "type": "object",
            "required": ["url", "api_key"],
            "properties": {"url": {"type": "string"}, "api_key": {"type": "string"}},
        },
        fields=(
            Column("email", kind="email", key=True, required=True),
            Column("first_name", max_length=40),
            Column("city"),
        ),
        modes=("upsert", "mirror"),
        limits=Limits(batch_rows=MOST_ROWS, batch_bytes=100_000),
    )
    session: type[Session] = Session

    @hookimpl
    def describe_destination(self) -> Description:
        return self.description

    @hookimpl
    @contextmanager
    def connect(self, connection: Connection) -> Iterator[Session]:
        session = self.session(connection.options["url"], connection.options["api_key"])
        try:
            yield session
        finally:
            session.close()

    @hookimpl
    def describe_target(self, session: Session) -> Catalogue:
        found = session.call("GET", "/list")
        return Catalogue(str(found["name"]), str(found["id"]), members=int(found["members"]))

    @hookimpl
    def measure(self, target: Target, columns: pa.RecordBatch) -> pa.Array:
        import pyarrow as pa

        return pa.array([len(row_text(row).encode()) + 2 for row in columns.to_pylist()])

    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        people = list(batch.rows())
        session.call("POST", "/imports", {"name": batch.id, "people": people})
        return Delivery(batch.id)

    @hookimpl
    def settle(
        self,
        session: Session,
        receipts: Sequence[str],
        target: Target,
        batch_of: Callable[..., Any],
    ) -> list[Settlement]:
        return [self.settled(session, receipt) for receipt in receipts]

    def settled(self, session: Session, receipt: str) -> Settlement:
        found = session.call("GET", f"/imports/{receipt}")
        if found is None:
            return Settlement(receipt, "failed", reason="the mill does not know it")
        no = tuple(Rejection(key, "has no address", "city") for key in found["refused"])
        return Settlement(receipt, "done", no)

    @hookimpl
    def find_delivery(self, session: Session, batch: Batch) -> Finding:
        if session.call("GET", f"/imports/{batch.id}") is None:
            return Finding("not_taken")
        return Finding("taken", Delivery(batch.id))

    @hookimpl
    def remove(self, session: Session, batch: Batch) -> Delivery:
        session.call("POST", "/removals", {"emails": batch.keys.to_pylist()})
        return Delivery()
