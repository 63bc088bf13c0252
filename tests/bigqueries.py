"""Something that speaks as BigQuery does, for tests: bqemulator, where one is to be had.

It asks for other versions of libraries than exportkit does, so it lives in an environment of its
own, whose Python EXPORTKIT_BQEMULATOR names. The client, sqlalchemy-bigquery, is beside the tests.
Whoever signs in does so as with Google: by a service account's key, at a server for tokens.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from loopback import HOST, free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Its jobs.query answers a query that fails with an error inside of a success, and forgets the
# dataset that names without one begin at; its jobs.insert does both as BigQuery does. Geography
# needs a library that DuckDB fetches: without it goes the rest.
_SERVER = """
import sys
from contextlib import suppress
from contextvars import ContextVar
from bqemulator.api.routes import jobs
from bqemulator.cli import main
from bqemulator.storage.engine import DuckDBEngine

jobs._SQL_EXECUTION_DOMAIN_ERRORS = ()
asked = ContextVar("asked")
check, execute, load = jobs._validate_session_id, jobs.execute_query_job, DuckDBEngine._load_spatial

def checked(body):
    asked.set(body)
    check(body)

async def executed(project, job, sql, *rest, **more):
    sql = jobs._apply_default_dataset(sql, asked.get(), request_project_id=project)
    return await execute(project, job, sql, *rest, **more)

jobs._validate_session_id, jobs.execute_query_job = checked, executed

def load_or_not(engine):
    with suppress(Exception):
        load(engine)

DuckDBEngine._load_spatial = load_or_not
main(["start", "--rest-port", sys.argv[1], "--grpc-port", "0", "--log-level", "critical"])
"""
PROJECT = "crm-1"


@dataclass(frozen=True, slots=True)
class BigQuery:
    """A running server, which takes any token; `tokens` is where they are given out."""

    port: int
    process: subprocess.Popen[bytes]
    tokens: Tokens

    @property
    def address(self) -> str:
        """What BIGQUERY_EMULATOR_HOST is to be."""
        return f"http://{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """As a service account whose key is in the workspace, for the dataset `people`."""
        return f"bigquery://{PROJECT}/people?credentials_path=keys/bigquery.json"

    def run(self, *statements: str) -> Any:
        """Run statements; answers the rows of the last."""
        from google.auth import credentials
        from google.cloud import bigquery

        untyped: Any = credentials
        client = bigquery.Client(
            project=PROJECT,
            credentials=untyped.AnonymousCredentials(),
            client_options={"api_endpoint": self.address},
        )
        with client:
            client.create_dataset("people", exists_ok=True)
            config = bigquery.QueryJobConfig(default_dataset=f"{PROJECT}.people")
            answers = [client.query_and_wait(sql, job_config=config) for sql in statements]
            return [tuple(row) for row in answers[-1]] if answers else []


@dataclass(slots=True)
class Tokens:
    """A server that gives out tokens as Google's does; `asked` counts who asked for one."""

    port: int = 0
    asked: list[str] = field(default_factory=list)

    def write_key(self, path: Path, account: str = "reader") -> None:
        """Write the key of an account, as Google's console does. Nobody lets `stranger` in."""
        from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        key = generate_private_key(public_exponent=65537, key_size=2048)
        written = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        data = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "1",
            "private_key": written.decode(),
            "client_email": f"{account}@{PROJECT}.example.com",
            "token_uri": f"http://{HOST}:{self.port}/{account}",
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data), encoding="utf-8")


def is_missing() -> str:
    """What tests with BigQuery miss here; empty where that is nothing."""
    if importlib.util.find_spec("sqlalchemy_bigquery") is None:
        return "needs sqlalchemy-bigquery"
    if not os.environ.get("EXPORTKIT_BQEMULATOR"):
        return "needs EXPORTKIT_BQEMULATOR: a Python with bqemulator"
    return ""


@pytest.fixture(scope="module")
def bigquery() -> Iterator[BigQuery]:
    """A server of its own for the tests of a module, which the client finds in the environment."""
    why = is_missing()
    if why:
        pytest.skip(why)
    with started_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIGQUERY_EMULATOR_HOST", server.address)
        yield server


@contextmanager
def started_server() -> Iterator[BigQuery]:
    """A new server, with an empty dataset."""
    port = free_port()
    command = [os.environ["EXPORTKIT_BQEMULATOR"], "-c", _SERVER, str(port)]
    with (
        served_tokens() as tokens,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
    ):
        try:
            wait_for(port, process)
            server = BigQuery(port, process, tokens)
            server.run()
            yield server
        finally:
            process.terminate()


@contextmanager
def served_tokens() -> Iterator[Tokens]:
    """The server for tokens, on a thread of this process."""
    tokens = Tokens()

    class Giving(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            account = self.path.strip("/")
            tokens.asked.append(account)
            refused = {"error": "invalid_grant", "error_description": "Invalid JWT: geheim"}
            given = {"access_token": "t", "token_type": "Bearer", "expires_in": 3600}
            answer = json.dumps(refused if account == "stranger" else given).encode()
            self.send_response(400 if account == "stranger" else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((HOST, 0), Giving) as server:
        tokens.port = server.server_address[1]
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield tokens
        finally:
            server.shutdown()
            thread.join()
