"""What a destination is held to when it delivers, while its server behaves well."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.errors import ExportkitError
from exportkit.testing.samples import ODD
from exportkit.testing.verdicts import broken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exportkit.records import Batch, Column, Delivery, Rejection, Target
    from exportkit.testing.rehearsal import Rehearsal, Row


def answers_once(stand: Rehearsal) -> None:
    """Every row of two batches is either refused, once, or taken; and what is taken is there."""
    with stand.session() as session:
        target = stand.target(session)
        batches = [stand.batch(stand.some(count)) for count in (3, 2)]
        answers = [
            stand.calmly(partial(stand.destination.push, session, batch, target))
            for batch in batches
        ]
        receipts = [answer.receipt for answer in answers if answer.receipt is not None]
        if len(set(receipts)) < len(receipts):
            broken("push", "it gave two batches one receipt", "a receipt that tells one batch")
        refused: list[Rejection] = []
        for batch, answer in zip(batches, answers, strict=True):
            found = stand.settled(session, target, batch, answer)
            keys = [rejection.key for rejection in found]
            if len(set(keys)) < len(keys):
                did = "it refused a row in the answer to `push`, and again when it was settled"
                broken("settle", did, "one answer for each row")
            refused += found
        stand.finish(session, target)
    keys = [key for batch in batches for key in batch.keys.to_pylist()]
    _are_there(stand, "push", keys, refused)


def _are_there(
    stand: Rehearsal, hook: str, keys: Sequence[str], refused: Sequence[Rejection] = ()
) -> None:
    """Those of the keys that were not refused have arrived, each once, and no other of them."""
    there = stand.arrived()
    if there is None:
        return
    no = {rejection.key for rejection in refused}
    lost = [key for key in keys if key not in no and key not in there]
    if lost:
        did = f"{len(lost)} of {len(keys)} rows were answered as taken, and did not arrive"
        broken(hook, did, "a rejection for every row that the service does not take")
    if sly := [key for key in keys if key in no and key in there]:
        did = f"{len(sly)} of {len(keys)} rows were refused, and arrived nevertheless"
        broken(hook, did, "a rejection only for what was not taken")
    if twice := [key for key in keys if there.count(key) > 1]:
        did = f"{len(twice)} of {len(keys)} rows arrived twice"
        broken(hook, did, "each row once")


def takes_odd_values(stand: Rehearsal) -> None:
    """Whatever text people have in their fields is taken or refused, row by row."""
    with stand.session() as session:
        target = stand.target(session)
        texts = [column for column in target.columns if column.kind == "text" and not column.key]
        texts = [column for column in texts if column.name in stand.row(0)]
        people = []
        for odd in ODD:
            (person,) = stand.rows(1)
            person |= {column.name: odd[: column.max_length] for column in texts}
            people.append(person)
        (nobody,) = stand.rows(1)
        people.append({**nobody, **{c.name: None for c in texts if not c.required}})
        reasons = stand.mapped(people)[2]
        fit = [person for person, reason in zip(people, reasons, strict=True) if not reason]
        if not texts or not fit:
            pytest.skip("it has no free text")
        keys, refused = stand.deliver_all(session, target, fit)
        stand.finish(session, target)
    _are_there(stand, "push", keys, refused)


def rejects_bad_rows(stand: Rehearsal) -> None:
    """One row that cannot be taken costs that row."""
    with stand.session() as session:
        target = stand.target(session)
        bad = [dict(stand.contract.bad_row(900_000 + number) or {}) for number in range(2)]
        good = stand.rows(3)
        people = [good[0], bad[0], good[1], bad[1], good[2]]
        try:
            keys, refused = stand.deliver_all(session, target, people)
        except ExportkitError as error:
            did = f"a bad row among good ones raised {type(error).__name__}"
            asked = "Delivery(rejections=[...]), or the same from settle, and the others go on"
            broken("push", did, asked)
        stand.finish(session, target)
    found, expected = {rejection.key for rejection in refused}, {keys[1], keys[3]}
    if missed := expected - found:
        did = f"{len(missed)} of 2 rows that the service refuses were answered as taken"
        broken("push", did, "a rejection with the service's reason")
    if found - expected:
        did = f"{len(found - expected)} good rows were refused along with 2 bad ones"
        broken("push", did, "a rejection for the bad rows alone")
    _are_there(stand, "push", keys, refused)


def keeps_its_limits(stand: Rehearsal) -> None:
    """A batch as large, and values as long, as the destination says that it takes."""
    from exportkit.engines.pieces import pieces

    limits, measured = stand.description.limits, stand.destination.can("measure")
    with stand.session() as session:
        target = stand.target(session)
        most = min(limits.batch_rows, stand.contract.most_rows)
        whole = stand.batch(stand.rows(most))
        measure = (lambda rows: stand.destination.measure(target, rows)) if measured else None
        _, piece = next(pieces([whole.data], most, limits.batch_bytes, measure))
        people = stand.handed_over[-most:][: piece.num_rows]
        refused = stand.deliver(session, target, stand.batch(people))
        if refused:
            did = f"it refused {len(refused)} of {len(people)} rows of a batch within its limits"
            broken("push", did, f"limits that hold; it said: {refused[0].reason!r}")
        for column in target.columns:
            longest = _longest(stand, column)
            if longest and (no := stand.deliver(session, target, stand.batch([longest]))):
                did = f"{column.name!r} takes {column.max_length} characters, it says, and refused"
                broken("map_fields", f"{did} a value of that length", f"it said: {no[0].reason!r}")
        stand.finish(session, target)


def _longest(stand: Rehearsal, column: Column) -> Row | None:
    """A person with the longest value that the column takes; None where it sets no limit."""
    (person,) = stand.rows(1)
    plain = column.kind == "text" and not column.key and column.expression is None
    if not plain or column.max_length is None or column.name not in person:
        return None
    for letter in ("é", "x"):
        longest = {**person, column.name: letter * column.max_length}
        if not any(stand.mapped([longest])[2]):
            return longest
    return None


def repeats(stand: Rehearsal) -> None:
    """The same batch again, as after an answer that was lost."""
    if not stand.contract.repeatable:
        pytest.skip("the test class does not promise that it is `repeatable`")
    with stand.session() as session:
        target = stand.target(session)
        batch = stand.batch(stand.some(3))
        first = stand.deliver(session, target, batch)
        again = stand.deliver(session, target, batch)
        stand.finish(session, target)
    if {each.key for each in first} != {each.key for each in again}:
        did = "the same batch again was answered otherwise than the first time"
        broken("push", did, "the same answer, as the test class says `repeatable = True`")
    if stand.arrived() is None:
        pytest.skip("answered alike; whether rows are doubled nobody saw: there is no `arrived`")
    _are_there(stand, "push", batch.keys.to_pylist(), again)


def finds(stand: Rehearsal) -> None:
    """What was taken is found, under its own answer; what was not is not."""
    find = stand.destination.find_delivery
    with stand.session() as session:
        target = stand.target(session)
        taken, other = (stand.batch(stand.some(3)) for _ in range(2))
        if stand.calmly(lambda: find(session, taken, target)).state == "taken":
            broken("find_delivery", "it found a batch that was never handed over", "not_taken")
        delivery = stand.calmly(lambda: stand.destination.push(session, taken, target))
        stand.settled(session, target, taken, delivery)
    with stand.session() as later:
        target = stand.target(later)
        found = stand.calmly(lambda: find(later, taken, target))
        if found.state == "repeat":
            _is_taken_once(stand, later, target, taken, delivery)
            return
        if found.state != "taken":
            did = f"it answers {found.state!r} to a batch that was taken"
            broken("find_delivery", did, "'taken', also in a session of a later process")
        if stand.calmly(lambda: find(later, other, target)).state == "taken":
            did = "it takes one batch for another of the same size"
            broken("find_delivery", did, "an answer to this very batch: its `id` tells it")
    if delivery.receipt is None:
        before, after = ({r.key for r in d.rejections} for d in (delivery, found.delivery))
        if before != after:
            asked = "the Delivery that `push` answered, or would have"
            broken("find_delivery", "it found the batch with other rejections", asked)


def _is_taken_once(
    stand: Rehearsal, session: Any, target: Target, batch: Batch, before: Delivery
) -> None:
    """Who answers `repeat` takes a batch that comes again once, with the same answer."""
    again = stand.deliver(session, target, batch)
    if before.receipt is None and {r.key for r in again} != {r.key for r in before.rejections}:
        broken("find_delivery", "a batch that came again had other rejections", "the same ones")
    there = stand.arrived()
    if there is not None and max(there.count(key) for key in batch.keys.to_pylist()) > 1:
        did = "it answered 'repeat', and the batch that came again arrived twice"
        broken("find_delivery", did, "'repeat' only where the service takes a batch once")


def settles(stand: Rehearsal) -> None:
    """A receipt can be redeemed by a later run, and more than once."""
    with stand.session() as session:
        target = stand.target(session)
        batch = stand.batch(stand.some(3))
        delivery = stand.calmly(lambda: stand.destination.push(session, batch, target))
        if delivery.receipt is None:
            pytest.skip("this batch was answered at once, without a receipt")
    with stand.session() as later:
        target = stand.target(later)
        first, again = (stand.settlement(later, target, batch, delivery.receipt) for _ in range(2))
    if first.state == "failed":
        asked = f"'done' for an import that a quiet service took; it said: {first.reason!r}"
        broken("settle", "a later session was told that the batch failed", asked)
    if asdict(first) != asdict(again):
        broken("settle", "asked a second time, it answered otherwise", "the same word again")
    _are_there(stand, "settle", batch.keys.to_pylist(), first.rejections)


def removes(stand: Rehearsal) -> None:
    """Whoever is taken out is gone, the others stay; and it may come twice, or for strangers."""
    with stand.session() as session:
        target = stand.target(session)
        people = stand.rows(4)
        keys, _ = stand.deliver_all(session, target, people)
        target = stand.target(session)
        most = stand.description.limits.removal_rows or stand.description.limits.batch_rows
        leaving = [people[:2]] if most > 1 else [[person] for person in people[:2]]
        gone = [stand.batch(each, "remove") for each in leaving]
        if no := [each for batch in gone for each in stand.deliver(session, target, batch)]:
            broken("remove", f"it refused to take {len(no)} of 2 people out", "they are taken out")
        there = stand.arrived()
        if there is not None:
            if any(key in there for key in keys[:2]):
                broken("remove", "who was taken out is still there", "they are gone")
            if any(key not in there for key in keys[2:]):
                broken("remove", "it took out others than it was asked to", "the batch's people")
        stand.deliver(session, target, stand.batch(people[:1], "remove"))
        stand.deliver(session, target, stand.batch(stand.rows(1), "remove"))


def shows_at_its_end(stand: Rehearsal) -> None:
    """Nothing shows before `finish`, everything after; what was there stays until then."""
    with stand.session() as session:
        target = stand.target(session)
        first = stand.batch(stand.some(3))
        stand.deliver(session, target, first)
        stand.finish(session, target)
    if stand.arrived() is None:
        pytest.skip("the test class has no `arrived` to look with")
    _are_there(stand, "finish", first.keys.to_pylist())
    before = stand.arrived()
    with stand.session() as session:
        target = stand.target(session)
        stand.deliver(session, target, stand.batch(stand.some(2)))
        if stand.arrived() != before:
            broken("push", "the target changed before `finish`", "a draft, until it is whole")
    if stand.arrived() != before:
        did = "closing a session without `finish` changed the target"
        broken("connect", did, "closing commits nothing: the run may have failed")
    with stand.session() as session:
        target = stand.target(session)
        second = stand.batch(stand.some(2))
        stand.deliver(session, target, second)
        stand.finish(session, target)
    if sorted(stand.arrived() or ()) != sorted(second.keys.to_pylist()):
        broken("finish", "the target is not what this run delivered", "all of it, replaced at once")
