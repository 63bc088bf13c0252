"""How often a service has been called under one API key, by all processes of this machine.

One small file a key, read and replaced under a kernel lock. Pacing uses the steady clock, which no
change of the time touches; a day's count stays with its date, so a clock that jumps to another day
and back finds it again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from exportkit.errors import JournalError, QuotaSpentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from exportkit.records import Limits
    from exportkit.services import Counter
    from exportkit.state.folder import StateFolder

T = TypeVar("T", int, float, str)
log = logging.getLogger("exportkit.state")

MARGIN = 0.05
"""Seconds by which the rolling second is longer than one: a call leaves a little after its turn."""
DAYS_KEPT = 92
"""Days whose counts are kept: the report shows them."""
USERS_KEPT = 100
MIDNIGHT = timedelta(minutes=10)
"""How long after midnight a service's clock may still be in the day before."""


@dataclass(slots=True)
class Count:
    """What the file of one key says: calls by UTC date, the latest turns, the service's word.

    `recent` are moments of the steady clock. `spent` says, by date, from when there are calls
    again (seconds of the epoch). `users` are the connections that call under the key, each with
    the date of its last call; `per_day` is the limit that the last of them knew.
    """

    days: dict[str, int] = field(default_factory=dict)
    recent: list[float] = field(default_factory=list)
    spent: dict[str, float] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    per_day: int | None = None


