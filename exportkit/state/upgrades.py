"""A journal is made, or brought up to this version, as one transaction by one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from exportkit.errors import JournalError
from exportkit.state import tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UPGRADES: dict[int, Callable[[sa.Connection], None]] = {}
"""By the version that a journal has: what makes the next version of it. Version 1 is the first."""


def prepare(engine: sa.Engine, path: Path) -> None:
    """Make the tables, or upgrade them. Raises JournalError for a journal of a newer version."""
    with engine.connect() as connection:
        version = _version(connection)
    if version != tables.SCHEMA_VERSION:
        # Somebody else may be at it too; and whoever dies here has to leave nothing half done.
        with engine.connect().execution_options(alone=True) as connection, connection.begin():
            _bring_up(connection, path)


def _bring_up(connection: sa.Connection, path: Path) -> None:
    version, newest = _version(connection), tables.SCHEMA_VERSION
    if version is None:
        tables.metadata.create_all(connection)
        connection.execute(sa.insert(tables.schema).values(version=newest))
        return
    if version > newest:
        raise JournalError(
            f"the journal {path} was written by a newer exportkit (its version is {version}, "
            f"this one knows up to {newest})",
            hint="install the newer exportkit again; the journal was left as it is",
        )
    for number in range(version, newest):
        UPGRADES[number](connection)
    connection.execute(sa.update(tables.schema).values(version=newest))


def _version(connection: sa.Connection) -> int | None:
    if not sa.inspect(connection).has_table("schema"):
        return None
    version: int = connection.execute(sa.select(tables.schema.c.version)).scalar_one()
    return version
