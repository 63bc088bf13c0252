"""One run of a job at a time. The lock is the kernel's, so it goes when its process does."""

from __future__ import annotations

import json
import os
import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from exportkit.errors import BusyError, JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SKIPPED = "skipped: "
"""How the message begins of what was not begun because somebody is at it."""


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold the lock while the block runs.

    Raises BusyError, at once, if another process holds it: who, and since when.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, mode=0o600)
    try:
        # Not quite at once: `status` holds a lock for an instant when it asks who does.
        lock.acquire(timeout=0.25, poll_interval=0.02)
    except Timeout:
        raise busy(_read_holder(path), what) from None
    except OSError as error:
        raise JournalError(
            f"the lock {path} cannot be taken: {(error.strerror or 'failed').lower()}",
            hint="the user who runs exportkit has to be able to write to the state folder",
        ) from None
    try:
        _write_holder(path)
        yield
    finally:
        # First, so that nobody takes this process for the next holder.
        _holder(path).unlink(missing_ok=True)
        lock.release()


def holder_of(path: Path) -> dict[str, Any] | None:
    """Who holds the lock: pid, host, since. None if nobody does."""
    from filelock import FileLock, Timeout

    if not path.exists():
        return None
    try:
        with FileLock(path, timeout=0, mode=0o600):
            return None
    except Timeout:
        return _read_holder(path)


def busy(holder: Mapping[str, Any], what: str) -> BusyError:
    """What is said of something that somebody holds: who, and since when, if that is known."""
    since = datetime.fromisoformat(holder["since"]).astimezone() if holder else None
    when = f" since {since:%Y-%m-%d %H:%M:%S}" if since else ""
    who = f" as pid {holder['pid']} on {holder['host']}" if holder else ""
    return BusyError(
        f"{SKIPPED}{what} is running{when}{who}",
        hint="nothing was done; it will be done by that run, or run it again afterwards",
    )


def _write_holder(path: Path) -> None:
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
    descriptor = os.open(_holder(path), os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(holder, file)


def _read_holder(path: Path) -> dict[str, Any]:
    """Who wrote that the lock is held; nothing where that cannot be read."""
    try:
        answer = json.loads(_holder(path).read_text(encoding="utf-8"))
        datetime.fromisoformat(answer["since"])
        return {name: answer[name] for name in ("pid", "host", "since")}
    except (OSError, ValueError, TypeError, LookupError):
        return {}


def _holder(path: Path) -> Path:
    return path.with_suffix(".json")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
