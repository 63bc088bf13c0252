"""Activities: their states in time, their memory, their queue, and what the bulk ones do."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest
from exportkit_constant_contact.sandbox import Choices, ManualClock, Sandbox
from sandbox_caller import HEADER, Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = f"{HEADER}\na@x.example,Ann,\nb@x.example,Bob,\n"


@pytest.fixture
def slow(clock: ManualClock) -> Iterator[Caller]:
    """At the service's own speed."""
    with Sandbox(clock=clock, rates=False, speed=1, seed=3) as box:
        yield Caller(box)


def test_an_activity_passes_through_its_states(slow: Caller, clock: ManualClock) -> None:
    news = slow.box.add_list("News")
    activity = f"/activities/{slow.upload(news, ROWS).json()['activity_id']}"
    seen = []
    for seconds in (0, 4, 1, 12, 12, 5):
        clock.advance(seconds)
        shown = slow.get(activity).json()
        seen.append((shown["state"], shown["percent_done"], "completed_at" in shown))
    assert seen[:2] == [("initialized", 1, False)] * 2
    assert [each[0] for each in seen[2:5]] == ["processing"] * 3
    assert 1 <= seen[2][1] < seen[3][1] < seen[4][1] < 100
    assert seen[5] == ("completed", 100, True)
    assert slow.box.count(news) == 2


def test_nothing_lands_before_its_time(slow: Caller, clock: ManualClock) -> None:
    news = slow.box.add_list("News")
    slow.upload(news, ROWS)
    clock.advance(29)
    assert slow.box.count(news) == 0
    clock.advance(2)
    assert slow.box.count(news) == 2


def test_activities_are_remembered_for_ten_days(caller: Caller, clock: ManualClock) -> None:
    news = caller.box.add_list("News")
    activity = f"/activities/{caller.upload(news, ROWS).json()['activity_id']}"
    clock.advance(10 * 86_400 - 1)
    caller.http.headers["Authorization"] = f"Bearer {caller.box.access_token()}"
    assert caller.get(activity).status_code == 200
    clock.advance(2)
    caller.http.headers["Authorization"] = f"Bearer {caller.box.access_token()}"
    assert caller.get(activity).status_code == 404
    assert caller.get("/activities").json() == {"activities": []}


def test_a_thousand_may_wait(slow: Caller, clock: ManualClock) -> None:
    news = slow.box.add_list("News")
    for _ in range(1_000):
        assert slow.upload(news, "email\n").status_code == 201
    refused = slow.upload(news, ROWS)
    assert refused.status_code == 429
    assert isinstance(refused.json(), list)
    assert refused.json()[0]["error_key"] not in ("throttled", "quota_exceeded")
    clock.advance(60)
    assert slow.upload(news, ROWS).status_code == 201


def test_activities_are_listed_by_state_newest_first(slow: Caller, clock: ManualClock) -> None:
    news = slow.box.add_list("News")
    slow.box.misbehave("POST", "/activities/*", call=1, activity="failed")
    for name in ("1.csv", "2.csv", "3.csv"):
        slow.upload(news, ROWS, name)
        clock.advance(20)
    found = {
        state: [
            each["source_file_name"]
            for each in slow.get("/activities", state=state).json()["activities"]
        ]
        for state in ("failed", "completed", "processing")
    }
    assert found == {"failed": ["1.csv"], "completed": ["2.csv"], "processing": ["3.csv"]}
    assert slow.get("/activities", state="initialized").status_code == 400
    first = slow.get("/activities", limit=2).json()
    assert [each["source_file_name"] for each in first["activities"]] == ["3.csv", "2.csv"]
    last = slow.http.get(slow.box.url + first["_links"]["next"]["href"]).json()
    assert [each["source_file_name"] for each in last["activities"]] == ["1.csv"]
    assert "_links" not in last


