"""Scenarios: which calls the sandbox answers badly, and how."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from .activities import Fate

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Body = Literal["array", "object", "oauth", "empty", "garbage", "html", "half", "wrong_shape"]


@dataclass(frozen=True, slots=True)
class Effects:
    """What happens to a call.

    With a `status` the call is not processed, unless `processed`; `body` is what the answer then
    has, or, without a `status`, what becomes of the good answer. `reset` cuts the connection before
    or after the call is processed. Delays are real seconds.
    """

    status: int | None = None
    body: Body | None = None
    error_key: str | None = None
    message: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    processed: bool = False
    reset: Literal["before", "after"] | None = None
    delay: float = 0.0
    delay_after: float = 0.0
    fate: Fate = field(default_factory=Fate)
    expire_tokens: bool = False
    revoke_tokens: bool = False
    spend_quota: bool = False
    unsubscribe: tuple[str, ...] = ()
    delete_list: tuple[str, ...] = ()
    next_host: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """The effects on calls of a method and path, on some of them by their count from 1.

    `path` is as the documents write it, without `/v3` or the sign-in's prefix; `*` is anything.
    `calls` are spans of counts, (2, 4) or (3, None) for all from the third on; none: every call.
    """

    effects: Effects
    method: str | None = None
    path: str = "*"
    calls: tuple[tuple[int, int | None], ...] = ()

    def matches(self, method: str, path: str) -> bool:
        """Whether it speaks of such a call, whichever it is."""
        return self.method in (None, method) and fnmatchcase(path, self.path)

    def fires(self, call: int) -> bool:
        """Whether it is about this call."""
        spans = self.calls or ((1, None),)
        return any(first <= call and (last is None or call <= last) for first, last in spans)


NOTHING = Effects()


class Scenario:
    """Rules in their order. Each counts the calls that match it; the first that fires wins."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = [*rules]
        self._counts = [0] * len(self._rules)
        self._lock = threading.Lock()

    @classmethod
    def read(cls, path: Path) -> Scenario:
        """The scenario of a file. Raises `ScenarioError` with file, line and column."""
        from .scenario_file import read_scenario

        return cls(read_scenario(path))

    def add(self, rule: Rule) -> None:
        """One more rule, behind the others; it counts from now on."""
        with self._lock:
            self._rules.append(rule)
            self._counts.append(0)

    def clear(self) -> None:
        """No rules any more."""
        with self._lock:
            self._rules.clear()
            self._counts.clear()

    def effects_on(self, method: str, path: str) -> Effects:
        """What happens to this call, which is counted."""
        found = None
        with self._lock:
            for at, rule in enumerate(self._rules):
                if rule.matches(method, path):
                    self._counts[at] += 1
                    if found is None and rule.fires(self._counts[at]):
                        found = rule.effects
        return found or NOTHING
