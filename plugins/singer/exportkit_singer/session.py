"""A session: the program that was found, and the one that is running."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exportkit import Delivery, DestinationError, Settlement

from . import columns, messages, program
from .hold import Hold
from .sync import Sync

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exportkit import Batch, Connection, Target

log = logging.getLogger("exportkit.singer")

QUOTABLE = 3
"""Of so many batches the host takes the people out of what a program said; see `_because`."""


@contextmanager
def open_session(connection: Connection) -> Iterator[Session]:
    """A session whose program, if it is still running at the end, does not get to finish."""
    session = Session(connection)
    try:
        yield session
    finally:
        session.close()


class Session:
    """Runs a connection's program. `account` is where it was found."""

    def __init__(self, connection: Connection) -> None:
        options = connection.options
        self.connection = connection.name
        self.program = program.find(options["target"], connection.workspace)
        self.account = str(self.program)
        self._workspace = connection.workspace
        self._config = options["config"]
        self._timeout = options["timeout"]
        self._hold: Hold | None = None
        self._sync: Sync | None = None

    def push(self, batch: Batch, target: Target) -> Delivery:
        """Hand over a batch. Raises DestinationError if it has a sync of its own which fails.

        In a sync of the whole run it gets a receipt, also when the program is already gone: what
        became of it is for `settle` to say, which knows what was confirmed before.
        """
        sync = self._begun(target)
        stream, types = target.options["stream"], columns.types(target)
        sync.send(batch.id, messages.records(batch.data, stream, types))
        if target.options["sync"] == "run":
            return Delivery(receipt=batch.id)
        self._end(sync)
        if batch.id not in sync.confirmed:
            raise DestinationError(
                f"{sync.name} {sync.failure}, and did not confirm {len(batch):,} rows"
                f"{_because(sync)}",
                hint="run the job again: what was not confirmed is sent again",
            )
        return Delivery()

    def settle(self, receipts: Sequence[str]) -> Sequence[Settlement]:
        """End the input of the program, and answer what it has confirmed.

        A program whose exportkit is gone confirmed to nobody: those batches count as not taken.
        """
        sync = self._sync
        if sync is None:
            reason = "the run ended before the target had confirmed them"
            return [Settlement(receipt, "failed", reason=reason) for receipt in receipts]
        self._end(sync)
        kept = [batch for batch in sync.batches if batch in sync.confirmed]
        reason = (
            f"{sync.name} {sync.failure}, after it had confirmed {len(kept)} of "
            f"{len(sync.batches)} batches{_because(sync)}"
        )
        return [
            Settlement(receipt, "done")
            if receipt in sync.confirmed
            else Settlement(receipt, "failed", reason=reason)
            for receipt in receipts
        ]

    def close(self) -> None:
        """End what is still running; what it was not asked to confirm is not confirmed."""
        if self._sync is not None:
            self._sync.kill()
            self._sync = None
        if self._hold is not None:
            self._hold.release()
            self._hold = None

    def _begun(self, target: Target) -> Sync:
        if self._sync is not None:
            return self._sync
        stream = target.options["stream"]
        if self._hold is None:
            self._hold = Hold(self._workspace, self.connection, stream)
        config = self._hold.write(self._config)
        sync = Sync(self.program, config, self._workspace, stream, self._timeout, self._hold.lock)
        self._hold.note(sync.pid)
        self._sync = sync
        sync.begin(messages.schema(stream, columns.types(target), columns.key_properties(target)))
        return sync

    def _end(self, sync: Sync) -> None:
        sync.end()
        sync.kill()
        self._sync = None
        if self._hold is not None:
            self._hold.forget()
        if sync.failure and sync.confirmed.issuperset(sync.batches):
            log.warning("%s confirmed all rows, and then %s", sync.name, sync.failure)


def _because(sync: Sync) -> str:
    """What the program said last, where the host is able to take the people out of it.

    It knows those of the last few batches. Of an earlier one somebody may be quoted, so then only
    the kind of failure is told.
    """
    said = sync.last_words() if len(sync.batches) <= QUOTABLE else sync.last_failure()
    return f"; it said last:\n{said}" if said else ""
