"""Something that speaks as Snowflake does, for tests: fakesnow, where one is to be had.

It asks for other versions of libraries than exportkit does, so it lives in an environment of its
own, whose Python EXPORTKIT_FAKESNOW names. The client, snowflake-sqlalchemy, is beside the tests.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import warnings
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from loopback import HOST, free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

# A client that is newer than the server wants to be told more when it signs in.
_SERVER = f"""
import importlib
import sys
import uvicorn

server = importlib.import_module("fakesnow.server")

class Answer(server.JSONResponse):
    def __init__(self, content, *rest, **more):
        data = content.get("data")
        if isinstance(data, dict) and "token" in data:
            lasting = {{"validityInSeconds": 3600, "masterValidityInSeconds": 14400}}
            content["data"] = {{**data, "masterToken": data["token"], "sessionId": 1, **lasting}}
        super().__init__(content, *rest, **more)

server.JSONResponse = Answer
uvicorn.run(server.app, host="{HOST}", port=int(sys.argv[1]))
"""


@dataclass(frozen=True, slots=True)
class Snowflake:
    """A running server; it takes any password."""

    port: int

    @property
    def url(self) -> str:
        """As a user of the database CRM."""
        options = f"host={HOST}&port={self.port}&protocol=http"
        return f"snowflake://me:geheim@fakesnow/crm/public?{options}"

    @property
    def adbc(self) -> str:
        """The same by the driver for ADBC."""
        where = f"me:geheim@{HOST}:{self.port}/crm/public"
        return f"adbc+snowflake://{where}?account=fakesnow&protocol=http"

    def run(self, *statements: str) -> Any:
        """Run statements; answers the rows of the last."""
        import snowflake.connector as snow

        where = {"host": HOST, "port": self.port, "protocol": "http", "account": "fakesnow"}
        who = {"user": "me", "password": "geheim", "database": "crm", "schema": "public"}
        with warnings.catch_warnings(category=FutureWarning, action="ignore"):
            connection = snow.connect(**who, **where)
        with closing(connection):
            return [connection.cursor().execute(sql).fetchall() for sql in statements][-1]


@pytest.fixture(scope="module")
def snowflake() -> Iterator[Snowflake]:
    """A server of its own for the tests of a module."""
    python = os.environ.get("EXPORTKIT_FAKESNOW", "")
    if not python or importlib.util.find_spec("snowflake") is None:
        pytest.skip("needs snowflake-sqlalchemy, and EXPORTKIT_FAKESNOW: a Python with fakesnow")
    with started_server(python) as server:
        yield server


@contextmanager
def started_server(python: str) -> Iterator[Snowflake]:
    """A new server by this Python, with an empty database."""
    port = free_port()
    command = [python, "-c", _SERVER, str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port, process)
            server = Snowflake(port)
            server.run(
                "CREATE DATABASE IF NOT EXISTS crm", "CREATE SCHEMA IF NOT EXISTS crm.public"
            )
            yield server
        finally:
            process.terminate()
