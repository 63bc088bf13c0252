"""Two jobs with one target: nobody is taken out who another job has put there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exportkit.records import Counts

from .conftest import Shop  # noqa: TC001 - fixtures look at it

if TYPE_CHECKING:
    from collections.abc import Callable

EAST, WEST = "1,ann@example.com,Ann,Athens", "2,bob@example.com,Bob,Bonn"
BOTH = "3,c@x.org,Cid,Cork"


@pytest.fixture
def jobs(shop: Shop) -> Callable[[str], Counts]:
    """Runs `east` or `west`, which mirror a segment each to one list; Cid is in both."""
    shop.people(EAST, WEST, BOTH)
    shop.source["segments"] = {
        "east": {"where": "city in ('Athens', 'Cork')"},
        "west": {"where": "city in ('Bonn', 'Cork')"},
    }
    shop.list()
    shop.set(mode="mirror")

    def run(name: str) -> Counts:
        shop.set(name=name, segments=[name])
        return shop.counts()

    return run


def test_who_left_one_job_stays_for_the_other(shop: Shop, jobs: Callable[[str], Counts]) -> None:
    assert jobs("east").added == jobs("west").added == 2
    shop.people(EAST, WEST, BOTH.replace("Cork", "Bonn"))
    assert jobs("east").removed == 0
    assert "c@x.org" in shop.members
    assert jobs("west").unchanged == 2


@pytest.mark.parametrize("first", ["east", "west"])
def test_who_left_both_jobs_is_taken_out(
    shop: Shop, jobs: Callable[[str], Counts], first: str
) -> None:
    jobs("east"), jobs("west")
    shop.people(EAST, WEST)
    second = {"east": "west", "west": "east"}[first]
    removed = jobs(first).removed + jobs(second).removed
    assert (removed, shop.members.keys()) == (1, {"ann@example.com", "bob@example.com"})


def test_who_moved_and_then_left_is_taken_out(shop: Shop, jobs: Callable[[str], Counts]) -> None:
    jobs("east"), jobs("west")
    shop.people(EAST, WEST, BOTH.replace("Cork", "Bonn"))
    jobs("east"), jobs("west")
    shop.people(EAST, WEST)
    removed = jobs("east").removed + jobs("west").removed
    assert (removed, shop.members.keys()) == (1, {"ann@example.com", "bob@example.com"})


def test_who_came_back_to_one_is_not_taken_out_by_the_other(
    shop: Shop, jobs: Callable[[str], Counts]
) -> None:
    jobs("east"), jobs("west")
    shop.people(EAST, WEST)
    jobs("east")
    shop.people(EAST, WEST, BOTH.replace("Cork", "Athens"))
    assert jobs("east").removed == jobs("west").removed == 0
    assert "c@x.org" in shop.members
    assert jobs("east") == Counts(selected=2, unchanged=2)


def test_who_came_back_while_a_run_was_open_stays(
    shop: Shop, jobs: Callable[[str], Counts]
) -> None:
    """What was left to the other job is left once, however often that run is taken up."""
    jobs("east"), jobs("west")
    dan = "4,dan@example.com,Dan,Athens"
    shop.people(EAST, WEST, BOTH.replace("Cork", "Bonn"), dan)
    lost = {"hook": "push", "call": 3, "do": "raise_before", "error": "outcome_unknown"}
    shop.list(find_delivery="unknown", faults=[lost])
    shop.set(name="east", segments=["east"])
    assert shop.run().counts.unsettled == 1
    shop.list(find_delivery="unknown")
    shop.people(EAST, WEST, BOTH, dan)
    assert shop.run().counts == Counts(selected=3, added=1, unchanged=1, sent=1, unsettled=1)
    assert shop.run().counts == Counts(selected=3, unchanged=2, unsettled=1)


def test_a_plan_to_take_somebody_out_is_refused_when_another_job_put_them_there(
    shop: Shop, jobs: Callable[[str], Counts]
) -> None:
    shop.people(EAST, WEST, BOTH.replace("Cork", "Athens"))
    jobs("east"), jobs("west")
    shop.people(EAST, WEST, BOTH.replace("Cork", "Bonn"))
    shop.set(name="east", segments=["east"])
    planned = shop.plan()
    assert planned.plan.counts.removed == 1
    assert jobs("west").added == 1
    shop.set(name="east", segments=["east"])
    run = shop.run(plan_id=planned.plan_id)
    assert run.error
    assert (run.status, run.error.kind) == ("blocked", "guard")
    assert "what was delivered" in run.error.message
    assert "c@x.org" in shop.members
