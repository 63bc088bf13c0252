"""The journal's tables, in the SQL that SQLite and PostgreSQL share, and what may hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

SCHEMA_VERSION = 1

_CREATION = (
    "CREATE TABLE schema (version INTEGER NOT NULL)",
    """
    CREATE TABLE runs (
        run_id VARCHAR NOT NULL PRIMARY KEY,
        job VARCHAR NOT NULL,
        target VARCHAR NOT NULL,
        status VARCHAR NOT NULL,
        started_at VARCHAR NOT NULL,
        finished_at VARCHAR,
        counts JSON NOT NULL,
        error JSON,
        reasons JSON NOT NULL,
        facts JSON NOT NULL,
        folded BOOLEAN NOT NULL
    )
    """,
    "CREATE INDEX ix_runs_job ON runs (job)",
    """
    CREATE TABLE batches (
        batch_id VARCHAR NOT NULL PRIMARY KEY,
        run_id VARCHAR NOT NULL,
        operation VARCHAR NOT NULL,
        first_row INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        state VARCHAR NOT NULL,
        receipt VARCHAR,
        refused INTEGER NOT NULL,
        intended_at VARCHAR NOT NULL,
        answered_at VARCHAR
    )
    """,
    "CREATE INDEX ix_batches_run_id ON batches (run_id)",
    """
    CREATE TABLE audit (
        entry {counter} NOT NULL PRIMARY KEY,
        at VARCHAR NOT NULL,
        "user" VARCHAR NOT NULL,
        host VARCHAR NOT NULL,
        action VARCHAR NOT NULL,
        subject VARCHAR NOT NULL,
        details JSON NOT NULL
    )
    """,
)


class Ask(Protocol):
    """Runs one statement, in which `:name` stands for a value, and gives the rows by column."""

    def __call__(self, statement: str, /, **values: object) -> Sequence[Mapping[str, Any]]: ...


class Tables(Protocol):
    """What holds the journal's tables. A transaction raises JournalError where it fails."""

    where: str
    """What holds them, for people."""
    remedy: str
    """What to do where they are damaged."""
    order: str
    """The column of runs by which they are in the order in which they were written down."""
    counter: str
    """The type of a column that numbers its rows by itself."""
    known: str
    """A query that gives a row once the tables were made."""

    def further(self) -> Sequence[str]:
        """The statements that make what there is besides the tables."""

    def transaction(
        self, *, fenced: bool = False, alone: bool = False
    ) -> AbstractContextManager[Ask]:
        """All that is asked within, or nothing. One that is `fenced` fails once a lock is lost;
        one that is `alone` waits until no other process makes or upgrades the tables."""


def creation(tables: Tables) -> list[str]:
    """The statements that make the tables, and what there is besides them."""
    return [*(text.format(counter=tables.counter) for text in _CREATION), *tables.further()]
