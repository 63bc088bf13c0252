"""A session: the program that was found, and the one that is running."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exportkit import Delivery, DestinationError

from . import columns, messages, program
from .hold import Hold
from .sync import Sync

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exportkit import Batch, Connection, Target

log = logging.getLogger("exportkit.singer")

ALL = "all"
"""The mark of a sync of all batches."""
QUOTABLE = 3
"""Of so many batches the host takes the people out of what a program said, see `_because`."""


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
        self._batches = 0

    def push(self, batch: Batch, target: Target) -> Delivery:
        """Hand over a batch, in a sync of its own or as its part of the sync of all.

        Raises DestinationError if the program does not confirm it, or is gone before it has all.
        """
        sync = self._begun(target)
        self._batches += 1
        sync.send(messages.records(batch.data, target.options["stream"], columns.types(target)))
        if target.options["sync"] == "batch" or sync.cut_short:
            self._end(sync, batch.id)
        return Delivery()

    def finish(self, target: Target) -> None:
        """End the sync of all rows. Raises DestinationError unless the program confirms them."""
        self._end(self._begun(target), ALL)

    def close(self) -> None:
        """End what is still running; what it was not asked to confirm is not confirmed."""
        self._forget()
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
        self._batches = 0
        schema = messages.schema(stream, columns.types(target), columns.key_properties(target))
        sync.send([schema])
        return sync

    def _end(self, sync: Sync, mark: str) -> None:
        sync.end(mark)
        self._forget()
        if not sync.confirmed:
            raise DestinationError(
                f"{sync.name} {sync.failure}, so its rows do not count as delivered"
                f"{self._because(sync)}",
                hint="run the job again: what was not confirmed is sent again",
            )
        if sync.failure:
            log.warning("%s confirmed all rows, and then %s", sync.name, sync.failure)

    def _because(self, sync: Sync) -> str:
        """What the program said last, where the host is able to take the people out of it.

        It knows those of the last few batches. Of an earlier one somebody may be quoted, so then
        only the kind of failure is told.
        """
        said = sync.last_words() if self._batches <= QUOTABLE else sync.last_failure()
        return f"; it said last:\n{said}" if said else ""

    def _forget(self) -> None:
        if self._sync is not None:
            self._sync.kill()
            self._sync = None
        if self._hold is not None:
            self._hold.forget()
