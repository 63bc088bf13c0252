"""What a destination is held to before anything is delivered: its words, its session, its map."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.testing.setting import no_network
from exportkit.testing.verdicts import broken

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from exportkit.records import Batch, Target
    from exportkit.testing.rehearsal import Rehearsal


def schema_holds_together(name: str, schema: Mapping[str, Any]) -> None:
    """Every option that is required is described; every default fits its own description."""
    from jsonschema import Draft202012Validator

    properties = schema.get("properties", {})
    if missing := [each for each in schema.get("required", ()) if each not in properties]:
        did = f"{name} requires {missing[0]!r}, which is not among its properties"
        broken("describe_destination", did, "a property for each required option")
    for option, part in properties.items():
        if "default" in part and not Draft202012Validator(part).is_valid(part["default"]):
            did = f"the default of {option!r} in {name} does not fit its own schema"
            broken("describe_destination", did, "a default that people could have written")


def says_what_it_can(stand: Rehearsal) -> None:
    """Modes, limits and hooks belong together."""
    facts, can = stand.description, stand.destination.can
    limits, says = facts.limits, "describe_destination"
    if "mirror" in facts.modes and not can("remove"):
        broken(says, "it has the mode 'mirror', and no hook 'remove'", "both, or neither")
    if can("remove") and "mirror" not in facts.modes:
        broken(says, "it has a hook 'remove', and not the mode 'mirror' that calls it", "both")
    if limits.batch_bytes is not None and not can("measure"):
        asked = "a hook 'measure': without it nobody knows how many bytes a row takes"
        broken(says, "it has a limit batch_bytes, and no hook 'measure'", asked)
    if limits.batch_bytes is None and can("measure"):
        broken("measure", "there is no limit batch_bytes to measure for", "both, or neither")
    if stand.proxy is not None and not facts.third_party:
        asked = "third_party=True: people's data leaves the machine, so consent has to be asked for"
        broken(says, "it calls a server, and says that nothing leaves the machine", asked)


def closes_after_an_error(stand: Rehearsal) -> None:
    """What the run raises inside of a session comes out of it again."""
    for error in (RuntimeError("the run failed"), KeyboardInterrupt()):
        caught: BaseException | None = None
        try:
            with stand.session():
                raise error
        except (RuntimeError, KeyboardInterrupt) as found:
            caught = found
        if caught is not error or stand.ear.swallowed:
            asked = "a context manager that lets errors pass: close in `finally:`, answer no True"
            broken("connect", "closing the session swallowed the error that ended the run", asked)
        if stand.ear.raised is not None and stand.ear.raised is not error:
            did = f"closing the session after an error raised {type(stand.ear.raised).__name__}"
            broken("connect", did, "a session that can be closed whatever came before")


def leaves_nothing_open(stand: Rehearsal, threads: Collection[threading.Thread]) -> None:
    """No connection and no thread outlives a session by more than a moment."""
    until = time.monotonic() + 2
    while True:
        left = [each.name for each in threading.enumerate() if each not in threads]
        left = [name for name in left if "process_request_thread" not in name]
        calls = stand.proxy.connections if stand.proxy else 0
        if not left and not calls:
            return
        if time.monotonic() > until:
            break
        time.sleep(0.02)
    what = f"the thread {left[0]!r}" if left else f"{calls} connections to the server"
    broken(
        "connect", f"{what} stayed open after the session was closed", "a session that cleans up"
    )


def describes_its_target(stand: Rehearsal) -> None:
    """The target is the same each time it is looked at, and looking changes nothing."""
    with stand.session() as session:
        if not stand.description.whole:
            stand.target(session)  # a target that is made by the first run is there now
        before, first = stand.arrived(), stand.target(session, planning=True).catalogue
        again, after = stand.target(session, planning=True).catalogue, stand.arrived()
    if first.identity != again.identity:
        asked = "an identity that stays: what was delivered is remembered under it"
        broken("describe_target", "the identity of the target is another each time", asked)
    if before != after:
        broken("describe_target", "planning changed the target", "no change while it is `planning`")
    known = [column.name for column in stand.description.fields]
    if both := [column.name for column in first.fields if column.name in known]:
        did = f"it names the field {both[0]!r} again, which is declared offline"
        broken("describe_target", did, "the fields beyond the declared ones")


def maps_purely(stand: Rehearsal) -> None:
    """The same columns each time, without a call; and the samples fit them."""
    with stand.session() as session:
        target = stand.target(session)
        with no_network():
            columns = [_facts_of(stand, target) for _ in range(2)]
        if columns[0] != columns[1]:
            broken("map_fields", "it answers other columns each time", "a pure function")
        _, _, reasons = stand.mapped(stand.rows(5))
    if any(reasons):
        did = f"the host would not send all of the sample people: {max(reasons)}"
        broken("map_fields", did, "`row` in the test class, with people that the columns accept")


def _facts_of(stand: Rehearsal, target: Target) -> list[dict[str, Any]]:
    from exportkit.records import FieldMapping, MappedField

    job = stand.prepared.job
    mapping = FieldMapping(tuple(MappedField(rule.field) for rule in job.fields), job.key)
    found = stand.destination.map_fields(mapping, target)
    kept = ("name", "kind", "required", "max_length", "on_too_long", "key", "reason")
    return [{name: getattr(column, name) for name in kept} for column in found]


def measures(stand: Rehearsal) -> None:
    """A row takes as many bytes on the wire as `measure` says, or fewer."""
    if not stand.destination.can("measure"):
        pytest.skip("it has no limit of bytes")
    with stand.session() as session:
        target = stand.target(session)
        few, more = (stand.batch(stand.some(count)) for count in (5, 25))
        with no_network():
            sizes = [stand.destination.measure(target, few.data) for _ in range(2)]
            larger = stand.destination.measure(target, more.data)
        if sizes[0] != sizes[1]:
            broken("measure", "it answers other sizes each time", "a pure function of the rows")
        if stand.proxy is None:
            return
        sent = [_bytes_sent(stand, session, target, batch) for batch in (few, more)]
    grown = sum(larger.to_pylist()) - sum(sizes[0].to_pylist())
    if sent[1] - sent[0] > grown + 64:
        did = (
            f"{len(more) - len(few)} rows more made the call {sent[1] - sent[0]:,} bytes longer, "
            f"and were measured as {grown:,} bytes"
        )
        asked = "the bytes of each row as it is encoded, quotes, names and separators included"
        broken("measure", did, f"{asked}: the host cuts batches by them")


def _bytes_sent(stand: Rehearsal, session: Any, target: Target, batch: Batch) -> int:
    """The longest call that changes something; a batch that takes several is not compared."""
    assert stand.proxy is not None
    before = stand.proxy.passed
    stand.deliver(session, target, batch)
    return max((call.sent for call in stand.proxy.since(before) if call.taken), default=0)
