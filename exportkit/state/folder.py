"""The state folder: where everything lies, private, and replaced whole or not at all."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from exportkit.durable import Draft, make_folder, synced
from exportkit.errors import ConfigError, JournalError
from exportkit.state.shelf import FolderShelf

if TYPE_CHECKING:
    from pathlib import Path

    from exportkit.state.shared import DatabaseShelf
    from exportkit.state.shelf import Shelf

log = logging.getLogger("exportkit.state")
_OPEN_TO_ALL = "everybody may look into %s, which holds personal data: chmod 700 %s"


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The layout of a state folder. It holds personal data, so it is of mode 0700.

    With a state in a database this is the workbench of one process, and `shelf` what all runners
    see. `home` is where what people look at on this machine lies, such as the report.
    """

    root: Path
    shelf: Shelf = field(default_factory=FolderShelf, repr=False, compare=False)
    database: DatabaseShelf | None = field(default=None, repr=False, compare=False)

    @property
    def home(self) -> Path:
        """Where the report and the metrics of this machine lie."""
        return self.root if self.database is None else self.database.home

    @property
    def shown(self) -> str:
        """Where the state is, for people."""
        return str(self.root) if self.database is None else self.database.shown

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

    @property
    def snapshots(self) -> Path:
        """One folder a job, in it one a target."""
        return self.root / "snapshots"

    def snapshot(self, job: str, target: object) -> Path:
        """Where a job's snapshot of one target lies."""
        return self.snapshots / job / fingerprint(target)[:16]

    def catalogue(self, connection: str, options: object) -> Path:
        """Where the last known description of a target lies."""
        return self.root / "catalogues" / f"{connection}-{fingerprint(options)[:16]}.json"

    def catalogues(self, connection: str) -> list[Path]:
        """Where the last known descriptions of all targets of a connection lie."""
        # No other connection's: its name would have to be as long as this one's, so the same.
        pattern = f"{connection}-{'?' * 16}.json"
        known = self.shelf.files(self.root / "catalogues")
        return sorted(path for path in known if path.match(pattern))

    def size(self) -> int:
        """The bytes of all files in it."""
        return sum(self.shelf.files(self.root).values())

    @property
    def credentials(self) -> Path:
        """What connections keep: one file a connection; made when there is something to keep."""
        return self.root / "credentials"


def state_home(root: Path, state: str) -> Path:
    """Where the state lies on this machine, or what a process works with if it lies elsewhere."""
    return root.resolve() / ".exportkit" if "://" in state else (root / state).resolve()


def state_folder(root: Path, state: str) -> StateFolder:
    """The state folder of a workspace, whether it is there or not. Makes and opens nothing.

    Raises ConfigError for a kind of state that this version does not have.
    """
    if "://" not in state:
        return StateFolder(state_home(root, state))
    if not state.startswith(("postgresql://", "postgres://")):
        raise ConfigError(
            f"a state cannot be kept in {state.partition('://')[0]}",
            hint="write a folder's name, or postgresql://..., under `state:` in exportkit.yaml",
        )
    shelf = _database_shelf(root.resolve(), state)
    return StateFolder(shelf.root, shelf, shelf)


@cache
def _database_shelf(root: Path, state: str) -> DatabaseShelf:
    """One for this process: its workbench, its sessions, its locks."""
    try:
        from exportkit.state.shared import DatabaseShelf
    except ImportError as error:
        missing = error.name or "psycopg"
        raise ConfigError(
            f"a state in PostgreSQL needs the package {missing}, which is not installed",
            hint="pip install 'exportkit[postgresql-state]'",
        ) from None
    return DatabaseShelf(state, state_home(root, state))


def open_state(root: Path, state: str) -> StateFolder:
    """The state folder of a workspace, made if it is not there yet.

    Raises ConfigError for a kind of state that this version does not have, JournalError where the
    folder cannot be made or written.
    """
    folder = state_folder(root, state)
    try:
        _make_private(folder.home)
        if folder.database is not None:
            folder.database.open_workbench()
        elif folder.home.stat().st_mode & 0o007:
            log.warning(_OPEN_TO_ALL, folder.home, folder.home)
        for part in ("locks", "runs", "snapshots", "catalogues"):
            make_folder(folder.root / part)
    except OSError as error:
        failure = unwritable(folder.home, error)
        if folder.database is not None:
            failure.hint = (
                "the state is in the database; what a run works with lies there for as long as "
                "it runs. It has to be a folder that may be written to, with room for one run"
            )
        raise failure from None
    return folder


def _make_private(home: Path) -> None:
    make_folder(home)
    ignore = home / ".gitignore"
    if not ignore.exists():
        # Whatever the workspace's own .gitignore says, profiles don't belong in git.
        write_durably(ignore, b"*\n")


def new_folder(path: Path) -> Path:
    """Make a new private folder. Raises JournalError where that cannot be."""
    try:
        make_folder(path.parent)
        path.mkdir(mode=0o700)
        synced(path.parent)
    except OSError as error:
        raise unwritable(path, error) from None
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
        raise unwritable(path, error) from None


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


def unwritable(path: Path, error: OSError) -> JournalError:
    """What to say where a file of the state cannot be written."""
    return JournalError(
        f"{path} cannot be written: {(error.strerror or type(error).__name__).lower()}",
        hint="the state folder has to be a folder that the user who runs exportkit may write to, "
        "on a disk with space left; `state:` in exportkit.yaml names it",
    )
