"""How often a service has been called under one API key, by all runners that share a state.

One row a key, held while a call takes its turn. Time is the database's: hosts may disagree.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from exportkit.state.calls import Count, CountedCalls, count_of
from exportkit.state.sharedtables import calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exportkit.records import Limits
    from exportkit.state.postgresql import Database


class SharedCalls(CountedCalls):
    """The calls under one key; see `exportkit.Calls`. Processes of all hosts may share it."""

    def __init__(
        self,
        database: Database,
        key: str,
        limits: Limits,
        user: str = "",
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(
            Path(key), limits, user, wall=self._theirs, steady=self._theirs, sleep=sleep
        )
        self._database, self._key = database, key
        self._ahead = 0.0

    @property
    def _forget(self) -> str:
        where = self._database.shown
        return f"delete the row of calls whose key begins with {self._key[:8]} in {where}"

    def _theirs(self) -> float:
        """The time of the database in seconds, as of the last look."""
        return time.monotonic() + self._ahead

    @contextmanager
    def _opened(self) -> Iterator[tuple[Count, Callable[[], None]]]:
        from sqlalchemy.dialects.postgresql import insert

        mine, none = calls.c.key == self._key, asdict(Count())
        with self._database.begin() as connection:
            row = insert(calls).values(key=self._key, count=none)
            connection.execute(row.on_conflict_do_nothing())
            found = connection.scalar(sa.select(calls.c.count).where(mine).with_for_update())
            now = sa.select(sa.extract("epoch", sa.func.clock_timestamp()))
            self._ahead = float(connection.execute(now).scalar_one()) - time.monotonic()
            count = count_of(found or none)

            def save() -> None:
                entry = sa.update(calls).where(mine)
                connection.execute(entry.values(count=asdict(count)))

            yield count, save


def all_counts(database: Database) -> list[Count]:
    """The count of each key. Raises JournalError."""
    with database.explained(), database.engine.connect() as connection:
        return [count_of(found) for found in connection.scalars(sa.select(calls.c.count))]
