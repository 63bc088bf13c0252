"""What a destination may say, whatever happens to it: nothing of people and credentials."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from exportkit.errors import ExportkitError
from exportkit.redaction import without_secrets
from exportkit.testing.hearing import Said
from exportkit.testing.proxy import FAULTS
from exportkit.testing.verdicts import broken

if TYPE_CHECKING:
    from exportkit.testing.rehearsal import Rehearsal


def live_through_everything(stand: Rehearsal) -> None:
    """Every hook once, with a row that is refused, and a push into each fault.

    What a fault ends in is another test's matter.
    """
    bad, push = stand.contract.bad_row(800_000), stand.destination.push
    with stand.session() as session:
        target = stand.target(session)
        people, batch = stand.rows(3), stand.batch(stand.rows(1))
        with suppress(ExportkitError):
            stand.deliver_all(session, target, [*people, *([dict(bad)] if bad else [])])
            stand.deliver(session, target, batch)
        if stand.destination.can("find_delivery"):
            with suppress(ExportkitError):
                stand.destination.find_delivery(session, batch, target)
        if stand.proxy is not None:
            for fault in FAULTS.values():
                stand.proxy.next_calls(fault)
                with suppress(ExportkitError):
                    push(session, stand.batch(stand.some(2)), target)
            stand.proxy.next_calls()
        if stand.destination.can("remove"):
            with suppress(ExportkitError):
                stand.deliver(session, target, stand.batch(people[:1], "remove"))
        with suppress(ExportkitError):
            stand.finish(session, target)


def says_nothing_personal(stand: Rehearsal, printed: str) -> None:
    """No value of a row and no credential in anything that it printed, logged or raised."""
    stand.ear.said.append(Said("push", "a stream", printed))
    values = [value for row in stand.handed_over for value in row.values() if value]
    often = {value for value in values if values.count(value) > len(stand.handed_over) / 2}
    for what, known in ("a person", set(values) - often), ("a credential", stand.secrets):
        for said in stand.ear.leaks(known):
            did = f"it wrote {what} to {said.how}: {without_secrets(said.text.strip())[:300]!r}"
            asked = "words without values of profiles and without credentials; counts are fine"
            broken(said.hook, did, asked)
