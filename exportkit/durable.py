"""Files that are replaced whole or not at all, for the host's own state and for plugins."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class Draft:
    """A file in the making beside the one that it will replace, which stays until `commit`.

    Write to `file` (binary). As a context manager it discards what was not committed; what a
    killed process left behind is discarded by the next draft of the same file. Folders are made
    if need be. Raises OSError.
    """

    def __init__(self, path: Path, mode: int = 0o600) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._mode = mode
        self._draft = path.with_name(f".{path.name}.draft")
        self._draft.unlink(missing_ok=True)
        descriptor = os.open(self._draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self.file: BinaryIO = os.fdopen(descriptor, "wb")

    def commit(self) -> None:
        """Put the draft in the file's place: on the disk first, then visible.

        A reader, or a crash, meets the old file or the new one, nothing else.
        """
        self.file.close()
        self._draft.chmod(self._mode)
        synced(self._draft)
        self._draft.replace(self._path)
        synced(self._path.parent)

    def __enter__(self) -> Draft:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.file.close()
        finally:
            self._draft.unlink(missing_ok=True)


def synced(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
