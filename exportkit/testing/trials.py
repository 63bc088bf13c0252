"""What a destination is held to while its server misbehaves."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.errors import (
    DestinationError,
    ExportkitError,
    JobError,
    OutcomeUnknownError,
    QuotaSpentError,
    ThrottledError,
)
from exportkit.testing.proxy import Exchange, Fault, throttled
from exportkit.testing.verdicts import broken, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exportkit.records import Batch, Target
    from exportkit.testing.proxy import FaultyProxy
    from exportkit.testing.rehearsal import Rehearsal

MOST_CALLS = 3
"""How many calls of one hook are disturbed, each in a trial of its own."""
ASKED_TO_WAIT = 2
"""Seconds: more than a plugin that knows no Retry-After would guess."""


def proxy_of(stand: Rehearsal) -> FaultyProxy:
    """The proxy before the server; without one the test is skipped."""
    if stand.proxy is None:
        pytest.skip("there is no server: the test class has no `server`")
    return stand.proxy


def each_call(proxy: FaultyProxy, quiet: Callable[[], Any], fault: Fault) -> Iterator[int]:
    """Once for each call that `quiet` takes, with that call disturbed; answers its number.

    The next time that it is called, that is.
    """
    before = proxy.passed
    quiet()
    for number in range(min(proxy.passed - before, MOST_CALLS)):
        proxy.next_calls(*[None] * number, fault)
        yield number + 1
        proxy.next_calls()


def survives(stand: Rehearsal, fault: Fault, name: str) -> None:
    """Each hook that calls the server ends in one of the contract's ways, whichever call fails."""
    proxy = proxy_of(stand)
    with stand.session() as session:
        look = partial(stand.destination.describe_target, session, stand.options, planning=False)
        for _ in each_call(proxy, look, fault):
            with suppress(DestinationError):
                _attempt(stand, "describe_target", name, look)
        target = stand.target(session)
        _pushes(stand, session, target, fault, name)
        if stand.destination.can("settle"):
            _settles(stand, session, target, fault, name)
        if stand.destination.can("find_delivery"):
            _finds(stand, session, target, fault, name)
        if stand.destination.can("remove"):
            _removes(stand, fault, name)
    if stand.destination.can("finish"):
        _finishes(stand, fault, name)
    if not proxy.passed:
        asked = "the text `{server}` in the test class, where its address belongs in the options"
        broken("connect", "none of its calls came to the server that the test class starts", asked)


def _attempt(stand: Rehearsal, hook: str, fault: str, call: Callable[[], Any]) -> Any:
    """The answer of a disturbed call; a DestinationError passes, all else fails the test."""
    try:
        return call()
    except DestinationError:
        raise
    except JobError as error:
        did = f"a server with the fault '{fault}' was told as a JobError: {error.message}"
        broken(hook, did, "a DestinationError: nobody can mend this in the job's file")
    except ExportkitError as error:
        refused(stand, error)


def _pushes(stand: Rehearsal, session: Any, target: Target, fault: Fault, name: str) -> None:
    proxy, push = proxy_of(stand), stand.destination.push
    # What a first call takes beside, such as signing in, is no part of a call of its own.
    stand.deliver(session, target, stand.batch(stand.some(2)))
    before = proxy.passed
    push(session, stand.batch(stand.some(2)), target)
    number = proxy.passed - before
    for at in range(min(number, MOST_CALLS)):
        batch = stand.batch(stand.some(2))
        before = proxy.passed
        proxy.next_calls(*[None] * at, fault)
        try:
            delivery = _attempt(stand, "push", name, partial(push, session, batch, target))
        except OutcomeUnknownError:
            delivery = None
        except DestinationError as error:
            delivery = None
            _was_not_taken(stand, batch, error, before, name)
        finally:
            proxy.next_calls()
        if delivery is not None:
            no = stand.settled(session, target, batch, delivery)
            _refuses_nobody("push", no, name)
        elif stand.contract.repeatable or stand.destination.can("find_delivery"):
            _looks_again(stand, session, target, batch, name)
        else:
            continue  # at most this one batch may be doubled
        _arrived_once(stand, batch, name)


