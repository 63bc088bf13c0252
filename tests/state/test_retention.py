"""What is personal goes when its time is over; what is open, in use, or the latest stays."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from exportkit.config.retention import Retention
from exportkit.state.folder import open_state
from exportkit.state.house import House
from exportkit.state.retention import Terms, in_use, prune, terms_of, tidy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
SENT = {"accepted.parquet", "staying.parquet", "changes"}
REJECTED = {"rejections.parquet", "refused"}
ALL = SENT | REJECTED


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(open_state(tmp_path, "state")) as opened:
        yield opened


def run_id(age: timedelta, job: str = "vip") -> str:
    return f"{NOW - age:%Y%m%dT%H%M%S}-{job}-0123ab"


def folder_of(house: House, age: timedelta, job: str = "vip", *, plan: bool = False) -> Path:
    """A run's folder with all that a run leaves, and the scratch of one that was killed."""
    folder = house.state.run(run_id(age, job))
    for name in ("changes", "refused", "exportkit-x1y2"):
        (folder / name).mkdir(parents=True)
        (folder / name / "some.parquet").write_bytes(b"x")
    files = ["accepted.parquet", "staying.parquet", "rejections.parquet", ".some.parquet.1.draft"]
    for name in [*files, "duckdb_temp_storage-0.tmp", *(["plan.json"] if plan else [])]:
        (folder / name).write_bytes(b"x")
    os.utime(folder, times=((NOW - age).timestamp(),) * 2)
    return folder


def ran(house: House, age: timedelta, *, job: str = "vip", folded: bool = True) -> Path:
    """A run that is in the journal, and its folder."""
    folder = folder_of(house, age, job)
    house.journal.begin_run(folder.name, job, NOW - age, target="t", folded=folded)
    return folder


def left(folder: Path) -> set[str] | None:
    """What is in a run's folder; None if it is gone."""
    return {entry.name for entry in folder.iterdir()} if folder.exists() else None


def test_after_each_run_the_ones_before_it_keep_their_rejections_alone(house: House) -> None:
    before, latest = ran(house, 29 * DAY), ran(house, 0 * DAY)
    over = ran(house, 31 * DAY)
    prune(house, "vip", latest.name, Terms(), NOW)
    assert (left(over), left(before), left(latest)) == (None, REJECTED, ALL)
    assert set(house.journal.folded("vip")) == {over.name, before.name, latest.name}


def test_declared_terms(house: House) -> None:
    runs = [ran(house, days * DAY) for days in (100, 8, 6, 0)]
    terms = terms_of(Retention(runs=90 * DAY, rejections=7 * DAY))
    prune(house, "vip", runs[-1].name, terms, NOW)
    assert [left(folder) for folder in runs] == [None, set(), REJECTED, ALL]
    assert set(house.journal.folded("vip")) == {folder.name for folder in runs[1:]}


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ([], (400, 30, 30)),
        ([None, Retention(10 * DAY, 10 * DAY)], (10, 10, 10)),
        ([Retention(rejections=5 * DAY), Retention(90 * DAY, 40 * DAY)], (90, 90, 5)),
        ([Retention(runs=3 * DAY)], (3, 3, 3)),
        ([Retention(rejections=500 * DAY)], (500, 500, 500)),
        ([Retention(rejections=0 * DAY)], (400, 0, 0)),
    ],
)
def test_the_first_file_that_says_something_counts(
    declared: list[Retention | None], expected: tuple[int, int, int]
) -> None:
    terms = terms_of(*declared)
    assert (terms.rows.days, terms.folders.days, terms.rejections.days) == expected


def test_the_latest_run_is_kept_whatever_the_terms_say(house: House) -> None:
    latest = ran(house, 0 * DAY)
    prune(house, "vip", latest.name, terms_of(Retention(0 * DAY, 0 * DAY)), NOW + DAY)
    assert left(latest) == ALL
    assert house.journal.run(latest.name)


def test_what_is_open_is_never_touched(house: House) -> None:
    still, latest = ran(house, 1000 * DAY, folded=False), ran(house, 0 * DAY)
    prune(house, "vip", latest.name, terms_of(Retention(DAY, DAY)), NOW)
    assert left(still) == ALL, "but the scratch of a run that died"
    assert house.journal.run(still.name)


def test_a_plan_is_kept_for_a_day(house: House) -> None:
    fresh, old = folder_of(house, DAY / 2, plan=True), folder_of(house, DAY * 2, plan=True)
    prune(house, "vip", "r", Terms(), NOW)
    assert (left(fresh), left(old)) == ({*ALL, "plan.json"}, None)


def test_runs_that_died_before_they_began_leave_nothing(house: House) -> None:
    dead = folder_of(house, DAY / 24)
    prune(house, "vip", "r", Terms(), NOW)
    assert left(dead) is None


def test_a_folder_that_was_made_just_now_may_be_about_to_be_used(house: House) -> None:
    made = folder_of(house, 0 * DAY)
    os.utime(made)
    before = left(made)
    prune(house, "vip", "r", Terms(), datetime.now(UTC))
    assert left(made) == before


USER = """
import sys
from pathlib import Path
from exportkit.state.retention import in_use
with in_use(Path(sys.argv[1])):
    print("in use", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("end", ["ends", "is killed"])
def test_what_another_process_works_in_stays(house: House, end: str) -> None:
    folder = folder_of(house, 2 * DAY)
    before = left(folder)
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    process.stdout.readline()
    with in_use(folder):
        prune(house, "vip", "r", Terms(), NOW)
    prune(house, "vip", "r", Terms(), NOW)
    assert left(folder) == before
    if end == "is killed":
        process.kill()
    process.communicate(b"\n", timeout=30)
    prune(house, "vip", "r", Terms(), NOW)
    assert left(folder) is None


def test_other_jobs_and_strangers_are_not_touched(house: House) -> None:
    others = [ran(house, 1000 * DAY, job=job) for job in ("vip-2", "vip-0123ab", "a-vip", "v")]
    for name in ("notes", "20269999T000000-vip-0123ab"):
        (house.state.runs / name).mkdir()
    kept = house.state.runs / "20200101T000000-vip-012345"
    kept.write_text("a file of somebody")
    before = [left(folder) for folder in others]
    tidy(house, "vip", "r")
    assert [left(folder) for folder in others] == before
    assert (house.state.runs / "notes").exists()
    assert kept.exists()


def test_a_link_is_removed_and_not_what_it_points_to(house: House, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("")
    folder = folder_of(house, 2 * DAY)
    (folder / "exportkit-link").symlink_to(tmp_path / "mine")
    os.utime(folder, times=((NOW - DAY).timestamp(),) * 2)
    prune(house, "vip", "r", Terms(), NOW)
    assert left(folder) is None
    assert (tmp_path / "mine" / "file").exists()


def test_a_failure_is_left_for_the_next_time(tmp_path: Path) -> None:
    with House(open_state(tmp_path, "state")) as house:
        house.state.journal.write_bytes(b"not a database at all" * 100)
        tidy(house, "vip", "r")
        house.state.journal.unlink()
        house.state.runs.rmdir()
        tidy(house, "vip", "r")


def test_times_in_the_future_are_kept_until_they_are_over(house: House) -> None:
    ahead, latest = ran(house, -400 * DAY), ran(house, 0 * DAY)
    prune(house, "vip", latest.name, Terms(), NOW)
    assert left(ahead) == REJECTED
    prune(house, "vip", latest.name, Terms(), NOW + 431 * DAY)
    assert left(ahead) is None
