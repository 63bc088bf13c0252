"""What the host lends to a plugin through its `Connection`: kept credentials, counted calls.

And, while somebody signs in, the person at the keyboard.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from exportkit.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime


class Credentials(Protocol):
    """What a connection keeps between runs: JSON values under names that the plugin chooses."""

    def held(self) -> AbstractContextManager[None]:
        """Hold them, so that no other process reads, renews and replaces them at the same time.

        Waits for whoever holds them now. Read them again inside: they may be new. Raises
        `BusyError` if that takes minutes.
        """
        ...

    def read(self) -> dict[str, Any]:
        """What is kept now; empty if nothing is.

        Raises `JournalError` if it cannot be read, `PermissionDeniedError` if the keyring or the
        key that it takes is not there. Let both pass: the host tells people what to do.
        """
        ...

    def replace(self, values: Mapping[str, Any], /) -> None:
        """Keep these values and no others. When it returns they survive a crash of the machine.

        Raises `JournalError` if they cannot be written; what was kept before then still is.
        """
        ...


class Calls(Protocol):
    """The calls under one API key, counted over all processes of this machine."""

    def take(self) -> None:
        """Wait until one more call may be made, and count it.

        Raises `QuotaSpentError` if the day's calls are used up.
        """
        ...

    def ended(self) -> None:
        """Say that the call has been answered: a service may have counted it as late as now."""
        ...

    def spent(self) -> datetime:
        """The service itself says that the day's calls are used up; answers when there are more."""
        ...

    def left(self) -> int | None:
        """How many calls are left today; None if there is no limit a day."""
        ...


class Counter(Protocol):
    """Answers the calls under a key. Limits that are given hold instead of the declared ones."""

    def __call__(
        self, key: str, /, *, per_second: float | None = None, per_day: int | None = None
    ) -> Calls: ...


class Prompt(Protocol):
    """The person at the keyboard. `browser` is False where they asked for no browser here."""

    browser: bool

    def __call__(self, question: str, *, secret: bool = False) -> str:
        """Ask, and answer what was typed; a secret is not shown while it is typed."""
        ...

    def tell(self, text: str) -> None:
        """Show a text, such as the address to open."""
        ...


class Unkept:
    """The credentials of a connection without a place to keep any."""

    def held(self) -> AbstractContextManager[None]:
        """Nothing to hold."""
        return nullcontext()

    def read(self) -> dict[str, Any]:
        """Nothing is kept."""
        return {}

    def replace(self, _values: Mapping[str, Any], /) -> None:
        """Raises `PluginError`: there is no place."""
        raise PluginError("this connection has no place to keep credentials")


class Uncounted:
    """Calls that nobody counts."""

    def __init__(
        self, _key: str = "", /, *, per_second: float | None = None, per_day: int | None = None
    ) -> None:
        pass

    def take(self) -> None:
        """At once."""

    def ended(self) -> None:
        """Nobody counts."""

    def spent(self) -> datetime:
        """At the next midnight in UTC, as far as anybody knows."""
        from datetime import UTC, datetime, timedelta

        tomorrow = datetime.now(UTC) + timedelta(days=1)
        return tomorrow.replace(hour=0, minute=0, second=0, microsecond=0)

    def left(self) -> int | None:
        """Nobody knows."""
        return None
