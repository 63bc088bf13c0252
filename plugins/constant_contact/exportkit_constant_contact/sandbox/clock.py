"""Clocks: the sandbox never asks the machine for the time itself."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Protocol

DAY = 86_400


class Clock(Protocol):
    """Tells the time, in seconds since 1970 in UTC."""

    def now(self) -> float:
        """The time."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        """The time."""
        return time.time()


class ManualClock:
    """A time that stands still until somebody moves it, for tests. It begins at noon in UTC."""

    def __init__(self, start: float = 1_774_785_600.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        """The time."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        """Move on. Raises `ValueError` for a step back."""
        if seconds < 0:
            raise ValueError("time does not go back")
        with self._lock:
            self._now += seconds


def stamp(seconds: float) -> str:
    """A moment as the service writes it: whole seconds and a Z."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> float:
    """The seconds of a moment in a query. Raises `ValueError` for anything else."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