def _was_not_taken(
    stand: Rehearsal, batch: Batch, error: DestinationError, before: int, fault: str
) -> None:
    """After this error the host sends the batch again, without a question."""
    if stand.contract.repeatable or stand.description.whole:
        return
    there = stand.arrived()
    if there is not None:
        taken = any(key in there for key in batch.keys.to_pylist())
    else:
        taken = any(call.fault is not None and call.taken for call in _calls(stand, before))
    if taken:
        did = (
            f"with the fault '{fault}' the server had taken the batch, and it raised "
            f"{type(error).__name__}: the host sends the batch again, and its rows arrive twice"
        )
        asked = (
            "OutcomeUnknownError, wherever a call may have been taken; or, if the same batch twice "
            "is as good as once, `repeatable = True` in the test class"
        )
        broken("push", did, asked)


def _calls(stand: Rehearsal, before: int) -> tuple[Exchange, ...]:
    return tuple(proxy_of(stand).since(before))


def _looks_again(stand: Rehearsal, session: Any, target: Target, batch: Batch, fault: str) -> None:
    """As the host after an answer that was lost: ask, and send again what was not taken."""
    if stand.destination.can("find_delivery"):
        there, keys = stand.arrived(), batch.keys.to_pylist()
        find = stand.destination.find_delivery
        finding = stand.calmly(lambda: find(session, batch, target))
        taken = None if there is None or stand.description.whole else keys[0] in there
        if finding.state == "not_taken" and taken and not stand.contract.repeatable:
            did = f"after the fault '{fault}' it did not find a batch that the server had taken"
            broken("find_delivery", did, "'taken', or 'unknown' while nobody can tell")
        if finding.state == "taken" and taken is False:
            did = f"after the fault '{fault}' it found a batch that the server had not taken"
            broken("find_delivery", did, "'not_taken': these rows would never be sent")
        if finding.state == "taken":
            stand.settled(session, target, batch, finding.delivery)
            return
        if finding.state == "unknown":
            pytest.skip(f"'unknown' after the fault '{fault}': the host waits, so nothing is lost")
    _refuses_nobody("push", stand.deliver(session, target, batch), fault)


def _refuses_nobody(hook: str, no: Any, fault: str) -> None:
    if no:
        did = f"the fault '{fault}' became a no to {len(no)} rows: {no[0].reason!r}"
        asked = "one of the errors: a refused row is not sent again until it changes"
        broken(hook, did, asked)


def _arrived_once(stand: Rehearsal, batch: Batch, fault: str) -> None:
    there = stand.arrived()
    if there is None or stand.description.whole:
        return
    counts = [there.count(key) for key in batch.keys.to_pylist()]
    if 0 in counts:
        did = f"after the fault '{fault}' rows that it answered as taken are not there"
        broken("push", did, "an answer only after the service has said that it took them")
    if max(counts) > 1:
        broken("push", f"after the fault '{fault}' rows arrived twice", "each row once")


def _settles(stand: Rehearsal, session: Any, target: Target, fault: Fault, name: str) -> None:
    proxy = proxy_of(stand)

    def pushed() -> tuple[Batch, str | None]:
        batch = stand.batch(stand.some(2))
        delivery = stand.calmly(lambda: stand.destination.push(session, batch, target))
        return batch, delivery.receipt

    batch, receipt = pushed()
    if receipt is None:
        return
    before = proxy.passed
    stand.settlement(session, target, batch, receipt)
    for at in range(min(proxy.passed - before, MOST_CALLS)):
        batch, receipt = pushed()
        assert receipt is not None
        proxy.next_calls(*[None] * at, fault)
        ask = partial(stand.destination.settle, session, [receipt], target, _always(batch))
        with suppress(DestinationError):
            (found,) = _attempt(stand, "settle", name, ask)
            if found.state == "failed":
                did = f"the fault '{name}' became a 'failed': its rows are sent again"
                broken("settle", did, "one of the errors, or 'pending', while nobody can tell")
            _refuses_nobody("settle", found.rejections, name)
        proxy.next_calls()
        last = stand.settlement(session, target, batch, receipt)
        _refuses_nobody("settle", last.rejections, name)
        _arrived_once(stand, batch, name)


def _always(batch: Batch) -> Callable[[str], Batch]:
    return lambda _receipt: batch


def _finds(stand: Rehearsal, session: Any, target: Target, fault: Fault, name: str) -> None:
    proxy, find = proxy_of(stand), stand.destination.find_delivery
    batch = stand.batch(stand.some(2))
    stand.deliver(session, target, batch)
    for _ in each_call(proxy, lambda: find(session, batch, target), fault):
        with suppress(DestinationError):
            found = _attempt(stand, "find_delivery", name, lambda: find(session, batch, target))
            if found.state == "not_taken":
                did = f"with the fault '{name}' it answered 'not_taken' of a batch that was taken"
                broken("find_delivery", did, "'unknown', or one of the errors: never a guess")


