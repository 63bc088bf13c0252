"""Where all runners see what one of them wrote: the state folder itself, or a database.

Whoever writes a file of the state shares it afterwards; whoever reads one brings it first. In a
folder that all use both are nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from exportkit.state import locks

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Shelf(Protocol):
    """What a state folder is to all its runners. Every method raises JournalError if it fails."""

    @property
    def shared(self) -> bool:
        """Whether other hosts see it too: then the folder is only this process's workbench."""
        ...

    def held(self, lock: Path, what: str) -> AbstractContextManager[None]:
        """Hold a lock while the block runs. Raises BusyError, at once, if somebody else does."""
        ...

    def holder(self, lock: Path) -> dict[str, Any] | None:
        """Who holds the lock: pid, host, since. None if nobody does."""
        ...

    def still_held(self) -> None:
        """Return if every lock that this process holds is still its own; to be asked before a call
        leaves. Raises JournalError if one was lost."""
        ...

    def bring(self, *paths: Path, named: str | None = None) -> None:
        """Have these files, or all in these folders, here as all see them.

        A file that nobody shared, or that was taken away, is gone here too. `named` brings only the
        files of that name of the folders.
        """
        ...

    def share(self, *paths: Path, fenced: bool = False) -> None:
        """Let all see what is here under these paths: files, or folders whole; or nothing any more.

        All at once or not at all. `fenced`: only while the locks that are held still are.
        """
        ...

    def files(self, folder: Path) -> dict[Path, int]:
        """The files below the folder that all see, with their bytes."""
        ...

    def untouched(self, folder: Path) -> timedelta:
        """For how long nothing was written there, by the clock of whoever keeps it."""
        ...

    def close(self) -> None:
        """Let go of all that is open; what is asked for later is opened anew."""
        ...


class FolderShelf:
    """A folder that all runners use: what is written there, they see."""

    shared = False

    def held(self, lock: Path, what: str) -> AbstractContextManager[None]:
        """The lock is the kernel's."""
        return locks.held(lock, what)

    def holder(self, lock: Path) -> dict[str, Any] | None:
        """Who wrote down that the lock is held."""
        return locks.holder_of(lock)

    def still_held(self) -> None:
        """It is: the kernel takes it from nobody."""

    def bring(self, *paths: Path, named: str | None = None) -> None:
        """They are here."""

    def share(self, *paths: Path, fenced: bool = False) -> None:
        """They are seen."""

    def files(self, folder: Path) -> dict[Path, int]:
        """The files below the folder."""
        found = {}
        for where, _, names in os.walk(folder):
            for name in names:
                path = Path(where, name)
                with suppress(OSError):  # it has gone meanwhile
                    found[path] = path.lstat().st_size
        return found

    def untouched(self, folder: Path) -> timedelta:
        """For how long nothing was made in the folder; by the clock of its file system."""
        return datetime.now(UTC) - datetime.fromtimestamp(folder.stat().st_mtime, UTC)

    def close(self) -> None:
        """Nothing is open."""
