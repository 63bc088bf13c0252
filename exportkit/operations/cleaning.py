"""`clean`: what is over its term is removed now, of jobs that run no more as well."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exportkit.access.audit import note
from exportkit.errors import ConfigError
from exportkit.state.folder import remove_folder
from exportkit.state.retention import Terms, prune, surplus, terms_of

if TYPE_CHECKING:
    from datetime import datetime

    from exportkit.config.workspace import Workspace
    from exportkit.state.house import House

AT_ONCE = Terms(timedelta(0), timedelta(0), timedelta(0))
"""The terms of a job that is to be forgotten; what is still open stays even so."""


@dataclass(slots=True)
class Cleaned:
    """What was removed of one job, or would be. `gone`: there is no such job any more."""

    job: str
    gone: bool
    folders: int = 0
    files: int = 0
    bytes: int = 0
    journal_rows: int = 0
    snapshots: list[Path] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """One entry of `clean --json`."""
        numbers = ("folders", "files", "bytes", "journal_rows")
        return {
            "job": self.job,
            "gone": self.gone,
            **{name: getattr(self, name) for name in numbers},
            "snapshots": len(self.snapshots),
        }

    @property
    def anything(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.folders or self.files or self.journal_rows or self.snapshots)


def clean(
    workspace: Workspace, house: House, now: datetime, *, dry_run: bool, gone: bool
) -> list[Cleaned]:
    """Remove what is over its term; with `gone`, all that is known of jobs that are no more.

    A snapshot that is removed is not known any more: should the job come back, it sends all rows,
    and a mirror takes out nobody whom it delivered before. Raises ConfigError with `gone` while
    some files of jobs cannot be read, JournalError.
    """
    listing = workspace.jobs()
    if gone and listing.complaints:
        raise ConfigError(complaints=listing.complaints)
    declared = {job.name: job.retention for job in listing.items}
    known = {*declared, *workspace.names("job")}
    found = []
    for job in sorted({*known, *house.journal.jobs(), *_snapshots(house)}):
        forgotten = gone and job not in known
        terms = AT_ONCE if forgotten else terms_of(declared.get(job), workspace.retention)
        done = _of_job(house, job, terms, now, forgotten, dry_run=dry_run)
        done.gone = job not in known
        if forgotten:
            done.snapshots = sorted(_snapshots(house).get(job, ()))
            if not dry_run:
                _forget(house, job)
        found.append(done)
    if not dry_run:
        note(house.journal, "clean", "state", gone=gone)
    return [done for done in found if done.anything]


def gone_jobs(workspace: Workspace, house: House) -> list[str]:
    """The jobs with a snapshot that are not in the workspace any more."""
    return sorted(_snapshots(house).keys() - set(workspace.names("job")))


def _of_job(
    house: House,
    job: str,
    terms: Terms,
    now: datetime,
    forgotten: bool,
    *,
    dry_run: bool,
) -> Cleaned:
    runs = house.journal.runs(job, limit=1)
    latest = runs[0].run_id if runs and not forgotten else ""
    done = Cleaned(job, gone=False)
    for found in surplus(house, job, latest, terms, now):
        done.folders += found.whole
        done.files += len(found.sizes)
        done.bytes += sum(found.sizes)
    done.journal_rows = house.journal.forgettable(job, now - terms.rows, latest)
    if not dry_run:
        prune(house, job, latest, terms, now)
    return done


def _forget(house: House, job: str) -> None:
    state = house.state
    remove_folder(state.snapshots / job)
    marks = [state.schedules / name for name in (f"{job}.json", f"{job}.skipped")]
    for path in (*marks, *(state.locks / name for name in (f"{job}.lock", f"{job}.due.lock"))):
        path.unlink(missing_ok=True)
    house.shelf.share(state.snapshots / job, *marks)


def _snapshots(house: House) -> dict[str, set[Path]]:
    """The folders with snapshots, by job."""
    snapshots, found = house.state.snapshots, defaultdict[str, set[Path]](set)
    for path in house.shelf.files(snapshots):
        job, *rest = path.relative_to(snapshots).parts
        if len(rest) > 1:
            found[job].add(snapshots / job / rest[0])
    return found