class CountedCalls:
    """The calls under one key; see `exportkit.Calls`. Threads and processes may share a key."""

    def __init__(
        self,
        file: Path,
        limits: Limits,
        user: str = "",
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._file = file
        self._user = user
        self._per_day = limits.calls_per_day
        rate = limits.calls_per_second
        # At most this many turns in each window; a rate below one makes the window longer.
        self._turns = max(1, int(rate)) if rate else None
        self._window = max(1.0, 1 / rate) + MARGIN if rate else 0.0
        self._wall, self._steady, self._sleep = wall, steady, sleep
        self._turn: float | None = None

    def __repr__(self) -> str:
        return f"<CountedCalls {self._file.stem[:8]}>"

    def take(self) -> None:
        """Wait for a turn and count it.

        Raises `QuotaSpentError` if the day's calls are used up, `JournalError` if they cannot be
        counted.
        """
        while (wait := self._attempt()) > 0:
            self._sleep(wait)

    def ended(self) -> None:
        """The call of the last turn has been answered: the service counted it by now."""
        with self._opened() as (count, save):
            if self._turn in count.recent:
                count.recent.remove(self._turn)
            count.recent.append(self._steady())
            save()

    def spent(self) -> datetime:
        """Note that the service gives no more calls today; answers when there are some again."""
        with self._opened() as (count, save):
            now = self._now()
            midnight = _midnight(now)
            day_began = midnight - timedelta(days=1)
            # Just after midnight it speaks of the day that is over by our clock.
            until = day_began + MIDNIGHT if now < day_began + MIDNIGHT else midnight
            _keep(count.spent, _date(now), until.timestamp())
            save()
        return until

    def left(self) -> int | None:
        """How many calls are left today; None if nothing limits them."""
        with self._opened() as (count, _):
            if self._until(count) is not None:
                return 0
            made = count.days.get(_date(self._now()), 0)
        return None if self._per_day is None else max(0, self._per_day - made)

    @property
    def _forget(self) -> str:
        """What to do so that the count begins anew."""
        return f"remove {self._file}"

    def _opened(self) -> AbstractContextManager[tuple[Count, Callable[[], None]]]:
        """The count, ours alone while the block runs, and what keeps it."""
        return _opened(self._file)

    def _attempt(self) -> float:
        """Take a turn if there is one; answers the seconds until one may be free, 0 if taken."""
        with self._opened() as (count, save):
            if (until := self._until(count)) is not None:
                raise self._quota_spent(until)
            now = self._steady()
            # What lies in the future was written before the machine was started again.
            count.recent = [turn for turn in count.recent if now - self._window < turn <= now]
            if self._turns is not None:
                if len(count.recent) >= self._turns:
                    return max(0.001, count.recent[-self._turns] + self._window - now)
                count.recent.append(now)
                self._turn = now
            today = _date(self._now())
            _keep(count.days, today, count.days.get(today, 0) + 1)
            _keep(count.users, self._user, today, USERS_KEPT)
            count.per_day = self._per_day
            save()
        return 0

    def _until(self, count: Count) -> datetime | None:
        """When there are calls again; None while there are some."""
        now = self._now()
        said = count.spent.get(_date(now), 0.0)
        if said > now.timestamp():
            return datetime.fromtimestamp(said, UTC)
        if self._per_day is not None and count.days.get(_date(now), 0) >= self._per_day:
            return _midnight(now)
        return None

    def _quota_spent(self, until: datetime) -> QuotaSpentError:
        often = "" if self._per_day is None else f" ({self._per_day:,})"
        return QuotaSpentError(
            f"the calls that this API key has in a day{often} are used up",
            until=until,
            hint=f"there are more from {until:%Y-%m-%d %H:%M} UTC; nothing is lost, run the job "
            f"again then. If you were given more, {self._forget}",
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._wall(), UTC)


def counted_calls(limits: Limits, user: str = "", state: StateFolder | None = None) -> Counter:
    """What answers the count of a key's calls, by the destination's limits or those given to it.

    `user` is written down beside the count (see `user_of`). Nothing is opened before a count is
    asked for. It raises JournalError if the account has no home to keep it in. Where several
    runners share the `state`, they share the count.
    """
    shared = state.database if state else None

    def of(
        key: str, /, *, per_second: float | None = None, per_day: int | None = None
    ) -> CountedCalls:
        name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        holding = replace(
            limits,
            calls_per_second=per_second or limits.calls_per_second,
            calls_per_day=per_day or limits.calls_per_day,
        )
        if shared is not None:
            from exportkit.state.sharedcalls import SharedCalls

            return SharedCalls(shared.database, name, holding, user)
        return CountedCalls(calls_folder() / f"{name}.json", holding, user)

    return of


def user_of(workspace: Path, connection: str, state: StateFolder | None = None) -> str:
    """How a connection of a workspace is called among those that use a key.

    What several runners share is one workspace, wherever it lies on each.
    """
    return f"{state.shown if state and state.database else workspace}\n{connection}"


def calls_folder() -> Path:
    """Where one file a key lies. Raises JournalError if the account has no home to keep it in."""
    return machine_folder() / "calls"


def machine_folder() -> Path:
    """Where this account keeps what all its workspaces on this machine share."""
    given = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(given):  # noqa: PTH117 - a relative one counts as none
        return Path(given) / "exportkit"
    import pwd

    try:
        # Not $HOME: with sudo or in a job it may be somebody else's, and the count another one.
        home = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        raise JournalError(
            "this account has no home folder to count its calls in",
            hint="set XDG_STATE_HOME to a folder that it may write to",
        ) from None
    return Path(home) / ".local" / "state" / "exportkit"


@contextmanager
def _opened(file: Path) -> Iterator[tuple[Count, Callable[[], None]]]:
    """The count in the file, ours alone, and what replaces the file by it."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(file.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _uncountable(file, error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        count = read_count(file)
        yield count, lambda: _save(file, count)
    except OSError as error:
        raise _uncountable(file, error) from None
    finally:
        os.close(lock)


def read_count(file: Path) -> Count:
    """What a key's file says. One that is damaged counts as empty, with a warning."""
    try:
        return count_of(json.loads(file.read_bytes()))
    except FileNotFoundError:
        return Count()
    except (ValueError, TypeError, LookupError, AttributeError):
        # The service counts as well, and its word is heeded: this is no reason to stop a run.
        log.warning("%s was damaged: today's calls are counted from none again", file)
        return Count()


def count_of(found: Mapping[str, Any]) -> Count:
    """The count that was written down so. Raises LookupError and the like for another thing."""
    return Count(
        {str(day): int(number) for day, number in found["days"].items()},
        [float(turn) for turn in found["recent"]],
        {str(day): float(until) for day, until in found["spent"].items()},
        {str(user): str(day) for user, day in found.get("users", {}).items()},
        found.get("per_day"),
    )


def _save(file: Path, count: Count) -> None:
    """Replace the file whole. Not synced: what a power cut loses, the service still knows."""
    text = json.dumps(asdict(count))
    draft = file.with_suffix(".new")
    descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as new:
        new.write(text)
    draft.replace(file)


def _keep(entries: dict[str, T], name: str, value: T, most: int = DAYS_KEPT) -> None:
    """Set an entry, and forget those that were set longest ago."""
    entries.pop(name, None)
    entries[name] = value
    for old in list(entries)[:-most]:
        del entries[old]


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _midnight(moment: datetime) -> datetime:
    """The next one."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _uncountable(file: Path, error: OSError) -> JournalError:
    return JournalError(
        f"calls cannot be counted in {file.parent}: {(error.strerror or 'failed').lower()}",
        hint="the user who runs exportkit has to be able to write there; XDG_STATE_HOME names "
        "another folder",
    )
