"""Misbehaviour on demand, by rule and by file."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from exportkit_constant_contact.sandbox import ManualClock, Sandbox, Scenario, ScenarioError
from sandbox_caller import HEADER, Caller

if TYPE_CHECKING:
    from pathlib import Path

ROWS = f"{HEADER}\na@x.example,Ann,\nb@x.example,Bob,\nc@x.example,Cat,\n"


def test_a_rule_fires_on_the_calls_it_names(box: Sandbox, caller: Caller) -> None:
    box.misbehave("GET", "/contact_lists", call=[2, "4-5"], status=503)
    box.misbehave(path="/contact*", call="6-", status=500)
    seen = [caller.get("/contact_lists").status_code for _ in range(7)]
    assert seen == [200, 503, 200, 503, 503, 500, 500]
    assert caller.get("/account/user/privileges").status_code == 200
    box.scenario.clear()
    assert caller.get("/contact_lists").status_code == 200


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (503, None, list),
        (502, None, dict),
        (429, None, dict),
        (400, "object", dict),
        (401, "array", list),
    ],
)
def test_errors_come_in_both_shapes(
    box: Sandbox, caller: Caller, status: int, body: str | None, expected: type
) -> None:
    box.misbehave(status=status, **({"body": body} if body else {}), message="Nope")
    reply = caller.get("/contacts")
    assert reply.status_code == status
    assert isinstance(reply.json(), expected)
    error = reply.json() if expected is dict else reply.json()[0]
    assert error["error_message"] == "Nope"


def test_other_bodies(box: Sandbox, caller: Caller, news: str) -> None:
    box.misbehave("GET", call=1, status=400, body="oauth", error_key="invalid_grant")
    box.misbehave("GET", call=2, status=401, body="empty")
    box.misbehave("GET", call=3, body="garbage")
    box.misbehave("GET", call=4, body="wrong_shape")
    box.misbehave("GET", call=5, status=504, body="html", headers={"Retry-After": 3})
    box.misbehave("GET", call=6, body="half")
    assert caller.get("/contact_lists").json()["error"] == "invalid_grant"
    assert caller.get("/contact_lists").content == b""
    garbage = caller.get("/contact_lists")
    assert garbage.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        garbage.json()
    assert caller.get("/contact_lists").json() == ["unexpected"]
    html = caller.get("/contact_lists")
    assert (html.status_code, html.headers["Retry-After"]) == (504, "3")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        caller.get("/contact_lists")
    assert caller.get("/contact_lists").json()["lists"][0]["list_id"] == news


@pytest.mark.parametrize(("when", "taken"), [("before", 0), ("after", 1)])
def test_the_line_breaks_before_or_after(
    box: Sandbox, caller: Caller, news: str, when: str, taken: int
) -> None:
    box.misbehave("POST", "/activities/*", call=1, reset=when)
    with pytest.raises(requests.exceptions.ConnectionError):
        caller.upload(news, ROWS)
    assert len(box.activities()) == taken
    assert box.requests[-1].status == 0
    assert caller.upload(news, ROWS).status_code == 201


def test_an_error_may_come_although_the_call_was_processed(
    box: Sandbox, caller: Caller, news: str
) -> None:
    box.misbehave("POST", "/activities/*", call=1, status=504, body="html", processed=True)
    assert caller.upload(news, ROWS).status_code == 504
    assert box.count(news) == 3


def test_slowness_ends_when_the_box_closes(clock: ManualClock) -> None:
    begun = time.perf_counter()
    with Sandbox(clock=clock, rates=False) as box:
        box.misbehave(delay=60)
        caller = Caller(box)
        with pytest.raises(requests.exceptions.ReadTimeout):
            caller.http.get(box.api_url + "/contacts", timeout=0.1)
        threading.Thread(target=caller.http.close).start()
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("state", ["failed", "timed_out", "cancelled"])
def test_activities_end_badly(box: Sandbox, caller: Caller, news: str, state: str) -> None:
    box.misbehave("POST", "/activities/*", call=1, activity=state)
    box.misbehave("POST", "/activities/*", call="2-", activity=state, applied=0.5, errors=["Oops"])
    assert caller.done(caller.upload(news, ROWS))["state"] == state
    assert box.count(news) == 0
    assert caller.done(caller.upload(news, ROWS))["activity_errors"] == ["Oops"]
    assert box.count(news) == 1


def test_activities_get_stuck_and_lines_are_refused(
    box: Sandbox, caller: Caller, clock: ManualClock, news: str
) -> None:
    box.misbehave("POST", "/activities/*", call=1, activity="stuck")
    box.misbehave("POST", "/activities/*", call=2, line_errors={3: "Invalid birthday"})
    stuck = caller.upload(news, ROWS)
    done = caller.done(caller.upload(news, ROWS))
    assert done["activity_errors"] == ["Line 3: Invalid birthday"]
    assert [each["first_name"] for each in box.contacts(news)] == ["Ann", "Cat"]
    clock.advance(80_000)
    assert caller.done(stuck)["state"] == "processing"


def test_the_account_changes_between_calls(box: Sandbox, caller: Caller, news: str) -> None:
    box.add_contact("a@x.example", lists=[news])
    box.misbehave(call=1, unsubscribe="a@x.example")
    box.misbehave(call=2, delete_list="News")
    box.misbehave(call=3, expire_tokens=True)
    assert caller.get(f"/contact_lists/{news}").status_code == 200
    ann = box.contact("a@x.example")
    assert ann is not None
    assert ann["email_address"]["permission_to_send"] == "unsubscribed"
    assert caller.get("/contact_lists").json() == {"lists": []}
    token = box.token()
    assert caller.get("/contact_lists").status_code == 401
    box.scenario.clear()
    box.misbehave(path="/token", call=2, revoke_tokens=True)
    for status in (200, 400):
        reply = caller.token(grant_type="refresh_token", refresh_token=token)
        assert reply.status_code == status
        token = reply.json().get("refresh_token")


def test_the_day_may_be_spent(caller: Caller) -> None:
    caller.box.misbehave(call=2, spend_quota=True)
    assert caller.get("/contacts").status_code == 200
    assert caller.get("/contacts").json()["error_key"] == "quota_exceeded"


def test_a_next_link_may_lead_elsewhere(box: Sandbox, caller: Caller) -> None:
    for at in range(3):
        box.add_list(f"List {at}")
    box.misbehave(next_host="evil.example")
    link = caller.get("/contact_lists", limit=1).json()["_links"]["next"]["href"]
    assert link.startswith("https://evil.example/v3/contact_lists?cursor=")


FILE = """\
version: 1
rules:
  - when: {method: POST, path: "/activities/*", call: 2-3}
    then:
      status: 503
      body: object
  - then: {delay: 0.01}
