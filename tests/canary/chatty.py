"""A destination that cannot keep anything to itself, installed as `chatty` by the canary test.

Whatever it is told it prints, logs, warns of, and quotes in the errors that `mood.json`, beside the
workspace, asks for: `push:destination` raises a DestinationError in `push`.
"""

from __future__ import annotations

import builtins
import json
import logging
import os
import signal
import sys
import warnings
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from exportkit import (
    Catalogue,
    Column,
    Delivery,
    Description,
    Finding,
    Limits,
    Rejection,
    Settlement,
    errors,
    hookimpl,
)

OPTIONS = {
    "type": "object",
    "properties": {
        "account": {"type": "string"},
        "key_phrase": {"type": "string", "writeOnly": True},
        "pin": {"type": "string"},
        "loud": {"type": "boolean", "default": True},
    },
}
JOB = {"type": "object", "properties": {"list": {"type": "string"}}}
FIELDS = (
    Column("email", kind="email", key=True),
    Column("name"),
    Column("phone"),
    Column("street"),
)
KINDS: dict[str, Any] = {
    each.kind: each
    for each in (
        errors.DestinationError,
        errors.AccessDeniedError,
        errors.ThrottledError,
        errors.QuotaSpentError,
        errors.OutcomeUnknownError,
        errors.JobError,
        errors.PluginError,
        errors.PermissionDeniedError,
        errors.JournalError,
        errors.BusyError,
        errors.InterruptedRun,
    )
}
log = logging.getLogger("exportkit_chatty")
told: list[str] = []
mood = ""


def chat(hook: str, *facts: object) -> None:
    """Say it in every way that there is, then raise if the mood is such."""
    text = " / ".join([hook, *told, *(str(fact) for fact in facts)])
    print(text)
    print(text, file=sys.stderr)
    sys.stdout.write(text + "\n")
    sys.stderr.buffer.write(f"{text}\n".encode())
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(level, "%s", text)
    logging.getLogger("urllib3").warning(text)
    warnings.warn(text, stacklevel=1)
    where, _, kind = mood.partition(":")
    if where != hook:
        return
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        raise ValueError(text)
    except ValueError as cause:
        raise _error(kind, text) from cause


def begin(connection: Any) -> dict[str, Any]:
    """Read how to behave."""
    global mood
    behaviour: dict[str, Any] = json.loads((connection.workspace.parent / "mood.json").read_text())
    mood = behaviour["mood"]
    return behaviour


def _error(kind: str, text: str) -> BaseException:
    if kind == "throttled":
        return errors.ThrottledError(text, retry_after=0, hint=text)
    made: Any = KINDS.get(kind)
    error: BaseException = made(text, hint=text) if made else getattr(builtins, kind)(text)
    error.add_note(text)
    return error


@hookimpl
def describe_destination() -> Description:
    return Description(
        "Chatty",
        connection_options=OPTIONS,
        job_options=JOB,
        fields=FIELDS,
        modes=("mirror", "upsert", "full"),
        limits=Limits(batch_rows=3, batch_bytes=1000, calls_per_day=1000),
    )


@hookimpl
@contextmanager
def connect(connection: Any) -> Any:
    behaviour = begin(connection)
    told[:] = [str(value) for value in connection.options.values()]
    told.extend(str(value) for value in connection.credentials.read().values())
    chat("connect")
    yield SimpleNamespace(account="Chatty's account", receipts={}, late=behaviour.get("receipts"))
    chat("close")


@hookimpl
def describe_target(session: Any, options: dict[str, Any]) -> Catalogue:
    chat("describe_target", options)
    return Catalogue("the list", identity="list-1", members=3)


@hookimpl
def measure(columns: Any) -> Any:
    import pyarrow as pa

    chat("measure", columns.to_pylist())
    return pa.array([10] * columns.num_rows, pa.int64())


@hookimpl
def push(session: Any, batch: Any) -> Delivery:
    rows = list(batch.rows())
    told.extend(str(value) for value in rows[-1].values())
    chat("push", rows)
    refused = tuple(
        Rejection(key, f"{row['name']} of {row['street']} ({key}, {row['phone']}) is on hold")
        for key, row in zip(batch.keys.to_pylist(), rows, strict=True)
        if "refuse" in row["street"]
    )
    if session.late:
        session.receipts[f"r-{batch.id}"] = refused
        return Delivery(f"r-{batch.id}")
    return Delivery(None, refused)


@hookimpl
def settle(session: Any, receipts: Any, batch_of: Any) -> list[Settlement]:
    chat("settle", [list(batch_of(receipt).rows()) for receipt in receipts])
    return [Settlement(each, "done", session.receipts.get(each, ())) for each in receipts]


@hookimpl
def find_delivery(session: Any, batch: Any) -> Finding:
    chat("find_delivery", list(batch.rows()))
    return Finding("not_taken" if batch.operation == "remove" else "taken", Delivery())


@hookimpl
def remove(session: Any, batch: Any) -> Delivery:
    chat("remove", batch.keys.to_pylist())
    return Delivery()


@hookimpl
def finish(session: Any) -> None:
    chat("finish")


@hookimpl
def authorize(connection: Any, prompt: Any) -> dict[str, Any]:
    token = prompt("Token", secret=True)
    told[:] = [token]
    begin(connection)
    chat("authorize")
    return {"access_token": token}


@hookimpl
def revoke(connection: Any) -> None:
    begin(connection)
    told[:] = list(connection.credentials.read().values())
    chat("revoke")


@hookimpl
def run_finished(run: Any) -> None:
    chat("run_finished", run)
