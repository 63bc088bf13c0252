"""Guards trip above their value, say by how much, and how to allow it once."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exportkit.config.documents import read_document
from exportkit.config.job import read_job
from exportkit.errors import GuardError
from exportkit.pipeline.guards import check_guards
from exportkit.pipeline.handover import Allowed
from exportkit.records import Counts, Limits

if TYPE_CHECKING:
    from pathlib import Path

    from exportkit.config.job import Job


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


def job(folder: Path, **limits: Any) -> Job:
    data = {
        "version": 1,
        "name": "vip",
        "source": "people",
        "segments": ["all"],
        "map": {"email": "email"},
        "limits": limits,
    }
    path = folder / "vip.yaml"
    path.write_text(yaml.safe_dump(data))
    return read_job(read_document(path, "jobs/vip.yaml"))


def trips(subject: Job, counts: Counts, before: int = 0, **allowed: bool) -> str:
    """The message, or nothing if the run may go on."""
    try:
        check_guards(counts, before, subject, Limits(), Allowed(**allowed))
    except GuardError as error:
        return error.message
    return ""


def test_without_limits_everything_but_nothing_may_be_sent(folder: Path) -> None:
    assert trips(job(folder), Counts(selected=10**9, rejected=10**9, removed=10**6), 10**6) == ""
    empty = "source 'people' has no profiles in the job's segments"
    assert trips(job(folder), Counts(removed=3), 3) == empty
    assert trips(job(folder), Counts(removed=3), 3, empty=True) == ""


SHARES = st.decimals(0, 100, places=2).map(lambda share: f"{share.normalize():f}")


@given(share=SHARES, rows=st.integers(0, 1000), of=st.integers(1, 1000))
@example(share="29", rows=29, of=100)
@example(share="7", rows=7, of=100)
@example(share="0", rows=1, of=1000)
@example(share="100", rows=1000, of=1000)
@settings(deadline=None)
def test_a_share_trips_above_its_value(folder: Path, share: str, rows: int, of: int) -> None:
    subject = job(folder, rejections=f"{share}%", removals=f"{share}%")
    too_many = Fraction(rows, of) > Fraction(share) / 100
    assert bool(trips(subject, Counts(selected=of, rejected=rows))) == too_many
    assert bool(trips(subject, Counts(selected=1, removed=rows), of)) == too_many


@settings(deadline=None)
@given(bound=st.integers(0, 20), rows=st.integers(0, 20))
def test_a_number_trips_above_its_value(folder: Path, bound: int, rows: int) -> None:
    subject = job(folder, rejections=bound, removals=bound)
    assert bool(trips(subject, Counts(selected=20, rejected=rows))) == (rows > bound)
    assert bool(trips(subject, Counts(selected=1, removed=rows), 20)) == (rows > bound)


@pytest.mark.parametrize(
    ("in_job", "by_plugin", "trip"),
    [(None, None, False), (9, None, True), (10, None, False), (None, 9, True), (10, 9, True)],
)
def test_too_many_profiles(
    folder: Path, in_job: int | None, by_plugin: int | None, trip: bool
) -> None:
    subject = job(folder) if in_job is None else job(folder, profiles=in_job)
    counts, limits = Counts(selected=10), Limits(profiles=by_plugin)
    if not trip:
        check_guards(counts, 0, subject, limits, Allowed())
        return
    everything = Allowed(empty=True, removals=True, rejections=True)
    with pytest.raises(GuardError, match="10 profiles are more than the limit of 9") as raised:
        check_guards(counts, 0, subject, limits, everything)
    assert raised.value.exit_code == 3
    assert ("raise `limits.profiles`" in (raised.value.hint or "")) == (by_plugin is None)


def test_each_is_allowed_by_its_own_word(folder: Path) -> None:
    subject = job(folder, rejections="5%", removals=2)
    counts = Counts(selected=2000, rejected=120, removed=1500)
    rejected = "120 of 2,000 (6.0%) rejected, the limit is 5%"
    removed = "1,500 of 3,000 (50.0%) would be removed, the limit is 2"
    assert trips(subject, counts, 3000) == f"{rejected}; {removed}"
    assert trips(subject, counts, 3000, rejections=True) == removed
    assert trips(subject, counts, 3000, removals=True) == rejected
    assert trips(subject, counts, 3000, removals=True, rejections=True) == ""


def test_a_limit_is_shown_as_it_was_written(folder: Path) -> None:
    for written in ("0%", "0.5%", "12.25%", "100%"):
        told = trips(job(folder, removals=written), Counts(selected=1, removed=9), 1)
        assert told.endswith(f"the limit is {written}")


def test_the_hint_says_how_to_allow_it_and_that_nothing_was_sent(folder: Path) -> None:
    counts, subject = Counts(removed=1), job(folder, removals=0)
    with pytest.raises(GuardError) as raised:
        check_guards(counts, 1, subject, Limits(), Allowed())
    hint = raised.value.hint or ""
    assert "--allow-empty" in hint
    assert "--allow-removals" in hint
    assert hint.endswith("Nothing was sent")
