"""The other ways in which each test finds something: here only the test that must fail is run."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
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
    Finding,
    JobError,
    Limits,
    OutcomeUnknownError,
    Rejection,
    Settlement,
    Target,
    ThrottledError,
    UnavailableError,
    hookimpl,
)

from .broken_mills import FILE, PERSONAL, SURVIVES, Contract, WholeFile
from .mill import KEY, NOWHERE, Mill, Session

if TYPE_CHECKING:
    from collections.abc import Iterator

FOUND_BY: dict[str, tuple[str, str]] = {}
"""By class, the test that finds it, and words of what it says."""


def found_by(test: str, says: str, **attributes: Any) -> Any:
    """Make the contract of a broken plugin, which that test has to find, in these words."""

    def declare(plugin: type[Any]) -> type[Any]:
        name = f"Test{plugin.__name__}"
        about = {"plugin": plugin(), "__test__": True, "__module__": __name__, **attributes}
        globals()[name] = type(name, (Contract,), about)
        FOUND_BY[name] = test, says
        return plugin

    return declare


def described(**facts: Any) -> Description:
    return replace(Mill.description, **facts)


@found_by("test_it_describes_itself_offline", "it does not load")
class AsksItsServerForFacts(Mill):
    @hookimpl
    def describe_destination(self) -> Description:
        Session("http://127.0.0.1:9", KEY).call("GET", "/list")
        return self.description


@found_by(
    "test_its_options_hold_together",
    "requires 'tray', which is not among its properties",
    connection_options={"url": "{server}", "api_key": KEY, "tray": "7"},
)
class RequiresWhatItDoesNotDescribe(Mill):
    description = described(
        connection_options={
            **Mill.description.connection_options,
            "required": ["tray"],
            "additionalProperties": True,
        }
    )


@found_by("test_what_it_says_it_can_it_can", "not the mode 'mirror'")
class RemovesForNobody(Mill):
    description = described(modes=("upsert",))


@found_by("test_what_it_says_it_can_it_can", "no hook 'measure'")
class NeverMeasured(Mill):
    measure = None


@found_by("test_what_it_says_it_can_it_can", "no limit batch_bytes")
class MeasuresForNobody(Mill):
    description = described(limits=Limits(50))


@found_by("test_it_connects_and_closes", "closing the session after an error raised")
class CannotBeClosedAfterAnError(Mill):
    @hookimpl
    @contextmanager
    def connect(self, connection: Any) -> Iterator[Session]:
        try:
            yield Session(connection.options["url"], connection.options["api_key"])
        except RuntimeError:
            raise DestinationError("the mill cannot be left") from None


@found_by("test_it_connects_and_closes", "the thread 'miller' stayed open")
class LeavesAThread(Mill):
    @hookimpl
    @contextmanager
    def connect(self, connection: Any) -> Iterator[Session]:
        threading.Thread(target=time.sleep, args=(3,), name="miller", daemon=True).start()
        yield Session(connection.options["url"], connection.options["api_key"])


@found_by("test_wrong_credentials_are_said_to_be_wrong", "it worked with credentials")
class AsksForNoKey(Mill):
    class session(Session):  # noqa: N801
        def __init__(self, url: str, key: str) -> None:
            super().__init__(url, KEY)


@found_by("test_it_describes_its_target", "planning changed the target")
class PlansByDoing(Mill):
    @hookimpl
    def describe_target(self, session: Session) -> Catalogue:
        people = [{"email": f"planned.{time.time_ns()}@example.com"}]
        session.call("POST", "/imports", {"name": "a plan", "people": people})
        return Catalogue("Everybody", "list-7")


@found_by("test_it_describes_its_target", "it names the field 'city' again")
class FindsWhatItDeclared(Mill):
    @hookimpl
    def describe_target(self, session: Session) -> Catalogue:
        return Catalogue("Everybody", "list-7", fields=(Column("city"),))


@found_by("test_it_maps_without_a_call", "there is no network here")
class AsksWhileItMaps(Mill):
    @hookimpl
    def map_fields(self, mapping: Any, target: Target) -> list[Column]:
        import socket

        with suppress(ConnectionError):  # nobody listens; but it did ask
            socket.create_connection(("127.0.0.1", 9), timeout=1).close()
        return [column for column in self.description.fields if column.name in mapping]


@found_by("test_it_measures_what_it_sends", "other sizes each time")
class MeasuresByTheClock(Mill):
    numbers = count(1000)

    @hookimpl
    def measure(self, target: Target, columns: Any) -> Any:
        import pyarrow as pa

        return pa.array([next(self.numbers)] * columns.num_rows)


@found_by("test_every_key_has_one_answer", "did not arrive")
class LosesARow(Mill):
    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        people = list(batch.rows())[1:]
        session.call("POST", "/imports", {"name": batch.id, "people": people})
        return Delivery(batch.id)


@found_by("test_every_key_has_one_answer", "arrived nevertheless")
class RefusesWhatItTook(Mill):
    def settled(self, session: Session, receipt: str) -> Settlement:
        return replace(super().settled(session, receipt), rejections=self.no)

    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        self.no = (Rejection(batch.keys[0].as_py(), "not this one"),)
        return super().push(session, batch)


@found_by("test_every_key_has_one_answer", "arrived twice")
class SendsEverythingTwice(Mill):
    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        super().push(session, batch)
        return super().push(session, batch)


@found_by("test_every_key_has_one_answer", "and again when it was settled")
class RefusesTwice(RefusesWhatItTook):
    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        return replace(super().push(session, batch), rejections=self.no)


@found_by("test_every_key_has_one_answer", "not in the batch")
class AnswersForStrangers(Mill):
    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        return Delivery(rejections=[Rejection("nobody", "who is this?")])


@found_by("test_every_key_has_one_answer", "failed in push: KeyError")
class RaisesWhateverComes(Mill):
    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        raise KeyError("e-mail")


@found_by("test_bad_rows_are_rejections", "were answered as taken")
class TellsNobodyOfRefusals(Mill):
    def settled(self, session: Session, receipt: str) -> Settlement:
        return replace(super().settled(session, receipt), rejections=())


@found_by("test_bad_rows_are_rejections", "good rows were refused along")
class RefusesTheWholeBatch(Mill):
    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        if any(row["city"] == NOWHERE for row in batch.rows()):
            keys = batch.keys.to_pylist()
            return Delivery(rejections=[Rejection(key, "in bad company") for key in keys])
        return super().push(session, batch)


@found_by("test_it_takes_what_its_limits_allow", "of a batch within its limits")
class TakesFewer(Mill):
    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        over = batch.keys.to_pylist()[20:]
        answer = super().push(session, batch)
        return replace(answer, rejections=[Rejection(key, "too many") for key in over])


@found_by("test_it_finds_what_was_taken", "never handed over")
class FindsEverything(Mill):
    @hookimpl
    def find_delivery(self, session: Session, batch: Batch) -> Finding:
        return Finding("taken", Delivery(batch.id))


@found_by("test_it_finds_what_was_taken", "one batch for another")
class FindsBySize(Mill):
    sizes: set[int] = set()

    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        self.sizes.add(len(batch))
        return super().push(session, batch)

    @hookimpl
    def find_delivery(self, session: Session, batch: Batch) -> Finding:
        taken = len(batch) in self.sizes
        return Finding("taken", Delivery(batch.id)) if taken else Finding("not_taken")


@found_by("test_a_later_session_settles", "still says 'pending'", patience=0.2)
class NeverSettles(Mill):
    def settled(self, session: Session, receipt: str) -> Settlement:
        return Settlement(receipt, "pending")


@found_by("test_a_later_session_settles", "it answered otherwise")
class ChangesItsMind(Mill):
    numbers = count()

    def settled(self, session: Session, receipt: str) -> Settlement:
        return replace(super().settled(session, receipt), reason=f"word {next(self.numbers)}")


@found_by("test_who_is_removed_is_gone", "is still there")
class RemovesNobody(Mill):
    @hookimpl
    def remove(self, session: Session, batch: Batch) -> Delivery:
        return Delivery()


@found_by("test_who_is_removed_is_gone", "the mill knows nobody of them")
class CannotRemoveTwice(Mill):
    gone: set[str] = set()

    @hookimpl
    def remove(self, session: Session, batch: Batch) -> Delivery:
        keys = set(batch.keys.to_pylist())
        if keys <= self.gone:
            raise DestinationError("the mill knows nobody of them")
        self.gone |= keys
        return super().remove(session, batch)


@found_by("test_who_is_removed_is_gone", "it refused to take 2 of 2")
class RefusesToRemove(Mill):
    @hookimpl
    def remove(self, session: Session, batch: Batch) -> Delivery:
        return Delivery(rejections=[Rejection(key, "stays") for key in batch.keys.to_pylist()])


@found_by("test_a_whole_shows_at_its_end", "closing a session without `finish`", **FILE)
class WritesWhenClosed(WholeFile):
    path: Path | None = None

    @hookimpl
    @contextmanager
    def connect(self) -> Iterator[list[str]]:
        session: list[str] = []
        yield session
        if self.path:
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_text("\n".join(session))

    @hookimpl
    def finish(self, session: list[str], target: Target) -> None:
        self.path = Path(target.options["path"])
        super().finish(session, target)


@found_by("test_a_whole_shows_at_its_end", "not what this run delivered", **FILE)
class Appends(WholeFile):
    all: list[str] = []

    @hookimpl
    def finish(self, session: list[str], target: Target) -> None:
        self.all += session
        super().finish(self.all, target)


@found_by("test_it_waits_as_long_as_it_is_asked_to", "it raised DestinationError")
class BusyIsRefused(Mill):
    class session(Session):  # noqa: N801
        def call(self, method: str, path: str, body: Any = None) -> Any:
            try:
                return super().call(method, path, body)
            except ThrottledError:
                raise DestinationError("the mill refuses the call") from None


@found_by("test_it_waits_as_long_as_it_is_asked_to", "as if the batch had been taken")
class BusyIsTaken(Mill):
    class session(Session):  # noqa: N801
        def call(self, method: str, path: str, body: Any = None) -> Any:
            try:
                return super().call(method, path, body)
            except ThrottledError:
                return {}


@found_by(SURVIVES, "was told as a JobError")
class BlamesTheJob(Mill):
    class session(Session):  # noqa: N801
        def unclear(self, method: str) -> Any:
            return JobError("the mill is not there")


@found_by(SURVIVES, "rows that it answered as taken are not there")
class AnswersBeforeItKnows(Mill):
    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        try:
            super().push(session, batch)
        except DestinationError:
            return Delivery()
        return Delivery()


@found_by(SURVIVES, "it found a batch that the server had not taken")
class FindsWhatItSent(Mill):
    sent: set[str] = set()

    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        self.sent.add(batch.id)
        return super().push(session, batch)

    @hookimpl
    def find_delivery(self, session: Session, batch: Batch) -> Finding:
        taken = batch.id in self.sent
        return Finding("taken", Delivery(batch.id)) if taken else Finding("not_taken")


@found_by(SURVIVES, "became a no to")
class SettlesByRefusing(Mill):
    keys: dict[str, list[str]] = {}

    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        self.keys[batch.id] = batch.keys.to_pylist()
        return super().push(session, batch)

    def settled(self, session: Session, receipt: str) -> Settlement:
        try:
            return super().settled(session, receipt)
        except DestinationError:
            no = tuple(Rejection(key, "no answer") for key in self.keys[receipt])
            return Settlement(receipt, "done", no)


@found_by(SURVIVES, "it ended well, and the target is not what was sent")
class PublishesBlindly(Mill):
    """A whole that is sent by its end."""

    description = described(whole=True, modes=("full",), limits=Limits(50))
    remove = measure = settle = find_delivery = None

    @hookimpl
    def push(self, session: Any, batch: Batch) -> Delivery:
        session.rows = [*getattr(session, "rows", []), *batch.rows()]
        return Delivery()

    @hookimpl
    def finish(self, session: Any) -> None:
        try:
            session.call("POST", "/removals", {"emails": self.last})
            people = {"name": str(time.time_ns()), "people": session.rows}
            session.call("POST", "/imports", people)
        except (OutcomeUnknownError, UnavailableError, ThrottledError, AccessDeniedError):
            return
        finally:
            self.last = [row["email"] for row in session.rows]

    last: list[str] = []


@found_by(PERSONAL, "it wrote a person to stderr")
class WarnsOfPeople(Mill):
    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        import sys

        sys.stderr.write(f"{next(batch.rows())['city']}\n")
        return super().push(session, batch)


@found_by(PERSONAL, "it wrote a person to error")
class QuotesRowsInErrors(Mill):
    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        try:
            return super().push(session, batch)
        except OutcomeUnknownError:
            raise OutcomeUnknownError("lost", hint=f"look for {batch.keys[0]}") from None


@found_by(PERSONAL, "it wrote a person to a stream")
class PrintsPastPython(Mill):
    @hookimpl
    def push(self, session: Session, batch: Batch) -> Delivery:
        import os

        os.write(1, f"{batch.keys[0]}\n".encode())
        return super().push(session, batch)
