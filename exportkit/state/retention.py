"""How long runs are remembered: what is personal goes when its time is over, what is open never."""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from exportkit.errors import ExportkitError
from exportkit.state.folder import remove_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from exportkit.config.retention import Retention
    from exportkit.state.house import House

REJECTIONS, ROWS, PLANS = timedelta(days=30), timedelta(days=400), timedelta(days=1)
"""How long is kept what no file sets a term for; and a plan that nobody applied."""

GRACE = timedelta(minutes=1)
"""A folder that is younger may be about to be used."""

_SENT = {"accepted.parquet", "staying.parquet", "changes"}
_REJECTED = {"rejections.parquet", "refused"}
_PLAN = "plan.json"


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a job's journal rows, run folders, and rejected rows in these are kept."""

    rows: timedelta = ROWS
    folders: timedelta = REJECTIONS
    rejections: timedelta = REJECTIONS


def terms_of(*declared: Retention | None) -> Terms:
    """The terms that the files declare, the first that says something counts."""
    said = [retention for retention in declared if retention is not None]
    runs = next((each.runs for each in said if each.runs is not None), None)
    found = [each.rejections for each in said if each.rejections is not None]
    rejections = found[0] if found else REJECTIONS
    if runs is None:
        return Terms(max(ROWS, rejections), rejections, rejections)
    return Terms(runs, runs, min(runs, rejections))


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Keep a run's folder from being pruned while the block works in it, killed or not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # where folders cannot be locked, none is pruned
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def tidy(house: House, job: str, latest: str, *declared: Retention | None) -> None:
    """Prune what a job's earlier runs left. Whatever fails is left for the next time."""
    with suppress(OSError, ExportkitError):
        prune(house, job, latest, terms_of(*declared), datetime.now(UTC))


def prune(house: House, job: str, latest: str, terms: Terms, now: datetime) -> None:
    """Remove what is over its term of all runs of the job but the latest, as of `now`.

    A run whose answers are not all in the snapshot is kept whole: the next run takes it up.
    """
    for found in surplus(house, job, latest, terms, now):
        with suppress(OSError):
            _remove(found)
    house.journal.forget(job, now - terms.rows, latest)


@dataclass(frozen=True, slots=True)
class Surplus:
    """What is over its term of one run's folder: some of it, or with `whole` the folder too."""

    folder: Path
    entries: tuple[Path, ...]
    whole: bool


def surplus(house: House, job: str, latest: str, terms: Terms, now: datetime) -> Iterator[Surplus]:
    """What `prune` would remove of the folders; nobody works in one while it is looked at."""
    folded = house.journal.folded(job)
    name = re.compile(rf"(\d{{8}}T\d{{6}})-{re.escape(job)}-[0-9a-f]{{6}}")
    for folder in sorted(house.state.runs.iterdir()):
        if (match := name.fullmatch(folder.name)) and (begun := _moment(match[1])):
            with suppress(OSError), _alone(folder) as alone:
                if alone:
                    latest_one = folder.name == latest
                    keep = _kept(folder, folded, latest_one, terms, now - begun)
                    gone = tuple(each for each in folder.iterdir() if each.name not in keep)
                    if gone or not keep:
                        yield Surplus(folder, gone, whole=not keep)


def _kept(
    folder: Path, folded: Mapping[str, bool], latest: bool, terms: Terms, age: timedelta
) -> set[str]:
    """The names in the folder that stay. Anything else there is scratch of a run that died."""
    keep = {_PLAN}
    if not folded.get(folder.name, True):
        return keep | _SENT | _REJECTED
    if folder.name not in folded:
        if (folder / _PLAN).exists():
            return keep | _SENT | _REJECTED if age < PLANS else set()
        return {each.name for each in folder.iterdir()} if _untouched(folder) < GRACE else set()
    if latest:
        keep |= _SENT
    if latest or age < terms.rejections:
        keep |= _REJECTED
    return keep if latest or age < terms.folders else set()


def _remove(found: Surplus) -> None:
    for entry in found.entries:
        if entry.is_dir() and not entry.is_symlink():
            remove_folder(entry)
        else:
            entry.unlink()
    if found.whole:
        found.folder.rmdir()


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether no process works in the folder; none begins to while the block runs."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        alone = False
    else:
        alone = True
    try:
        yield alone
    finally:
        os.close(descriptor)


def _untouched(folder: Path) -> timedelta:
    """For how long nothing was made in the folder; by the clock of its file system."""
    return datetime.now(UTC) - datetime.fromtimestamp(folder.stat().st_mtime, UTC)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