def _removes(stand: Rehearsal, fault: Fault, name: str) -> None:
    """Removals come after all additions of a run, so each is tried in a session of its own."""
    proxy, people = proxy_of(stand), stand.rows(MOST_CALLS + 1)
    with stand.session() as session:
        stand.deliver_all(session, stand.target(session), people)
    calls, at = MOST_CALLS, -1  # the first is not disturbed, and says how many there are
    for person in people:
        if at >= calls:
            break
        gone = stand.batch([person], "remove")
        with stand.session() as session, suppress(DestinationError):
            target, before = stand.target(session), proxy.passed
            if at >= 0:
                proxy.next_calls(*[None] * at, fault)
            remove = partial(stand.destination.remove, session, gone, target)
            found = _attempt(stand, "remove", name, remove)
            _refuses_nobody("remove", found.rejections, name)
            if at < 0:
                calls = min(proxy.passed - before, MOST_CALLS)
        proxy.next_calls()
        with stand.session() as session:
            stand.deliver(session, stand.target(session), gone)
        if (there := stand.arrived()) is not None and gone.keys[0].as_py() in there:
            broken("remove", f"after the fault '{name}' the person is still there", "they are gone")
        at += 1


def _finishes(stand: Rehearsal, fault: Fault, name: str) -> None:
    """A run whose end fails begins anew, so each is tried in a session of its own."""
    proxy, whole = proxy_of(stand), stand.description.whole
    calls, at = MOST_CALLS, -1
    while at < calls:
        with stand.session() as session, suppress(DestinationError):
            target, batch = stand.target(session), stand.batch(stand.some(2))
            stand.deliver(session, target, batch)
            before = proxy.passed
            if at >= 0:
                proxy.next_calls(*[None] * at, fault)
            _attempt(stand, "finish", name, partial(stand.finish, session, target))
            if at < 0:
                calls = min(proxy.passed - before, MOST_CALLS)
            there, keys = stand.arrived(), batch.keys.to_pylist()
            if whole and there is not None and sorted(there) != sorted(keys):
                did = f"with the fault '{name}' it ended well, and the target is not what was sent"
                broken("finish", did, "an end only after the service has said that it took all")
        proxy.next_calls()
        at += 1


def is_throttled(stand: Rehearsal) -> None:
    """After a 429 the plugin waits as long as it is asked to, or tells the host to."""
    proxy, push = proxy_of(stand), stand.destination.push
    asked = (
        f"a pause of {ASKED_TO_WAIT} seconds, or ThrottledError(retry_after={ASKED_TO_WAIT}): the "
        "service said Retry-After"
    )
    with stand.session() as session:
        target = stand.target(session)
        stand.deliver(session, target, stand.batch(stand.some(2)))
        quiet = lambda: push(session, stand.batch(stand.some(2)), target)  # noqa: E731
        for _ in each_call(proxy, quiet, throttled(ASKED_TO_WAIT)):
            before = proxy.passed
            batch = stand.batch(stand.some(2))
            try:
                delivery = _attempt(stand, "push", "429", partial(push, session, batch, target))
            except ThrottledError as error:
                if (error.retry_after or 1.0) < ASKED_TO_WAIT:
                    did = f"after a 429 it raised ThrottledError(retry_after={error.retry_after})"
                    broken("push", did, asked)
                continue
            except QuotaSpentError:
                continue
            except DestinationError as error:
                broken("push", f"after a 429 it raised {type(error).__name__}", asked)
            _waited(_calls(stand, before), asked)
            proxy.next_calls()
            no = stand.settled(session, target, batch, delivery)
            _refuses_nobody("push", no, "429")
            _arrived_once(stand, batch, "429")


def _waited(calls: tuple[Exchange, ...], asked: str) -> None:
    at = next((number for number, call in enumerate(calls) if call.fault is not None), None)
    if at is None:
        return
    if at + 1 == len(calls):
        did = "after a 429 it answered as if the batch had been taken, without another call"
        broken("push", did, asked)
    waited = calls[at + 1].began - calls[at].ended
    if waited < ASKED_TO_WAIT - 0.1:
        broken("push", f"after a 429 it called again after {waited:.1f} seconds", asked)
