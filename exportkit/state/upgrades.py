"""A journal is made, or brought up to this version, as one transaction by one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from exportkit.errors import JournalError
from exportkit.state import tables

if TYPE_CHECKING:
    from collections.abc import Callable

UPGRADES: dict[int, Callable[[sa.Connection], None]] = {}
"""By the version that a journal has: what makes the next version of it. Version 1 is the first."""


IN_ORDER = 7_305_804_402_438_173_797
"""The number of the lock under which a server's tables are made or upgraded."""


def prepare(engine: sa.Engine, where: object) -> None:
    """Make the tables, or upgrade them. Raises JournalError for a journal of a newer version."""
    with engine.connect() as connection:
        version = _version(connection)
    if version != tables.SCHEMA_VERSION:
        # Somebody else may be at it too; and whoever dies here has to leave nothing half done.
        with engine.connect().execution_options(alone=True) as connection, connection.begin():
            _bring_up(connection, where)


def _bring_up(connection: sa.Connection, where: object) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(IN_ORDER)))
    version, newest = _version(connection), tables.SCHEMA_VERSION
    if version is None:
        tables.metadata.create_all(connection)
        if connection.dialect.name == "postgresql":
            _for_several(connection)
        connection.execute(sa.insert(tables.schema).values(version=newest))
        return
    if version > newest:
        raise JournalError(
            f"the journal {where} was written by a newer exportkit (its version is {version}, "
            f"this one knows up to {newest})",
            hint="install the newer exportkit again; the journal was left as it is",
        )
    for number in range(version, newest):
        UPGRADES[number](connection)
    connection.execute(sa.update(tables.schema).values(version=newest))


def _for_several(connection: sa.Connection) -> None:
    """What SQLite has by itself, or does not need: the order of the runs; locks, files, calls."""
    tables.shared.create_all(connection)
    number = "ALTER TABLE runs ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY"
    connection.exec_driver_sql(number)
    # They are packed already.
    connection.exec_driver_sql("ALTER TABLE pieces ALTER COLUMN packed SET STORAGE EXTERNAL")


def _version(connection: sa.Connection) -> int | None:
    if not sa.inspect(connection).has_table("schema"):
        return None
    version: int = connection.execute(sa.select(tables.schema.c.version)).scalar_one()
    return version
