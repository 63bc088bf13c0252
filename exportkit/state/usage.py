"""How many calls were made by day under the API keys that a workspace's connections use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exportkit.state.calls import calls_folder, read_count

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


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


def usage_of(workspace: Path) -> list[KeyUsage]:
    """The keys that connections of this workspace have called under, by the connections' names.

    Raises JournalError if the account has no home that they could be counted in.
    """
    found = []
    for file in sorted(calls_folder().glob("*.json")):
        count = read_count(file)
        users = [user.rpartition("\n") for user in count.users]
        mine = sorted(name for root, _, name in users if root == str(workspace))
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