"""


def test_a_file_says_the_same(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "bad-day.yaml"
    path.write_text(FILE, encoding="utf-8")
    with Sandbox(clock=clock, rates=False, scenario=Scenario.read(path)) as box:
        news, caller = box.add_list("News"), Caller(box)
        seen = [caller.upload(news, ROWS).status_code for _ in range(4)]
    assert seen == [201, 503, 503, 201]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("rules: []", "1:1", "'version: 1' is expected"),
        ("version: 1\nrules: []", "2:1", "at least one rule"),
        ("version: 1\nrules:\n  - then: {statis: 5}", "3:12", "did you mean 'status'?"),
        ("version: 1\nrules:\n  - then: {status: 5}", "3:12", "200 to 599"),
        ("version: 1\nrules:\n  - then: {}", "3:5", "at least one effect"),
        ("version: 1\nrules:\n  - when: {call: x}\n    then: {delay: 1}", "3:12", "'2-4'"),
        ("version: 1\nrules:\n  - when: {method: GRAB}\n    then: {delay: 1}", "3:12", "GET, POST"),
        ("version: 1\nrules:\n  - when: {path: contacts}\n    then: {delay: 1}", "3:12", "a path"),
        ("version: 1\nrules:\n  - then: {line_errors: {1: x}}", "3:12", "line numbers from 2"),
        ("version: 1\nrules:\n  - then: {delay: 1, delay: 2}", "3:22", "twice"),
        ("version: 1\nrules: [", "2:9", "expected"),
        ("version: 1\nrules:\n  - then: {body: !!python/name:os.x ''}", "3:12", "no plain value"),
        ("version: 1\nrules: &a [*a]", "2:8", "nested too deeply"),
        ("", "1:1", "a mapping"),
        ("[1]", "1:1", "a mapping"),
    ],
)
def test_a_bad_file_is_told_with_its_place(
    tmp_path: Path, text: str, place: str, said: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as error:
        Scenario.read(path)
    assert str(error.value).startswith(f"{path}:{place}: ")
    assert said in str(error.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        Scenario.read(tmp_path / "nothing.yaml")
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ScenarioError, match=r"UTF-8|x\.yaml"):
        Scenario.read(tmp_path / "x.yaml")


def test_a_rule_from_python_is_checked_too(box: Sandbox) -> None:
    with pytest.raises(ScenarioError, match="did you mean 'status'"):
        box.misbehave(statuss=500)


def test_records_show_calls_and_hide_values(box: Sandbox, caller: Caller) -> None:
    caller.get("/contacts", email="secret@x.example")
    recorded: Any = box.requests[-1]
    assert (recorded.method, recorded.route, recorded.status) == ("GET", "/v3/contacts", 200)
    assert recorded.query == {"email": "secret@x.example"}
    assert "secret" not in repr(recorded)
