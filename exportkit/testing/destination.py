"""The fault destination: an honest list that keeps a ledger, and misbehaves where a rule says so.

What the host has to know before there is a connection (which hooks there are, modes, batch sizes)
is said when the plugin is made; all else are options of the connection.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from exportkit import (
    Catalogue,
    Column,
    Delivery,
    Description,
    Finding,
    Limits,
    Rejection,
    Settlement,
    hookimpl,
)
from exportkit.testing import faults
from exportkit.testing.ledger import Given, Ledger, Taken, open_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from exportkit import Batch, Connection, FieldMapping, Target
    from exportkit.records import Mode

OPTIONAL = ("describe_target", "map_fields", "measure", "settle", "find_delivery", "remove")
"""The hooks that `FaultDestination(without=...)` can lack."""

_CONNECTION_OPTIONS: dict[str, Any] = {
    "type": "object",
    "required": ["folder"],
    "properties": {
        "folder": {
            "description": "Where the ledger lies; a relative path starts at the workspace.",
            "type": "string",
            "minLength": 1,
        },
        "faults": faults.SCHEMA,
        "receipts": {
            "description": "Answer batches with a receipt, and settle later.",
            "type": "boolean",
            "default": False,
        },
        "settle_after_asks": {
            "description": "At which question about it a receipt is settled, at the earliest.",
            "type": "integer",
            "minimum": 1,
            "default": 1,
        },
        "settle_after_seconds": {
            "description": "How old a receipt is when it is settled, at the earliest.",
            "type": "number",
            "minimum": 0,
            "default": 0,
        },
        "find_delivery": {
            "description": "Whether batches are known by their id.",
            "enum": ["knows", "unknown"],
            "default": "knows",
        },
        "refuse": {
            "description": "Keys that are always rejected.",
            "type": "array",
            "items": {"type": "string"},
        },
        "row_bytes": {
            "description": "What `measure` says of every row.",
            "type": "integer",
            "minimum": 0,
            "default": 100,
        },
    },
}
_JOB_OPTIONS = {
    "type": "object",
    "properties": {"list": {"type": "string", "minLength": 1, "default": "everybody"}},
}


@dataclass(frozen=True, slots=True)
class Session:
    """An open ledger, and how this connection behaves."""

    ledger: Ledger
    rules: tuple[faults.Rule, ...]
    receipts: bool
    settle_after_asks: int
    settle_after_seconds: float
    finds: bool
    refuse: frozenset[str]
    row_bytes: int


class FaultDestination:
    """A plugin for an entry point to name; see docs/testing.md.

    `without` names optional hooks that it shall not have. Raises ValueError for any other name.
    """

    def __init__(
        self,
        *,
        without: Sequence[str] = (),
        modes: tuple[Mode, ...] = ("upsert", "insert", "mirror", "full"),
        limits: Limits = Limits(batch_rows=100),  # noqa: B008 - it is frozen
        fields: tuple[Column, ...] = (),
        third_party: bool = False,
    ) -> None:
        if unknown := set(without) - set(OPTIONAL):
            raise ValueError(f"not an optional hook: {', '.join(sorted(unknown))}")
        for hook in without:
            setattr(self, hook, None)  # hides the method: the host finds no such hook
        self._description = Description(
            "Fault destination",
            description="Takes rows, writes them down, and misbehaves on request.",
            connection_options=_CONNECTION_OPTIONS,
            job_options=_JOB_OPTIONS,
            fields=fields,
            modes=modes,
            limits=limits,
            third_party=third_party,
        )
        self._open: Session | None = None

    @hookimpl
    def describe_destination(self) -> Description:
        return self._description

    @hookimpl
    def connect(self, connection: Connection) -> AbstractContextManager[Session]:
        with _session(connection) as session:  # only to write this call down
            answer: AbstractContextManager[Session]
            answer = _called(session, "connect", lambda _call: self._opened(connection))
            return answer

    @hookimpl
    def describe_target(self, session: Session, options: dict[str, Any]) -> Catalogue:
        name = _list(options)
        found = Catalogue(name, identity=name, members=session.ledger.size(name))
        answer: Catalogue = _called(session, "describe_target", lambda _call: found)
        return answer

    @hookimpl
    def map_fields(self, mapping: FieldMapping) -> Sequence[Column]:
        declared = {column.name: column for column in self._description.fields}
        names = [name for name in mapping.names if not declared or name in declared]
        answer: Sequence[Column]
        answer = self._pure("map_fields", [declared.get(name, Column(name)) for name in names])
        return answer

    @hookimpl
    def measure(self, columns: pa.RecordBatch) -> pa.Array:
        import pyarrow as pa

        size = self._open.row_bytes if self._open else 0
        return self._pure("measure", pa.array([size] * columns.num_rows, pa.int64()))

    @hookimpl
    def push(self, session: Session, batch: Batch, target: Target) -> Delivery:
        return _deliver("push", session, batch, target)

    @hookimpl
    def settle(self, session: Session, receipts: Sequence[str]) -> Sequence[Settlement]:
        def ask(end: Literal["done", "failed"]) -> list[Settlement]:
            return [_settled(session, receipt, end) for receipt in receipts]

        answer: Sequence[Settlement]
        answer = _called(session, "settle", lambda _: ask("done"), lambda _: ask("failed"))
        return answer

    @hookimpl
    def find_delivery(self, session: Session, batch: Batch) -> Finding:
        def look(_call: int) -> Finding:
            if not session.finds:
                return Finding("unknown")
            taken = session.ledger.find(batch.id)
            return Finding("taken", _delivery(taken)) if taken else Finding("not_taken")

        answer: Finding = _called(session, "find_delivery", look, batch=batch)
        return answer

    @hookimpl
    def remove(self, session: Session, batch: Batch, target: Target) -> Delivery:
        return _deliver("remove", session, batch, target)

    @hookimpl
    def finish(self, session: Session) -> None:
        _called(session, "finish", lambda _call: None)

    @contextmanager
    def _opened(self, connection: Connection) -> Iterator[Session]:
        with _session(connection) as session:
            self._open = session
            try:
                yield session
            finally:
                self._open = None

    def _pure(self, hook: str, answer: Any) -> Any:
        """A pure hook sees no session, so its rules are those of the one that is open."""
        return _called(self._open, hook, lambda _call: answer) if self._open else answer


def _called(
    session: Session,
    hook: str,
    work: Callable[[int], Any],
    badly: Callable[[int], Any] | None = None,
    batch: Batch | None = None,
) -> Any:
    """Write the call down, then do what it asks for, or what a rule makes of that."""
    of = (batch.id, len(batch)) if batch else (None, 0)
    call, count = session.ledger.begin(hook, *of)
    rule = next((rule for rule in session.rules if rule.applies(hook, count)), None)
    if rule is None:
        return work(call)
    quoting = str(batch.keys[0]) if batch else ""
    return faults.misbehave(rule, lambda: work(call), lambda: (badly or work)(call), quoting)


def _deliver(hook: str, session: Session, batch: Batch, target: Target) -> Delivery:
    rows = dict(zip(batch.keys.to_pylist(), batch.rows(), strict=True))
    refused = session.refuse & rows.keys()
    given = Given(batch.id, _list(target.options), hook == "remove", rows, refused)

    def take(call: int) -> Delivery:
        receipt = f"receipt-{call}" if session.receipts else None
        session.ledger.take(call, given, "pending" if receipt else "done", receipt)
        return Delivery(receipt, () if receipt else _rejections(refused))

    def take_half(call: int) -> None:
        first = dict(list(rows.items())[: len(rows) // 2])
        session.ledger.take(call, replace(given, rows=first), "half")

    answer: Delivery = _called(session, hook, take, take_half, batch)
    return answer


def _settled(session: Session, receipt: str, end: Literal["done", "failed"]) -> Settlement:
    taken = session.ledger.asked(receipt)
    if taken is None:
        return Settlement(receipt, "failed", reason="nobody knows this receipt")
    if taken.state == "pending":
        early = time.time() - taken.at < session.settle_after_seconds
        if early or taken.asked < session.settle_after_asks:
            return Settlement(receipt, "pending")
        session.ledger.settle(taken.call, end)
    if "failed" in (taken.state, end) and taken.state != "done":
        return Settlement(receipt, "failed", reason="a rule says so")
    return Settlement(receipt, "done", _rejections(taken.refused))


def _delivery(taken: Taken) -> Delivery:
    return Delivery(taken.receipt, () if taken.receipt else _rejections(taken.refused))


def _rejections(keys: Iterable[str]) -> tuple[Rejection, ...]:
    return tuple(Rejection(key, "on the list of refused keys") for key in sorted(keys))


def _list(options: Mapping[str, Any]) -> str:
    return str(options.get("list", "everybody"))


@contextmanager
def _session(connection: Connection) -> Iterator[Session]:
    options = connection.options
    with open_ledger(connection.workspace / options["folder"]) as ledger:
        yield Session(
            ledger,
            faults.read_rules(options.get("faults", ())),
            receipts=options.get("receipts", False),
            settle_after_asks=options.get("settle_after_asks", 1),
            settle_after_seconds=options.get("settle_after_seconds", 0),
            finds=options.get("find_delivery", "knows") == "knows",
            refuse=frozenset(options.get("refuse", ())),
            row_bytes=options.get("row_bytes", 100),
        )
