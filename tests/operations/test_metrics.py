"""The metrics file says what the journal says, as Prometheus's own library reads it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exportkit.operations.metrics import SKIPS, STATUSES, gauges_of, job_states, text_of
from exportkit.state.journal import Journal, open_journal
from exportkit.state.usage import KeyUsage
from tests.operations.conftest import MORNING, a_run, skipped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exportkit.records import Run


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(tmp_path / "journal.sqlite") as journal:
        yield journal


def remember(journal: Journal, done: Run, run_id: str, started_at: datetime = MORNING) -> None:
    journal.begin_run(run_id, done.job, started_at)
    end = started_at + (done.finished_at - done.started_at)
    journal.end_run(replace(done, run_id=run_id, started_at=started_at, finished_at=end))


def read(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    return {
        family.name: {tuple(s.labels.values()): s.value for s in family.samples}
        for family in text_string_to_metric_families(text)
    }


def written(journal: Journal, jobs: list[str], usage: list[KeyUsage] | None = None) -> Any:
    return read(text_of(gauges_of(job_states(journal, jobs), usage or [], MORNING)))


def test_a_job_that_failed_after_it_had_worked(journal: Journal) -> None:
    remember(journal, a_run("partial", selected=9, added=7, rejected=2), "one")
    remember(journal, a_run("failed", "job", selected=3), "two", MORNING + timedelta(days=1))
    found = written(journal, ["vip"])
    status = found["exportkit_job_last_run_status"]
    assert {key[1]: value for key, value in status.items()} == {
        name: float(name == "failed") for name in STATUSES
    }
    end = MORNING.timestamp() + 12
    assert found["exportkit_job_last_success_timestamp_seconds"] == {("vip",): end}
    assert found["exportkit_job_last_run_timestamp_seconds"] == {("vip",): end + 86_400}
    assert found["exportkit_job_last_run_duration_seconds"] == {("vip",): 12.0}
    rows = found["exportkit_job_last_run_rows"]
    assert rows["vip", "selected"] == 3
    assert rows["vip", "added"] == 0
    assert len(rows) == 11


@pytest.mark.parametrize("failures", [SKIPS - 1, SKIPS + 5])
def test_success_is_remembered_however_often_it_failed_since(
    journal: Journal, failures: int
) -> None:
    remember(journal, a_run(selected=1, added=1), "good")
    for number in range(failures):
        began = MORNING + timedelta(hours=number + 1)
        remember(journal, a_run("failed", "job"), f"bad-{number:02d}", began)
    found = written(journal, ["vip"])["exportkit_job_last_success_timestamp_seconds"]
    assert found == {("vip",): MORNING.timestamp() + 12}


def test_what_is_on_right_now_does_not_count(journal: Journal) -> None:
    remember(journal, a_run(selected=1, added=1), "one")
    journal.begin_run("two", "vip", MORNING)
    found = written(journal, ["vip"])
    assert found["exportkit_job_last_run_status"]["vip", "succeeded"] == 1


def test_one_that_found_another_is_no_result(journal: Journal) -> None:
    remember(journal, a_run("failed", "job"), "one")
    remember(journal, skipped(), "two")
    assert written(journal, ["vip"])["exportkit_job_last_run_status"]["vip", "failed"] == 1


def test_before_the_first_run(journal: Journal) -> None:
    assert written(journal, ["vip"]) == {
        "exportkit_metrics_written_timestamp_seconds": {(): MORNING.timestamp()}
    }


def test_calls(journal: Journal) -> None:
    usage = [
        KeyUsage(("events", "marketing"), {"2026-11-23": 9, "2026-11-24": 7}, 10_000, frozenset()),
        KeyUsage(("other",), {"2026-11-23": 9}, None, frozenset()),
    ]
    found = written(journal, [], usage)
    assert found["exportkit_calls_today"] == {("events,marketing",): 7, ("other",): 0}
    assert found["exportkit_calls_per_day_limit"] == {("events,marketing",): 10_000}


def test_awkward_labels_survive() -> None:
    usage = [KeyUsage(('a"b\\c\nd',), {}, 1, frozenset())]
    found = read(text_of(gauges_of([], usage, MORNING)))
    assert found["exportkit_calls_today"] == {('a"b\\c\nd',): 0}
