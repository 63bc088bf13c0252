"""A journal is made, or brought up to this version, as one transaction by one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exportkit.errors import JournalError
from exportkit.state import tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from exportkit.state.tables import Ask, Tables

UPGRADES: dict[int, Callable[[Ask], object]] = {}
"""By the version that a journal has: what makes the next version of it. Version 1 is the first."""


def prepare(place: Tables) -> None:
    """Make the tables, or upgrade them. Raises JournalError for a journal of a newer version."""
    with place.transaction() as ask:
        version = _version(place, ask)
    if version != tables.SCHEMA_VERSION:
        # Somebody else may be at it too; and whoever dies here has to leave nothing half done.
        with place.transaction(alone=True) as ask:
            _bring_up(place, ask)


def _bring_up(place: Tables, ask: Ask) -> None:
    version, newest = _version(place, ask), tables.SCHEMA_VERSION
    if version is None:
        for statement in tables.creation(place):
            ask(statement)
        ask("INSERT INTO schema (version) VALUES (:newest)", newest=newest)
        return
    if version > newest:
        raise JournalError(
            f"the journal {place.where} was written by a newer exportkit (its version is "
            f"{version}, this one knows up to {newest})",
            hint="install the newer exportkit again; the journal was left as it is",
        )
    for number in range(version, newest):
        UPGRADES[number](ask)
    ask("UPDATE schema SET version = :newest", newest=newest)


def _version(place: Tables, ask: Ask) -> int | None:
    if not ask(place.known):
        return None
    rows = ask("SELECT version FROM schema")
    return rows[0]["version"] if rows else None
