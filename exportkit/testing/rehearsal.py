"""One destination as the host sees it, ready to be called, and what the kit knows of it."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from exportkit.errors import OutcomeUnknownError, ThrottledError, UnavailableError
from exportkit.records import Batch, Delivery, Rejection, Settlement, Target
from exportkit.testing.samples import sample_row
from exportkit.testing.verdicts import broken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from exportkit.host.destination import Destination
    from exportkit.pipeline.handover import Mapping as FieldsMapped
    from exportkit.pipeline.prepare import Prepared
    from exportkit.records import Connection, Description, Operation
    from exportkit.testing.contract import DestinationContract
    from exportkit.testing.hearing import Ear
    from exportkit.testing.proxy import FaultyProxy

Row = dict[str, str | None]
AHEAD = 60
"""How many people are mapped before they are asked for."""
MOST_TRIES = 4
"""How often a call to a quiet server is tried again."""


@dataclass
class Rehearsal:
    """A destination that is ready to be called, and all that the kit knows of it.

    `server` is what the contract's `server` gave, `proxy` stands before it; None without one.
    `ear` has heard every word so far. `options` are the job's, as the plugin gets them.
    """

    contract: DestinationContract
    prepared: Prepared
    connection: Connection
    ear: Ear
    engine: Any
    hidden: tuple[str, ...] = ()
    server: Any = None
    proxy: FaultyProxy | None = None
    handed_over: list[Row] = field(default_factory=list)
    run_id: str = field(default_factory=lambda: f"rehearsal-{secrets.token_hex(4)}")
    _batches: int = 0
    _rows: int = 0
    _mapped: FieldsMapped | None = None
    _pool: Any = None
    _places: dict[tuple[str | None, ...], int] = field(default_factory=dict)

    @property
    def destination(self) -> Destination:
        return self.prepared.destination

    @property
    def description(self) -> Description:
        return self.prepared.description

    @property
    def options(self) -> Mapping[str, Any]:
        return self.prepared.options

    @property
    def workspace(self) -> Path:
        """The folder in which paths of options start."""
        return self.prepared.workspace.root

    @property
    def secrets(self) -> tuple[str, ...]:
        """The connection's credentials, wherever they stand in its options, and those it keeps."""
        kept = self.connection.credentials.read().values()
        return (*self.hidden, *(value for value in kept if isinstance(value, str)))

    def session(self) -> Any:
        """A session, as the host opens it."""
        return self.destination.connect(self.connection)

    def target(self, session: Any, *, planning: bool = False) -> Target:
        """The target as it is now, with the columns that the job sends."""
        from exportkit.pipeline.mapping import map_job

        catalogue = self.calmly(
            lambda: self.destination.describe_target(session, self.options, planning=planning)
        )
        target = Target(self.options, catalogue, self.workspace)
        declared = (*self.description.fields, *catalogue.fields)
        job, hook = self.prepared.job, self.destination.map_fields
        mapped = map_job(job, target, declared, hook, None)
        if self._mapped is None or mapped.checks != self._mapped.checks:
            self._pool, self._places = None, {}
        self._mapped = mapped
        return replace(target, columns=mapped.columns)

    def rows(self, count: int) -> list[Row]:
        """So many people who have not been seen before."""
        first, self._rows = self._rows, self._rows + count
        return [self.row(number) for number in range(first, first + count)]

    def some(self, count: int) -> list[Row]:
        """So many people, or as many as the destination takes at once."""
        return self.rows(min(count, self.description.limits.batch_rows))

    def row(self, number: int) -> Row:
        """The profile of this number: the contract's own, or made up."""
        made = self.contract.row(number)
        if made is not None:
            return dict(made)
        declared = {column.name: column for column in self.description.fields}
        if self._mapped is not None:
            declared |= {column.name: column for column in self._mapped.columns}
        return sample_row(self.prepared.job.fields, declared, number)

    def mapped(self, rows: Sequence[Row]) -> tuple[Any, Any, list[str]]:
        """The rows as the destination's columns, their keys, and why each would not be sent: ''."""
        from exportkit.engines.frames import FAULT, KEY

        assert self._mapped is not None, "the target comes first"
        wanted = [self._values(row) for row in rows]
        if any(values not in self._places for values in wanted):
            # Mapping takes a while, however few they are: those that come next are done as well.
            soon = [self.row(self._rows + number) for number in range(AHEAD)]
            new = dict.fromkeys([*wanted, *map(self._values, soon)])
            self._map([values for values in new if values not in self._places])
        found = self._pool.take([self._places[values] for values in wanted]).combine_chunks()
        checks, faults = self._mapped.checks, found[FAULT].to_pylist()
        columns = [column.name for column in self._mapped.columns]
        data = found.select(columns).to_batches()[0]
        reasons = [
            "" if number is None else f"{checks[number].column}: {checks[number].reason}"
            for number in faults
        ]
        return data, found[KEY].combine_chunks(), reasons

    def _values(self, row: Row) -> tuple[str | None, ...]:
        return tuple(row.get(rule.field) for rule in self.prepared.job.fields)

    def _map(self, people: Sequence[tuple[str | None, ...]]) -> None:
        import pyarrow as pa

        from exportkit.engines.frames import SOURCE_KEY, collect
        from exportkit.pipeline.mapping import decide_addresses, identified, map_profiles

        mapping, job = self._mapped, self.prepared.job
        assert mapping is not None
        names = [rule.field for rule in job.fields]
        texts = [pa.array(column, pa.string()) for column in zip(*people, strict=True)]
        numbers = pa.array([f"row-{number:06d}" for number in range(len(people))])
        frame = self.engine.table(pa.table([*texts, numbers], [*names, SOURCE_KEY]))
        held = self.engine.hold(map_profiles(frame, job, mapping))
        found = collect(identified(decide_addresses(held, mapping, self.engine), mapping))
        found = found.sort_by(SOURCE_KEY)
        first = 0 if self._pool is None else self._pool.num_rows
        self._pool = found if self._pool is None else pa.concat_tables([self._pool, found])
        self._places |= {values: first + number for number, values in enumerate(people)}

    def batch(self, rows: Sequence[Row], operation: Operation = "add") -> Batch:
        """The rows as the next batch of this rehearsal. Raises ValueError for rows that the host
        itself would not send."""
        data, keys, reasons = self.mapped(rows)
        if any(reasons):
            raise ValueError(
                f"the host would not send these rows: {'; '.join(sorted({*reasons} - {''}))}"
            )
        self.handed_over += rows
        number, self._batches = self._batches, self._batches + 1
        name = f"{self.run_id}-{operation}-{number:09d}"
        return Batch(name, self.run_id, operation, data, keys)

    def calmly(self, call: Callable[[], Any]) -> Any:
        """The answer of a call, tried again for a while where the destination asks for that."""
        until, pause = time.monotonic() + self.contract.patience, 0.1
        for _ in range(MOST_TRIES):
            try:
                return call()
            except (ThrottledError, UnavailableError) as error:
                asked = getattr(error, "retry_after", None)
                pause = pause * 2 if asked is None else asked
                if time.monotonic() + pause > until:
                    raise
                time.sleep(pause)
        return call()

    def deliver(self, session: Any, target: Target, batch: Batch) -> tuple[Rejection, ...]:
        """Hand a batch over and wait for the last word on it, as the host does. Its refused rows.

        An answer that is lost is looked for; a batch that was not taken is handed over again.
        """
        call = self.destination.remove if batch.operation == "remove" else self.destination.push
        for _ in range(5):
            try:
                delivery = self.calmly(lambda: call(session, batch, target))
                break
            except OutcomeUnknownError:
                if not self.destination.can("find_delivery"):
                    continue
                finding = self.calmly(
                    lambda: self.destination.find_delivery(session, batch, target)
                )
                if finding.state == "taken":
                    delivery = finding.delivery
                    break
        else:
            raise OutcomeUnknownError("the batch was handed over five times, and no answer came")
        return self.settled(session, target, batch, delivery)

    def deliver_all(
        self, session: Any, target: Target, rows: Sequence[Row]
    ) -> tuple[list[str], list[Rejection]]:
        """Hand people over, in as many batches as it takes: their keys, and who was refused."""
        most, keys, refused = self.description.limits.batch_rows, list[str](), list[Rejection]()
        for first in range(0, len(rows), most):
            batch = self.batch(rows[first : first + most])
            keys += batch.keys.to_pylist()
            refused += self.deliver(session, target, batch)
        return keys, refused

    def settled(
        self, session: Any, target: Target, batch: Batch, delivery: Delivery
    ) -> tuple[Rejection, ...]:
        """The refused rows of a batch that was answered, once its receipt is settled."""
        if delivery.receipt is None:
            return tuple(delivery.rejections)
        settlement = self.settlement(session, target, batch, delivery.receipt)
        if settlement.state == "failed":
            did = f"it says that a batch failed which a quiet service took: {settlement.reason!r}"
            broken("settle", did, "'done' for what was imported")
        return (*delivery.rejections, *settlement.rejections)

    def settlement(self, session: Any, target: Target, batch: Batch, receipt: str) -> Settlement:
        """The last word on a receipt; the test fails if it does not come in time."""
        until, pause = time.monotonic() + self.contract.patience, 0.02
        while True:
            (found,) = self.calmly(
                lambda: self.destination.settle(session, [receipt], target, lambda _: batch)
            )
            if found.state != "pending":
                settlement: Settlement = found
                return settlement
            if time.monotonic() > until:
                did = f"it still says 'pending' after {self.contract.patience:g} seconds"
                broken("settle", did, "the last word, or a longer `patience` in the test class")
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def finish(self, session: Any, target: Target) -> None:
        """Commit, as after a complete run."""
        self.destination.finish(session, target)

    def arrived(self) -> list[str] | None:
        """The keys at the target, as often as they are there; None if nobody can look."""
        found = self.contract.arrived(self)
        return None if found is None else list(found)
