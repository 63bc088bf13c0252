"""How long runs are remembered: what is personal goes when its time is over, what is open never."""

from __future__ import annotations

import fcntl
import os
import re
from collections import defaultdict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from exportkit.errors import ExportkitError
from exportkit.state.folder import remove_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exportkit.config.retention import Retention
    from exportkit.state.house import House
    from exportkit.state.shelf import Shelf

REJECTIONS, ROWS, PLANS = timedelta(days=30), timedelta(days=400), timedelta(days=1)
"""How long is kept what no file sets a term for; and a plan that nobody applied."""

GRACE = timedelta(minutes=1)
"""A folder that is younger may be about to be used."""

_EVER = timedelta.max
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
            _remove(house.shelf, found)
    house.journal.forget(job, now - terms.rows, latest)


@dataclass(frozen=True, slots=True)
class Surplus:
    """What is over its term of one run's folder: some of it, or with `whole` the folder too.

    `sizes` are the bytes of each file in it.
    """

    folder: Path
    entries: tuple[Path, ...]
    whole: bool
    sizes: tuple[int, ...] = ()


def surplus(house: House, job: str, latest: str, terms: Terms, now: datetime) -> Iterator[Surplus]:
    """What `prune` would remove of the folders; nobody works in one while it is looked at."""
    folded = house.journal.folded(job)
    name = re.compile(rf"(\d{{8}}T\d{{6}})-{re.escape(job)}-[0-9a-f]{{6}}")
    for folder, names, sizes in _folders(house):
        if (match := name.fullmatch(folder.name)) and (begun := _moment(match[1])):
            with suppress(OSError), _alone(house.shelf, folder) as alone:
                if alone:
                    idle = house.shelf.untouched(folder) if folder.name not in folded else _EVER
                    found = _Found(folder.name, frozenset(names), now - begun, idle)
                    keep = _kept(found, folded, found.name == latest, terms)
                    gone = sorted(names - keep)
                    if gone or not keep:
                        paths = tuple(folder / each for each in gone)
                        lost = (size for path, size in sizes.items() if path.parts[0] in gone)
                        yield Surplus(folder, paths, not keep, tuple(lost))


def _folders(house: House) -> Iterator[tuple[Path, set[str], dict[Path, int]]]:
    """Each run's folder, the names in it, and the bytes of the files by their path in it."""
    runs, sizes = house.state.runs, defaultdict[str, dict[Path, int]](dict)
    for path, size in house.shelf.files(runs).items():
        run, *rest = path.relative_to(runs).parts
        sizes[run][Path(*rest)] = size
    if house.shelf.shared:
        for run, below in sorted(sizes.items()):
            yield runs / run, {path.parts[0] for path in below if path.parts}, below
        return
    for folder in sorted(path for path in runs.iterdir() if path.is_dir()):
        yield folder, {each.name for each in folder.iterdir()}, sizes[folder.name]


@dataclass(frozen=True, slots=True)
class _Found:
    """A run's folder: what is in it, how long ago the run began, since when nobody touched it."""

    name: str
    names: frozenset[str]
    age: timedelta
    idle: timedelta


def _kept(
    found: _Found, folded: Mapping[str, bool], latest: bool, terms: Terms
) -> set[str] | frozenset[str]:
    """The names in the folder that stay. Anything else there is scratch of a run that died."""
    keep = {_PLAN}
    if not folded.get(found.name, True):
        return keep | _SENT | _REJECTED
    if found.name not in folded:
        if _PLAN in found.names:
            return keep | _SENT | _REJECTED if found.age < PLANS else set()
        return found.names if found.idle < GRACE else set()
    if latest:
        keep |= _SENT
    if latest or found.age < terms.rejections:
        keep |= _REJECTED
    return keep if latest or found.age < terms.folders else set()


def _remove(shelf: Shelf, found: Surplus) -> None:
    for entry in found.entries:
        if entry.is_dir() and not entry.is_symlink():
            remove_folder(entry)
        else:
            entry.unlink(missing_ok=True)
    shelf.share(*found.entries)
    if found.whole and found.folder.exists():
        found.folder.rmdir()


@contextmanager
def _alone(shelf: Shelf, folder: Path) -> Iterator[bool]:
    """Whether no process works in the folder; none begins to while the block runs."""
    if shelf.shared and not folder.exists():
        yield True  # whoever works with what is in it has a copy
        return
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


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
