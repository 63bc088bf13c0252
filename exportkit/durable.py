"""Files that are replaced whole or not at all, for the host's own state and for plugins."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from io import BufferedWriter, FileIO
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedIOBase
    from pathlib import Path
    from types import TracebackType

    from _typeshed import ReadableBuffer


class Draft:
    """A file in the making beside the one that it will replace, which stays until `commit`.

    Write bytes to `file`, or put something there that writes into it (a `GzipFile`): it is closed
    first. As a context manager this discards what was not committed; what a killed process left
    behind is discarded by the next draft of the same file. Several drafts of one file do not
    disturb each other: the last to commit stays. Folders are made if need be. Raises OSError.
    """

    def __init__(self, path: Path, mode: int = 0o600) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _discard_abandoned(path)
        self._path = path
        self._mode = mode
        self._draft, descriptor = _new_draft(path)
        self._own = _SyncedAhead(FileIO(descriptor, "wb"))
        self.file: BufferedIOBase = self._own
        # Shares the lock, and keeps it when the file is closed: the draft is in use until the end.
        self._hold = os.fdopen(os.dup(descriptor), "wb", buffering=0)

    def commit(self) -> None:
        """Put the draft in the file's place: on the disk first, then visible.

        A reader, or a crash, meets the old file or the new one, nothing else.
        """
        self._close()
        os.fchmod(self._hold.fileno(), self._mode)
        os.fsync(self._hold.fileno())
        self._draft.replace(self._path)
        self._hold.close()
        synced(self._path.parent)

    def __enter__(self) -> Draft:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # the disk may be full, but this is not wanted any more
            self._close()
        self._draft.unlink(missing_ok=True)
        self._hold.close()

    def _close(self) -> None:
        try:
            self.file.close()
        finally:
            self._own.close()


class _SyncedAhead(BufferedWriter):
    """A file that goes to the disk while it grows, so that its end has little to wait for."""

    _STEP = 8 * 1024 * 1024
    _unsynced = 0
    _thread: Thread | None = None
    _error: OSError | None = None

    def write(self, data: ReadableBuffer) -> int:
        written = super().write(data)
        self._unsynced += written
        if self._unsynced >= self._STEP and not (self._thread and self._thread.is_alive()):
            self._unsynced = 0
            self._thread = Thread(target=self._sync, name="sync", daemon=True)
            self._thread.start()
        return written

    def close(self) -> None:
        if self._thread:
            self._thread.join()
        super().close()
        if self._error:  # the system tells of it once: a later sync would find nothing wrong
            raise self._error

    def _sync(self) -> None:
        try:
            _sync_data(self.fileno())
        except OSError as error:
            self._error = self._error or error


def synced(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a private folder, and those above it that are missing; after a crash they are there.

    One that is there already is left as it is. Raises OSError.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    synced(path.parent)


_sync_data = getattr(os, "fdatasync", os.fsync)
_SUFFIX = ".draft"


def _prefix(path: Path) -> str:
    return f".{path.name}."


def _new_draft(path: Path) -> tuple[Path, int]:
    """A new draft of the file and its descriptor, locked so that it shows that it is in use."""
    while True:
        draft = path.with_name(f"{_prefix(path)}{os.urandom(4).hex()}{_SUFFIX}")
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        with suppress(OSError):  # where there are no locks, nothing is discarded either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if draft.exists():
            return draft, descriptor
        os.close(descriptor)  # another process has discarded it before it was locked


def _discard_abandoned(path: Path) -> None:
    """Remove the drafts of this file that no process holds any more."""
    before = _prefix(path)
    length = len(before) + 8 + len(_SUFFIX)
    for name in os.listdir(path.parent):  # noqa: PTH208 - names are enough, and there may be many
        if name.startswith(before) and name.endswith(_SUFFIX) and len(name) == length:
            with suppress(OSError):  # in use, or somebody else's
                _discard(path.with_name(name))


def _discard(draft: Path) -> None:
    descriptor = os.open(draft, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.unlink()
    finally:
        os.close(descriptor)
