"""The gateway's counters of one API key: so many calls in any second, so many in a day of UTC."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from .clock import DAY
from .exchange import RefusedError

if TYPE_CHECKING:
    from .choices import Choices
    from .clock import Clock

PER_SECOND = 4
PER_DAY = 10_000
TOKENS_PER_SECOND = 1


class Limits:
    """Counts the calls of the one application that the sandbox knows."""

    def __init__(
        self,
        clock: Clock,
        choices: Choices,
        *,
        enforced: bool,
        per_second: int = PER_SECOND,
        per_day: int = PER_DAY,
    ) -> None:
        self._clock = clock
        self._enforced = enforced
        self._per_second = per_second
        self._per_day = per_day
        self._choices = choices
        self._recent: deque[float] = deque()
        self._recent_tokens: deque[float] = deque()
        self._day = 0
        self.spent_today = 0

    def take(self) -> None:
        """Count a call. Raises `RefusedError` for one too many in this second, or in this day."""
        now = self._clock.now()
        self._turn_day(now)
        if not self._enforced:
            self.spent_today += 1
            return
        if not _fits(self._recent, now, self._per_second):
            self.spent_today += self._choices.throttled_counts
            raise self._refused("throttled", "Too Many Requests", 1)
        if self.spent_today >= self._per_day:
            left = int(DAY - now % DAY) + 1
            raise self._refused("quota_exceeded", "Limit Exceeded", left)
        self._recent.append(now)
        self.spent_today += 1

    def take_token_call(self) -> None:
        """Count a call of the token endpoint, by its own limit. Raises `RefusedError`."""
        now = self._clock.now()
        if self._enforced:
            if not _fits(self._recent_tokens, now, TOKENS_PER_SECOND):
                raise self._refused("throttled", "Too Many Requests", 1)
            self._recent_tokens.append(now)

    def spend_day(self) -> None:
        """Nothing is left of today."""
        self._turn_day(self._clock.now())
        self._enforced = True
        self.spent_today = max(self.spent_today, self._per_day)

    def _turn_day(self, now: float) -> None:
        today = int(now // DAY)
        if today != self._day:
            self._day, self.spent_today = today, 0

    def _refused(self, key: str, message: str, seconds: int) -> RefusedError:
        headers = {"Retry-After": str(seconds)} if self._choices.retry_after else {}
        return RefusedError(429, key, message, gateway=True, headers=headers)


def _fits(recent: deque[float], now: float, most: int) -> bool:
    while recent and recent[0] <= now - 1.0:
        recent.popleft()
    return len(recent) < most
