"""One target at a time for a stream, also when the exportkit that started it is gone.

A target whose exportkit was killed reads the end of its input and may still be writing. So what is
held is a lock of the kernel that the target inherits: it goes when the last of them does.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exportkit import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Hold:
    """The lock of one stream of a connection, and the private file that a target's config is in.

    Raises UnavailableError while another process has it.
    """

    def __init__(self, workspace: Path, connection: str, stream: str) -> None:
        names = json.dumps([str(workspace.resolve()), connection, stream])
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / hashlib.sha256(names.encode()).hexdigest()[:32]
        self._config = path.with_suffix(".json")
        self.lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            by = os.pread(self.lock, 20, 0).decode("ascii", "replace").strip()
            os.close(self.lock)
            who = f"process {by}" if by else "another process"
            raise UnavailableError(
                f"a Singer target is still writing to the stream {stream} ({who})",
                hint="it belongs to another run, or to one that was killed: wait until it ends",
            ) from None

    def note(self, pid: int) -> None:
        """Write down which process has the lock, for those who find it taken."""
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, str(pid).encode(), 0)

    def write(self, config: Mapping[str, Any]) -> Path:
        """A file with the config that nobody else can read; what a killed run left is replaced."""
        self.forget()
        descriptor = os.open(self._config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(config, file)
        return self._config

    def forget(self) -> None:
        """Remove the file with the config."""
        self._config.unlink(missing_ok=True)

    def release(self) -> None:
        """Let go: a target that is still running goes on holding."""
        with suppress(OSError):
            self.forget()
        os.close(self.lock)


def _folder() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "exportkit" / "singer"
