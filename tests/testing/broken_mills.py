"""Destinations that break the contract, each in one way that authors break it by accident.

This is a module of tests that `test_contract.py` runs in a process of its own: `MUST_FAIL` says by
which test each is found. The honest ones are here too, and pass.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exportkit import (
    AccessDeniedError,
    Batch,
    Catalogue,
    Column,
    Delivery,
    Description,
    DestinationError,
    FieldMapping,
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
from exportkit.testing import DestinationContract

from .mill import KEY, MOST_ROWS, NOWHERE, Mill, Service, Session, row_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exportkit.testing import Rehearsal

MUST_FAIL: dict[str, str] = {}
"""By class, the one test that must fail."""


class Contract(DestinationContract):
    """What all these have in common."""

    __test__ = False
    type = "mill"
    connection_options = {"url": "{server}", "api_key": KEY}
    denied_options = {"url": "{server}", "api_key": "the wrong key entirely"}
    most_rows = 100

    @contextmanager
    def server(self) -> Iterator[Service]:
        with Service() as service:
            service.repeats = self.repeatable
            yield service

    def bad_row(self, number: int) -> dict[str, str | None]:
        email = f"drifter.{number}@example.com"
        return {"email": email, "first_name": f"Drifter {number}", "city": NOWHERE}

    def arrived(self, stand: Rehearsal) -> list[str]:
        members: list[str] = stand.server.members
        return members


FEWER_FAULTS = ("drop", "reset after", "garble")
"""For what is broken. What another test has to find is spared faults: it takes long enough."""


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """As a plugin of pytest, which `test_contract.py` makes of this module."""
    items[:] = [each for each in items if _is_needed(each)]


def _is_needed(item: Any) -> bool:
    from .more_broken_mills import FOUND_BY

    calls, name, test = getattr(item, "callspec", None), item.cls.__name__, item.originalname
    if name in FOUND_BY:
        needed = test == FOUND_BY[name][0]
    else:
        needed = test != SURVIVES or MUST_FAIL.get(name, SURVIVES) == SURVIVES
    broken = name in FOUND_BY or name in MUST_FAIL
    return needed and (calls is None or not broken or calls.params["fault"] in FEWER_FAULTS)


SURVIVES = "test_it_survives_a_faulty_server"


def must_fail(test: str, **attributes: Any) -> Any:
    """Make the contract of a broken plugin, which that test has to find."""

    def declare(plugin: type[Any]) -> type[Any]:
        name = f"Test{plugin.__name__}"
        about = {"plugin": plugin(), "__test__": True, "__module__": __name__, **attributes}
        globals()[name] = type(name, (Contract,), about)
        MUST_FAIL[name] = test
        return plugin

    return declare


class TestHonest(Contract):
    __test__ = True
    plugin = Mill()


class TestHonestAndRepeatable(Contract):
    __test__ = True
    plugin = Mill()
    repeatable = True


@must_fail("test_it_describes_itself_offline")
class OtherFactsEachTime(Mill):
    numbers = count()

    @hookimpl
    def describe_destination(self) -> Description:
        return replace(self.description, title=f"Paper mill {next(self.numbers)}")


@must_fail("test_its_options_hold_together")
class WrongDefault(Mill):
    description = replace(
        Mill.description,
        job_options={
            "type": "object",
            "properties": {"retries": {"type": "string", "default": 3}},
        },
    )


@must_fail("test_what_it_says_it_can_it_can")
class NothingLeavesTheMachine(Mill):
    description = replace(Mill.description, third_party=False)


@must_fail("test_what_it_says_it_can_it_can")
class MirrorWithoutRemove(Mill):
    remove = None


@must_fail("test_it_connects_and_closes")
class SwallowsErrors(Mill):
    @hookimpl
    @contextmanager
    def connect(self, connection: Any) -> Iterator[Session]:
        try:
            yield Session(connection.options["url"], connection.options["api_key"])
        except RuntimeError:
            return


@must_fail("test_it_connects_and_closes")
class LeavesAConnectionOpen(Mill):
    kept: list[Any] = []

    @hookimpl
    @contextmanager
    def connect(self, connection: Any) -> Iterator[Session]:
        import socket

        session = Session(connection.options["url"], connection.options["api_key"])
        address = session.url.hostname, session.url.port
        self.kept.append(socket.create_connection(address))
        yield session


@must_fail("test_wrong_credentials_are_said_to_be_wrong")
class DeniedIsAnyError(Mill):
    class session(Session):  # noqa: N801
        def call(self, method: str, path: str, body: Any = None) -> Any:
            try:
                return super().call(method, path, body)
            except AccessDeniedError:
                raise DestinationError("the mill refuses the call") from None


@must_fail("test_it_describes_its_target")
class AnotherIdentityEachTime(Mill):
    @hookimpl
    def describe_target(self, session: Session) -> Catalogue:
        found = session.call("GET", "/list")
        return Catalogue(found["name"], str(time.time_ns()))


@must_fail("test_it_maps_without_a_call")
class MapsByTheClock(Mill):
    numbers = count(20)

    @hookimpl
    def map_fields(self, mapping: FieldMapping) -> list[Column]:
        known = {column.name: column for column in self.description.fields}
        columns = [known[name] for name in mapping.names]
        return [*columns[:2], replace(columns[2], max_length=next(self.numbers))]


@must_fail("test_it_measures_what_it_sends")
class MeasuresHalf(Mill):
    @hookimpl
    def measure(self, target: Target, columns: Any) -> Any:
        import pyarrow as pa

        return pa.array([len(row_text(row)) // 2 for row in columns.to_pylist()])


@must_fail("test_every_key_has_one_answer")
class OneReceiptForAll(Mill):
    last = ""

    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        type(self).last = super().push(session, batch).receipt or ""
        return Delivery("the latest")

    @hookimpl
    def find_delivery(self, session: Session, batch: Batch) -> Finding:
        found = super().find_delivery(session, batch)
        if found.state == "taken":
            type(self).last = batch.id
            return Finding("taken", Delivery("the latest"))
        return found

    def settled(self, session: Session, receipt: str) -> Settlement:
        return replace(super().settled(session, self.last), receipt=receipt)


@must_fail("test_odd_values_are_no_exceptions")
class KnowsOneAlphabet(Mill):
    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        for row in batch.rows():
            row_text(row).encode("latin-1")
        return super().push(session, batch)


@must_fail("test_bad_rows_are_rejections")
class OneBadRowStopsAll(Mill):
    def settled(self, session: Session, receipt: str) -> Settlement:
        if (found := super().settled(session, receipt)).rejections:
            raise DestinationError("the mill refuses a row")
        return found


@must_fail("test_it_takes_what_its_limits_allow")
class SaysThatItTakesMore(Mill):
    description = replace(Mill.description, limits=Limits(MOST_ROWS * 2, batch_bytes=100_000))


@must_fail("test_it_takes_what_its_limits_allow")
class TakesShorterNames(Mill):
    def settled(self, session: Session, receipt: str) -> Settlement:
        found = super().settled(session, receipt)
        return replace(found, rejections=(*found.rejections, *self.too_long.get(receipt, ())))

    too_long: dict[str, list[Rejection]] = {}

    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        long = [row["email"] for row in batch.rows() if len(row["first_name"] or "") > 35]
        self.too_long[batch.id] = [Rejection(str(key), "too long") for key in long]
        return super().push(session, batch)


@must_fail("test_the_same_batch_again", repeatable=True)
class SaysThatItRepeats(Mill):
    """Its service takes everything again."""

    class session(Session):  # noqa: N801
        numbers = count()

        def call(self, method: str, path: str, body: Any = None) -> Any:
            if path == "/imports" and body["name"] in self.seen:
                again = {**body, "name": f"{body['name']}-{next(self.numbers)}"}
                return super().call(method, path, again)
            answer = super().call(method, path, body)
            if path == "/imports":
                self.seen.add(body["name"])
            return answer

        seen: set[str] = set()


@must_fail("test_it_finds_what_was_taken")
class RemembersInMemory(Mill):
    class session(Session):  # noqa: N801
        def __init__(self, *about: Any) -> None:
            super().__init__(*about)
            self.seen: set[str] = set()

    @hookimpl
    def push(self, session: Any, batch: Batch) -> Delivery:
        session.seen.add(batch.id)
        return super().push(session, batch)

    @hookimpl
    def find_delivery(self, session: Any, batch: Batch) -> Finding:
        if batch.id not in session.seen:
            return Finding("not_taken")
        return super().find_delivery(session, batch)


@must_fail("test_it_finds_what_was_taken")
class SaysThatALaterRunMayRepeat(RemembersInMemory):
    """Its service takes everything again."""

    @hookimpl
    def find_delivery(self, session: Any, batch: Batch) -> Finding:
        finding = Mill.find_delivery(self, session, batch)
        ours = batch.id in session.seen or finding.state != "taken"
        return finding if ours else Finding("repeat")


@must_fail("test_a_later_session_settles")
class ForgetsReceipts(Mill):
    class session(Session):  # noqa: N801
        def __init__(self, *about: Any) -> None:
            super().__init__(*about)
            self.seen: set[str] = set()

    @hookimpl
    def push(self, session: Any, batch: Batch) -> Delivery:
        session.seen.add(batch.id)
        return super().push(session, batch)

    @hookimpl
    def settle(self, session: Any, receipts: Sequence[str]) -> list[Settlement]:
        return [
            self.settled(session, receipt)
            if receipt in session.seen
            else Settlement(receipt, "failed", reason="of another session")
            for receipt in receipts
        ]


@must_fail("test_who_is_removed_is_gone")
class RemovesEverybody(Mill):
    everybody: set[str] = set()

    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        self.everybody.update(batch.keys.to_pylist())
        return super().push(session, batch)

    @hookimpl
    def remove(self, session: Session, batch: Batch) -> Delivery:
        session.call("POST", "/removals", {"emails": sorted(self.everybody)})
        return Delivery()


@must_fail("test_it_waits_as_long_as_it_is_asked_to")
class ForgetsRetryAfter(Mill):
    class session(Session):  # noqa: N801
        def call(self, method: str, path: str, body: Any = None) -> Any:
            try:
                return super().call(method, path, body)
            except ThrottledError:
                raise ThrottledError("the mill is busy") from None


@must_fail("test_it_waits_as_long_as_it_is_asked_to")
class TriesAgainAtOnce(Mill):
    class session(Session):  # noqa: N801
        def call(self, method: str, path: str, body: Any = None) -> Any:
            try:
                return super().call(method, path, body)
            except ThrottledError:
                return super().call(method, path, body)


@must_fail(SURVIVES)
class LostIsNotTaken(Mill):
    class session(Session):  # noqa: N801
        def unclear(self, method: str) -> DestinationError:
            return UnavailableError("the mill does not answer")


@must_fail(SURVIVES)
class BelievesEveryAnswer(Mill):
    class session(Session):  # noqa: N801
        def unclear(self, method: str) -> Any:
            return json.JSONDecodeError("what is this", "", 0)


@must_fail(SURVIVES)
class RefusesRowsForAFault(Mill):
    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        try:
            return super().push(session, batch)
        except OutcomeUnknownError:
            no = [Rejection(key, "the mill failed") for key in batch.keys.to_pylist()]
            return Delivery(rejections=no)


@must_fail(SURVIVES)
class NotFoundIsNotTaken(Mill):
    @hookimpl
    def find_delivery(self, session: Session, batch: Batch) -> Finding:
        try:
            return super().find_delivery(session, batch)
        except DestinationError:
            return Finding("not_taken")


@must_fail(SURVIVES)
class UnclearIsFailed(Mill):
    def settled(self, session: Session, receipt: str) -> Settlement:
        try:
            return super().settled(session, receipt)
        except DestinationError:
            return Settlement(receipt, "failed", reason="the mill does not answer")


@must_fail(SURVIVES, connection_for=lambda _, service: {"url": service.url, "api_key": KEY})
class CallsPastTheProxy(Mill):
    """Honest; but its author forgot `{server}`, so that nothing was tried."""


PERSONAL = "test_it_says_nothing_of_people_and_secrets"


@must_fail(PERSONAL)
class PrintsAddresses(Mill):
    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        print("sending", batch.keys.to_pylist())
        return super().push(session, batch)


@must_fail(PERSONAL)
class LogsNames(Mill):
    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        for row in batch.rows():
            logging.getLogger("mill").warning("sending %s", row["first_name"])
        return super().push(session, batch)


@must_fail(PERSONAL)
class QuotesItsKey(Mill):
    class session(Session):  # noqa: N801
        def unclear(self, method: str) -> DestinationError:
            error = super().unclear(method)
            return type(error)(f"the mill did not answer to {self.key}")


@must_fail(PERSONAL)
class QuotesPeopleInReasons(Mill):
    def settled(self, session: Session, receipt: str) -> Settlement:
        found = super().settled(session, receipt)
        no = tuple(Rejection(each.key, f"{each.key} has no address") for each in found.rejections)
        return replace(found, rejections=no)


class WholeFile:
    """A destination that is replaced as a whole."""

    @hookimpl
    def describe_destination(self) -> Description:
        options = {"path": {"type": "string", "format": "output-path"}}
        schema = {"type": "object", "required": ["path"], "properties": options}
        return Description("File", job_options=schema, third_party=False, whole=True)

    @hookimpl
    @contextmanager
    def connect(self) -> Iterator[list[str]]:
        yield []

    @hookimpl
    def push(self, session: list[str], batch: Batch, target: Target) -> Delivery:
        session += batch.keys.to_pylist()
        return Delivery()

    @hookimpl
    def finish(self, session: list[str], target: Target) -> None:
        path = Path(target.options["path"])
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(session))


def lines_of(_contract: Any, stand: Rehearsal) -> list[str]:
    path = Path(stand.options["path"])
    return path.read_text().split("\n") if path.exists() else []


FILE: dict[str, Any] = {
    "type": "file",
    "connection_options": {},
    "denied_options": None,
    "job_options": {"path": "out/people.txt"},
    "server": DestinationContract.server,
    "bad_row": DestinationContract.bad_row,
    "arrived": lines_of,
}


class TestHonestFile(Contract):
    __test__ = True
    plugin = WholeFile()
    locals().update(FILE)


@must_fail("test_a_whole_shows_at_its_end", **FILE)
class WritesAtOnce(WholeFile):
    @hookimpl
    def push(self, session: list[str], batch: Batch, target: Target) -> Delivery:
        answer = super().push(session, batch, target)
        self.finish(session, target)
        return answer
