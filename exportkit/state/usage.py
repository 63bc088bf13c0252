"""How many calls were made by day under the API keys that a workspace's connections use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exportkit.state.calls import calls_folder, read_count, user_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from exportkit.state.calls import Count
    from exportkit.state.folder import StateFolder


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """The calls under one key, by UTC date (2026-11-24), of all that use it on this machine.

    `connections` are those of the workspace; `shared` says that others use the key too. `per_day`
    None: there is no limit. `spent` are the days on which the service itself said that it is over.
    """

    connections: tuple[str, ...]
    days: Mapping[str, int]
    per_day: int | None
    spent: frozenset[str]
    shared: bool = False


def usage_of(workspace: Path, state: StateFolder | None = None) -> list[KeyUsage]:
    """The keys that connections of this workspace have called under, by the connections' names.

    Raises JournalError if the account has no home that they could be counted in, or the database
    of the state cannot be reached.
    """
    found = []
    here = user_of(workspace, "", state).strip()
    for count in _counts(state):
        users = [user.rpartition("\n") for user in count.users]
        mine = sorted(name for root, _, name in users if root == here)
        if mine:
            found.append(
                KeyUsage(
                    tuple(mine),
                    dict(sorted(count.days.items())),
                    count.per_day,
                    frozenset(count.spent),
                    len(mine) < len(users),
                )
            )
    return sorted(found, key=lambda usage: usage.connections)


def _counts(state: StateFolder | None) -> list[Count]:
    if state is not None and state.database is not None:
        from exportkit.state.sharedcalls import all_counts

        return all_counts(state.database.database)
    return [read_count(file) for file in sorted(calls_folder().glob("*.json"))]
