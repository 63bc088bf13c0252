"""Rates, quota, and the order of the gates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from exportkit_constant_contact.sandbox import Choices, ManualClock, Sandbox
from sandbox_caller import Caller

PATH = "/account/user/privileges"


def test_a_fifth_call_within_a_second_is_throttled_and_not_counted(clock: ManualClock) -> None:
    with Sandbox(clock=clock) as box:
        caller = Caller(box)
        assert [caller.get(PATH).status_code for _ in range(5)] == [200] * 4 + [429]
        clock.advance(0.9)
        throttled = caller.get(PATH)
        assert throttled.json() == {"error_key": "throttled", "error_message": "Too Many Requests"}
        assert "Retry-After" not in throttled.headers
        clock.advance(0.1)
        assert caller.get(PATH).status_code == 200
        assert box.limits.spent_today == 5


def test_the_day_ends_at_midnight_in_utc(clock: ManualClock) -> None:
    with Sandbox(clock=clock, per_second=100, per_day=3) as box:
        caller = Caller(box)
        assert [caller.get(PATH).status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = caller.get(PATH).json()
        assert refused == {"error_key": "quota_exceeded", "error_message": "Limit Exceeded"}
        clock.advance(11 * 3600 + 3599)
        assert caller.get(PATH).status_code == 429
        clock.advance(1)
        assert caller.get(PATH).status_code == 200


def test_who_wants_is_told_when_to_come_again(clock: ManualClock) -> None:
    with Sandbox(clock=clock, per_day=1, choices=Choices(retry_after=True)) as box:
        caller = Caller(box)
        caller.get(PATH)
        assert caller.get(PATH).headers["Retry-After"] == str(12 * 3600 + 1)


def test_the_gates_stand_in_the_services_order(clock: ManualClock) -> None:
    with Sandbox(clock=clock, per_second=1) as box:
        caller, stranger = Caller(box), Caller(box)
        stranger.http.headers["Authorization"] = "Bearer nobody"
        assert caller.get("/nowhere").status_code == 403  # flat, and counted
        assert caller.get("/nowhere").status_code == 429  # the rate stands before the routes
        refused = stranger.get("/nowhere")  # and the token before the rate
        assert (refused.status_code, len(refused.content)) == (401, 59)
        assert refused.headers["WWW-Authenticate"] == "Bearer realm=api.cc.email"


@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        ("contact_data", "/contacts", 200),
        ("account_read", "/contacts", 403),
        ("contact_data", "/account/summary", 403),
        ("account_read", "/account/summary", 200),
        ("campaign_data", PATH, 200),
    ],
)
def test_each_route_needs_its_scope(box: Sandbox, scope: str, path: str, status: int) -> None:
    reply = Caller(box, scope).get(path)
    assert reply.status_code == status
    if status == 403:
        assert reply.json()["error_key"] == "access_denied"


def test_reading_activities_needs_the_right_to_write(clock: ManualClock) -> None:
    with Sandbox(clock=clock, rates=False, privileges=["contacts:read"]) as box:
        caller = Caller(box)
        assert caller.get("/contacts").status_code == 200
        assert caller.get("/activities").status_code == 403
        assert caller.get("/contact_lists").status_code == 403
        assert [each["privilege_name"] for each in caller.get(PATH).json()] == ["contacts:read"]


def test_a_wrong_method_and_a_wrong_kind_of_body_are_told(caller: Caller) -> None:
    assert caller.delete("/contacts").status_code == 405
    reply = caller.http.post(
        caller.box.api_url + "/contact_lists", data="{}", headers={"Content-Type": "text/plain"}
    )
    assert reply.status_code == 415
    broken = caller.http.post(
        caller.box.api_url + "/contact_lists",
        data="{",
        headers={"Content-Type": "application/json"},
    )
    assert (broken.status_code, broken.json()[0]["error_key"]) == (
        400,
        "contacts.api.validation.error",
    )
    assert len(broken.headers["x-eig-tracking-id"]) == 32


def test_many_callers_at_once_share_one_account_and_its_limits(clock: ManualClock) -> None:
    with Sandbox(clock=clock, per_second=100) as box:
        news, callers = box.add_list("News"), [Caller(box) for _ in range(8)]

        def work(at: int) -> list[int]:
            rows = "email\n" + "".join(f"p{at}.{n}@x.example\n" for n in range(200))
            replies = [callers[at].upload(news, rows) for _ in range(5)]
            replies += [callers[at].get("/contacts", lists=news) for _ in range(10)]
            return [reply.status_code for reply in replies]

        with ThreadPoolExecutor(8) as pool:
            seen = [status for statuses in pool.map(work, range(8)) for status in statuses]
        assert seen.count(429) == len(seen) - 100
        assert {*seen} == {200, 201, 429}
        assert box.count(news) == len(box.contacts(news))
        assert len(box.requests) == len(seen)
