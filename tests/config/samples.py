"""Valid files, and anything to put in their places."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

VALID: dict[str, dict[str, Any]] = {
    "workspace": {
        "version": 1,
        "roles": {"admin": ["jane"], "contributor": ["x"]},
        "state": ".exportkit",
        "outputs": ["/srv"],
        "retention": {"runs": "90d", "rejections": "30d"},
    },
    "source": {
        "version": 1,
        "name": "customers",
        "file": "a.csv",
        "key": "id",
        "encoding": "latin-1",
        "delimiter": ";",
        "types": {"zip": "text"},
        "fresh_within": "24h",
        "segments": {"vip": {"where": "a > 1", "description": "b"}, "all": None},
    },
    "connection": {
        "version": 1,
        "name": "marketing",
        "type": "paper",
        "use": ["admin"],
        "consent": {"agreed_by": "jane", "agreed_on": "2026-11-20"},
        "options": {"a": {"b": ["c"]}},
    },
    "job": {
        "version": 1,
        "name": "a",
        "source": "b",
        "segments": ["c"],
        "suppress": ["d"],
        "connection": "e",
        "destination": {"f": [{"g": "h"}]},
        "map": {
            "email": "email",
            "born": {
                "column": "b",
                "transform": ["trim", {"date": "%d.%m.%Y"}],
                "default": "x",
                "kind": "date",
                "required": True,
                "max_length": 5,
                "on_too_long": "reject",
            },
        },
        "key": "email",
        "mode": "mirror",
        "on_duplicate": {"prefer": "x", "order": "ascending"},
        "schedule": "0 6 * * *",
        "timezone": "Europe/Athens",
        "limits": {"profiles": 5, "removals": "5%", "rejections": 5, "settle": "1h"},
        "retention": "90d",
        "notify": [{"to": "${env:A}", "on": ["failure"]}],
    },
}

ANYTHING: list[Any] = [
    None, True, 0, -3, 1.5, "", "x", "${env:X}", "${", "12345678901234567890", [], [None],
    ["a", "a"], [{}], [[]], {}, {"a": None}, {"": {}}, {"date": "x", "b": []}, {"a": {"b": [1]}},
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for step, child in children:
        yield (*path, step)
        if isinstance(child, dict | list):
            yield from places(child, (*path, step))


def replaced(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    data = copy.deepcopy(data)
    holder = data
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return data
