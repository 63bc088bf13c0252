"""What is at the top of the report at six in the morning, and what is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pytest

from exportkit.operations.attention import Matter, matters_of
from exportkit.operations.overview import overview_of
from exportkit.records import Failure, Run
from exportkit.state.locks import held
from exportkit.state.usage import KeyUsage
from tests.operations.conftest import a_run, skipped
from tests.operations.showcase import NOW, Showcase, with_past

if TYPE_CHECKING:
    from pathlib import Path

JOB = "vip-newsletter"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Showcase:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "machine"))
    return with_past(tmp_path / "shop", 1, 0)


def past(shop: Showcase, *runs: Run) -> None:
    """These runs, one a day, the last of them today."""
    for number, done in enumerate(runs):
        back = timedelta(days=len(runs) - 1 - number)
        begun = NOW - back - timedelta(minutes=5)
        end = begun + timedelta(seconds=9)
        run_id = f"run-{number}"
        shop.remember(replace(done, job=JOB, run_id=run_id, started_at=begun, finished_at=end))


def matters(shop: Showcase, now=NOW) -> tuple[Matter, ...]:
    return matters_of(overview_of(shop.workspace, shop.house, now))


def good(selected: int = 1000, rejected: int = 0) -> Run:
    status = "partial" if rejected else "succeeded"
    left = selected - rejected
    return a_run(status, selected=selected, rejected=rejected, unchanged=left)


def test_nothing_needs_anybody(shop: Showcase) -> None:
    past(shop, a_run("failed", "job"), good(), good(rejected=3))
    assert matters(shop) == ()


def test_a_failure_with_its_reason_and_since_when(shop: Showcase) -> None:
    past(shop, good(), a_run("failed", "job"), a_run("interrupted", "interrupted"))
    (matter,) = matters(shop)
    assert (matter.level, matter.job) == ("act", JOB)
    assert matter.says == "Was interrupted, 2 times in a row"
    assert (matter.why, matter.hint) == ("the list is gone", "name another list")
    assert matter.since == NOW - timedelta(days=1, minutes=5) + timedelta(seconds=9)


def test_a_guard(shop: Showcase) -> None:
    past(shop, a_run("blocked", "guard"))
    assert matters(shop)[0].says == "Stopped by a guard; nothing was sent"


def test_a_permission(shop: Showcase) -> None:
    past(shop, a_run("blocked", "permission"))
    assert matters(shop)[0].says == "Was not allowed to run"


def test_one_that_was_killed(shop: Showcase) -> None:
    shop.house.journal.begin_run("dead", JOB, NOW - timedelta(minutes=5))
    (matter,) = matters(shop)
    assert matter.says == "Was interrupted"
    assert matter.why == "it ended without a word: killed, or switched off"


def test_one_that_is_on_is_not_over(shop: Showcase) -> None:
    past(shop, good())
    shop.house.journal.begin_run("on", JOB, NOW - timedelta(minutes=5))
    with held(shop.house.state.locks / f"{JOB}.lock", "it"):
        assert matters(shop) == ()


def test_one_that_found_another_is_no_result(shop: Showcase) -> None:
    past(shop, good(), skipped())
    assert matters(shop) == ()


def test_one_that_waits(shop: Showcase) -> None:
    past(shop, good(), a_run("deferred", "quota_spent"))
    assert (matters(shop)[0].level, matters(shop)[0].says) == ("watch", "Waits to go on")


def test_a_time_that_was_missed(shop: Showcase) -> None:
    past(shop, good())
    assert matters(shop, NOW + timedelta(minutes=50)) == ()
    (matter,) = matters(shop, NOW + timedelta(days=1, hours=2))
    assert (matter.level, matter.says) == ("act", "Did not run when it was due")
    assert matter.since is not None
    assert matter.since > NOW


def test_many_left_out(shop: Showcase) -> None:
    past(shop, good(rejected=80))
    (matter,) = matters(shop)
    assert (matter.level, matter.says) == ("watch", "8% of the rows were left out")
    assert matter.hint == f"exportkit rejections {JOB}"


def test_more_left_out_than_usual(shop: Showcase) -> None:
    past(shop, *[good(rejected=5)] * 5, good(rejected=30))
    assert matters(shop)[0].says == "3% of the rows were left out; usually it is 0.5%"


def test_many_left_out_as_always(shop: Showcase) -> None:
    past(shop, *[good(rejected=30)] * 6)
    assert matters(shop) == ()


def test_half_of_the_people_are_gone(shop: Showcase) -> None:
    past(shop, *[good()] * 5, good(selected=400))
    assert matters(shop)[0].says == "Only 400 people were in the segments; usually 1,000"


def test_without_a_final_answer(shop: Showcase) -> None:
    past(shop, a_run("succeeded", selected=9, unsettled=9))
    assert matters(shop)[0].says == "9 rows are without a final answer"


def test_before_the_first_run(shop: Showcase) -> None:
    (matter,) = matters(shop)
    assert (matter.level, matter.says) == ("note", "Has not run yet")


def test_a_job_without_a_connection(tmp_path: Path, shop: Showcase) -> None:
    from exportkit.config.workspace import open_workspace

    past(shop, a_run("failed", "job"))
    file = shop.workspace.root / "jobs" / f"{JOB}.yaml"
    file.write_text(file.read_text().replace("connection: marketing\n", ""))
    overview = overview_of(open_workspace(shop.workspace.root), shop.house, NOW)
    (matter,) = matters_of(overview)
    assert (matter.level, matter.says) == ("note", "Inactive: it has no connection")


@pytest.mark.parametrize(
    ("calls", "spent", "says"),
    [
        (799, False, None),
        (800, False, "800 of the day's 1,000 calls are used"),
        (10, True, "The destination gives no more calls today"),
    ],
)
def test_calls_that_run_out(shop: Showcase, calls: int, spent: bool, says: str | None) -> None:
    past(shop, good())
    today = f"{NOW.astimezone(UTC):%Y-%m-%d}"
    usage = KeyUsage(("marketing",), {today: calls}, 1000, frozenset({today} if spent else ()))
    overview = replace(overview_of(shop.workspace, shop.house, NOW), usage=(usage,))
    assert [matter.says for matter in matters_of(overview)] == ([says] if says else [])


def test_what_is_urgent_comes_first(tmp_path: Path, shop: Showcase) -> None:
    many = with_past(tmp_path / "many", 26, 12)
    levels = [matter.level for matter in matters(many)]
    assert levels == sorted(levels, key=("act", "watch", "note").index)
    assert set(levels) >= {"act", "note"}


def test_a_hint_is_said_once(shop: Showcase) -> None:
    failure = Failure("config", "jobs/a.yaml:1:1: it is wrong (do this)", "do this")
    past(shop, replace(a_run("failed", "config"), error=failure))
    (matter,) = matters(shop)
    assert (matter.why, matter.hint) == ("jobs/a.yaml:1:1: it is wrong", "do this")
