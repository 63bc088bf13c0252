"""The state folder: where everything lies, private, and replaced whole or not at all."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exportkit.durable import Draft, make_folder, synced
from exportkit.errors import ConfigError, JournalError

log = logging.getLogger("exportkit.state")


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The layout of a state folder. It holds personal data, so it is of mode 0700."""

    root: Path

    @property
    def journal(self) -> Path:
        """The journal's database file."""
        return self.root / "journal.sqlite"

    @property
    def locks(self) -> Path:
        """One lock file a job."""
        return self.root / "locks"

    @property
    def schedules(self) -> Path:
        """Up to when each job's times have been run: one file a job; made when there is one."""
        return self.root / "schedules"

    @property
    def runs(self) -> Path:
        """One folder a run or plan: accepted, changes, rejections."""
        return self.root / "runs"

    def run(self, run_id: str) -> Path:
        """The folder of one run or plan."""
        return self.runs / run_id

    def snapshot(self, job: str, target: object) -> Path:
        """Where a job's snapshot of one target lies."""
        return self.root / "snapshots" / job / fingerprint(target)[:16]

    def catalogue(self, connection: str, options: object) -> Path:
        """Where the last known description of a target lies."""
        return self.root / "catalogues" / f"{connection}-{fingerprint(options)[:16]}.json"

    def catalogues(self, connection: str) -> list[Path]:
        """Where the last known descriptions of all targets of a connection lie."""
        # No other connection's: its name would have to be as long as this one's, so the same.
        return sorted((self.root / "catalogues").glob(f"{connection}-{'?' * 16}.json"))

    def size(self) -> int:
        """The bytes of all files in it."""
        total = 0
        for folder, _, names in os.walk(self.root):
            for name in names:
                with suppress(OSError):  # it has gone meanwhile
                    total += Path(folder, name).lstat().st_size
        return total

    @property
    def credentials(self) -> Path:
        """What connections keep: one file a connection; made when there is something to keep."""
        return self.root / "credentials"


def state_folder(root: Path, state: str) -> StateFolder:
    """The state folder of a workspace, whether it is there or not. Makes nothing.

    Raises ConfigError for a kind of state that this version does not have.
    """
    if "://" in state:
        raise ConfigError(
            "this version keeps its state in a folder only",
            hint="write a folder's name under `state:` in exportkit.yaml",
        )
    return StateFolder((root / state).resolve())


def open_state(root: Path, state: str) -> StateFolder:
    """The state folder of a workspace, made if it is not there yet.

    Raises ConfigError for a kind of state that this version does not have, JournalError where the
    folder cannot be made or written.
    """
    folder = state_folder(root, state)
    try:
        parts = ("locks", "runs", "snapshots", "catalogues")
        for path in (folder.root, *(folder.root / part for part in parts)):
            make_folder(path)
        ignore = folder.root / ".gitignore"
        if not ignore.exists():
            # Whatever the workspace's own .gitignore says, profiles don't belong in git.
            write_durably(ignore, b"*\n")
        open_to_all = folder.root.stat().st_mode & 0o007
    except OSError as error:
        raise _unwritable(folder.root, error) from None
    if open_to_all:
        log.warning(
            "everybody may look into %s, which holds personal data: chmod 700 %s",
            folder.root,
            folder.root,
        )
    return folder


def new_folder(path: Path) -> Path:
    """Make a new private folder. Raises JournalError where that cannot be."""
    try:
        make_folder(path.parent)
        path.mkdir(mode=0o700)
        synced(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None
    return path


def remove_folder(path: Path) -> None:
    """Remove a folder and all in it; none is fine too."""
    shutil.rmtree(path, ignore_errors=True)


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file so that readers and crashes meet the old content or the new, nothing else."""
    try:
        with Draft(path) as draft:
            draft.file.write(content)
            draft.commit()
    except OSError as error:
        raise _unwritable(path, error) from None


def fingerprint(value: object) -> str:
    """A stable digest of plain values, whatever the order of their keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_json(path: Path) -> Any:
    """The file's JSON, None where there is no file. Raises JournalError if it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise JournalError(
            f"{path} is damaged or cannot be read",
            hint="move it away and run again",
        ) from None


def _unwritable(path: Path, error: OSError) -> JournalError:
    return JournalError(
        f"{path} cannot be written: {(error.strerror or type(error).__name__).lower()}",
        hint="the state folder has to be a folder that the user who runs exportkit may write to, "
        "on a disk with space left; `state:` in exportkit.yaml names it",
    )