@pytest.mark.parametrize(("gone", "state"), [("failed", "failed"), ("counted", "completed")])
def test_a_list_may_go_while_an_import_waits(clock: ManualClock, gone: Any, state: str) -> None:
    with Sandbox(clock=clock, rates=False, speed=1, choices=Choices(list_gone=gone)) as box:
        news, caller = box.add_list("News"), Caller(box)
        began = caller.upload(news, ROWS)
        box.delete_list(news)
        clock.advance(40)
        done = caller.done(began)
        assert done["state"] == state
        assert done["status"]["cannot_add_to_list_count"] == (2 if gone == "counted" else 0)


def people(box: Sandbox, news: str, count: int) -> list[str]:
    return [box.add_contact(f"p{at}@x.example", lists=[news]) for at in range(count)]


def test_memberships_are_added_and_removed(box: Sandbox, caller: Caller, news: str) -> None:
    ids = people(box, news, 3)
    other = box.add_list("Other")
    box.unsubscribe("p0@x.example")
    caller.delete(f"/contacts/{ids[1]}")
    body = {"source": {"contact_ids": ids}, "list_ids": [other]}
    done = caller.done(caller.post("/activities/add_list_memberships", body))
    assert done["status"] == {
        "items_total_count": 3,
        "items_completed_count": 3,
        "list_count": 1,
    }
    there = [each["contact_id"] for each in box.contacts(other)]
    assert there == ids[1:]  # the deleted one is back, the unsubscribed one is not
    body = {
        "source": {"list_ids": [other]},
        "list_ids": [other],
        "exclude": {"contact_ids": ids[2:]},
    }
    caller.done(caller.post("/activities/remove_list_memberships", body))
    assert [each["contact_id"] for each in box.contacts(other)] == ids[2:]


@pytest.mark.parametrize("path", ["add_list_memberships", "remove_list_memberships"])
@pytest.mark.parametrize(
    "source",
    [{}, {"contact_ids": ["x"] * 501}, {"contact_ids": ["x"], "all_active_contacts": True}],
)
def test_a_source_is_one_thing(caller: Caller, news: str, path: str, source: object) -> None:
    body = {"source": source, "list_ids": [news]}
    assert caller.post(f"/activities/{path}", body).status_code == 400


def test_people_are_deleted_softly(box: Sandbox, caller: Caller, news: str) -> None:
    ids = people(box, news, 3)
    caller.done(caller.post("/activities/contact_delete", {"contact_ids": ids[:2]}))
    assert [each["contact_id"] for each in box.contacts(news)] == ids[2:]
    gone = caller.get(f"/contacts/{ids[0]}", include="list_memberships").json()
    assert (gone["deleted_at"], gone["list_memberships"]) == ("2026-03-29", [])
    assert len(caller.get("/contacts").json()["contacts"]) == 1
    assert len(caller.get("/contacts", status="all").json()["contacts"]) == 3


def test_people_are_exported(box: Sandbox, caller: Caller, news: str) -> None:
    people(box, news, 2)
    box.add_contact("elsewhere@x.example")
    done = caller.done(caller.post("/activities/contact_exports", {"list_ids": [news]}))
    assert done["status"] == {"items_total_count": 2, "items_completed_count": 2}
    reply = caller.http.get(box.url + done["_links"]["results"]["href"])
    assert reply.headers["Content-Type"] == "text/csv"
    rows = list(csv.reader(io.StringIO(reply.text)))
    assert rows[0][0] == "Email address"
    assert [row[0] for row in rows[1:]] == ["p0@x.example", "p1@x.example"]
    assert caller.get("/contact_exports/nothing").status_code == 404


def test_lists_are_deleted_in_the_background(box: Sandbox, caller: Caller, news: str) -> None:
    ids = people(box, news, 1)
    reply = caller.delete(f"/contact_lists/{news}")
    assert reply.status_code == 202
    assert reply.headers["Location"] == f"/v3/activities/{reply.json()['activity_id']}"
    assert caller.get(f"/contact_lists/{news}").json()["deleted_at"]
    assert caller.get("/contact_lists").json() == {"lists": []}
    assert caller.get(f"/contacts/{ids[0]}").status_code == 200
