"""Whole runs by the command line, against a service on a real socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from crm import CLIENT, Fault
from workspace import person

if TYPE_CHECKING:
    from collections.abc import Callable

    from workspace import Space


def test_each_row_is_a_call_and_only_changes_are_sent(space: Space) -> None:
    assert space.counts()["added"] == 3
    assert space.crm.contacts["ann@example.com"] == {"email": "ann@example.com", "name": "Ann"}
    assert {request.headers["X-API-Key"] for request in space.crm.requests} != {None}
    assert len({request.headers["Idempotency-Key"] for request in space.crm.requests}) == 3
    assert len({request.port for request in space.crm.requests}) == 1
    space.people(person("ann"), person("bob", first_name="Bobby"), person("dan"))
    counts = space.counts()
    assert (counts["added"], counts["updated"], counts["unchanged"]) == (1, 1, 1)
    assert space.crm.contacts["bob@example.com"]["name"] == "Bobby"
    assert len(space.crm.requests) == 5


def test_a_body_holds_what_the_job_says_in_its_types(space: Space) -> None:
    space.people(person("ann", score="7", rate="1.50", vip="yes", tags='["a", 1]', city=""))
    space.map = {
        "email": "email",
        "name": "first_name",
        "score": {"column": "score", "kind": "number"},
        **{name: name for name in ("rate", "vip", "tags", "city")},
    }
    space.destination["body"] = {
        "email": "{email}",
        "list": "news",
        "hello": "Dear {name}{{}}, {city}!",
        "attributes": [
            {"score": "{score}", "rate": "{rate|number}", "as_text": "{score|text}"},
            {"vip": "{vip|boolean}", "tags": "{tags|json}", "city": "{city}", "fixed": None},
        ],
    }
    assert space.counts()["added"] == 1
    assert space.crm.requests[0].json == {
        "email": "ann@example.com",
        "list": "news",
        "hello": "Dear Ann{}, !",
        "attributes": [
            {"score": 7, "rate": 1.5, "as_text": "7"},
            {"vip": True, "tags": ["a", 1], "city": None, "fixed": None},
        ],
    }
    space.destination["nulls"] = "leave_out"
    space.counts("--full")
    attributes = space.crm.requests[-1].json["attributes"]
    assert attributes[1] == {"vip": True, "tags": ["a", 1], "fixed": None}


def test_a_value_stays_in_its_place_in_an_address(space: Space) -> None:
    nasty = "a/b?c=%2F&d#e é\U0001f600\u202e"
    space.people(person("ann", code=nasty), person("bob", code=".."), person("cid", code=""))
    space.destination = {
        "method": "PUT",
        "path": "/contacts/{code}?by={email}",
        "body": {"name": "{name}"},
    }
    space.map["code"] = "code"
    counts = space.counts()
    assert (counts["added"], counts["refused"], counts["rejected"]) == (1, 1, 1)
    assert list(space.crm.contacts) == [nasty]
    assert space.crm.requests[0].path.endswith("?by=ann%40example.com")
    assert "step up" in space.type("rejections", "mail")


def test_a_header_never_gets_a_second_line(space: Space) -> None:
    space.people(person("ann", note="γειά"), person("bob", note="x\r\nX-API-Key: y"))
    space.people(person("ann", note="γειά"), person("bob", note="x\n y"), person("cid", note=""))
    space.destination = {
        "path": "/contacts",
        "headers": {"X-Note": "{note}", "X-Fixed": "a{{b"},
        "body": {"email": "{email}", "name": "{name}"},
    }
    space.map["note"] = "note"
    assert space.counts()["refused"] == 1
    notes = [request.headers.get("X-Note") for request in space.crm.requests]
    assert notes == ["γειά".encode().decode("latin-1"), None]
    assert {request.headers["X-Fixed"] for request in space.crm.requests} == {"a{b"}
    assert "line break" in space.type("rejections", "mail")


def test_a_refused_row_has_the_service_s_reason_and_the_others_go_on(space: Space) -> None:
    space.people(person("ann"), person("bob", first_name="unfitx"), person("cid"))
    run = space.run()
    assert (run["status"], run["counts"]["added"], run["counts"]["refused"]) == ("partial", 2, 1)
    said = space.type("rejections", "mail")
    assert "422: [address] is unfit for mail" in said
    assert "bob@example.com" not in said
    assert space.names == ["ann", "cid"]
    assert space.counts()["unchanged"] == 2
    assert len(space.crm.requests) == 3
    assert space.counts("--retry-refused")["refused"] == 1


def test_mirror_takes_out_who_has_left(space: Space) -> None:
    space.job["mode"] = "mirror"
    space.destination["remove"] = {"path": "/contacts/{email}"}
    assert space.counts()["added"] == 3
    space.people(person("ann"))
    del space.crm.contacts["bob@example.com"]
    assert space.counts()["removed"] == 2
    assert space.names == ["ann"]
    last = space.crm.requests[-1]
    assert (last.method, last.path, last.body) == ("DELETE", "/contacts/cid%40example.com", b"")


def test_without_a_way_to_remove_mirror_is_refused(space: Space) -> None:
    space.job["mode"] = "mirror"
    said = space.type("validate")
    assert space.code == 2
    assert "HTTP cannot remove anybody, which mirror needs" in said
    assert "options do not say how" in said


BATCH = {
    "path": "/batch",
    "batch": 4,
    "body": {"list": "news", "contacts": "{rows}"},
    "results": {"list": "results", "key": "email", "failed": "!ok", "reason": "why"},
}


def test_a_batch_is_one_call_with_an_answer_for_each_row(space: Space) -> None:
    space.people(*(person(f"p{n}", first_name="unfitx" if n in (2, 7) else "x") for n in range(9)))
    space.destination = {**BATCH}
    counts = space.counts()
    assert (counts["added"], counts["refused"]) == (7, 2)
    assert [len(request.json["contacts"]) for request in space.crm.requests] == [4, 4, 1]
    assert "[address] is unfit for mail" in space.type("rejections", "mail")


def test_a_batch_that_is_refused_as_a_whole_is_halved(space: Space) -> None:
    space.people(*(person(f"p{n}", first_name="unfitx" if n == 5 else "x") for n in range(8)))
    space.crm.whole_batches = True
    space.destination = {**BATCH, "batch": 8}
    del space.destination["results"]
    counts = space.counts()
    assert (counts["added"], counts["refused"]) == (7, 1)
    sizes = [len(request.json["contacts"]) for request in space.crm.requests]
    assert sizes == [8, 4, 4, 2, 1, 1, 2]
    assert len({request.headers["Idempotency-Key"] for request in space.crm.requests}) == 7


def test_people_are_removed_together(space: Space) -> None:
    space.job["mode"] = "mirror"
    space.destination = {
        **BATCH,
        "remove": {"path": "/unlist", "method": "POST", "batch": 2, "row": "{email}"},
    }
    space.counts()
    space.people()
    space.type("run", "mail", "--allow-empty")
    assert space.code == 0
    assert space.names == []
    assert [len(r.json) for r in space.crm.requests if r.path == "/unlist"] == [2, 1]


def test_an_application_gets_a_token_and_one_more_when_it_has_run_out(space: Space) -> None:
    space.options["auth"] = {
        "client_id": CLIENT[0],
        "client_secret": "${env:CRM_SECRET}",
        "token_url": f"{space.crm.url}/oauth/token",
        "scope": "contacts write",
    }
    space.crm.wants = lambda request: request.headers.get("Authorization") in space.crm.tokens
    space.crm.fail(None, None, Fault(status=401))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_SECRET", CLIENT[1])
        assert space.counts()["added"] == 3
        assert space.crm.token_calls == 2
        assert space.crm.requests[0].body == b"grant_type=client_credentials&scope=contacts+write"
        patch.setenv("CRM_SECRET", "wrong-secret")
        run = space.run("--full")
    assert (run["error"]["kind"], space.code) == ("access_denied", 4)
    assert "no token (401: invalid_client)" in run["error"]["message"]


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"api_key": "${env:CRM_KEY}", "header": "X-Mill"}, "X-Mill", "k-4f9a2c7e1b"),
        ({"bearer": "${env:CRM_KEY}"}, "Authorization", "Bearer k-4f9a2c7e1b"),
        (
            {"username": "jane", "password": "${env:CRM_KEY}"},
            "Authorization",
            "Basic amFuZTprLTRmOWEyYzdlMWI=",
        ),
    ],
)
def test_who_calls(space: Space, auth: dict[str, Any], header: str, value: str) -> None:
    space.options["auth"] = auth
    space.options["headers"] = {"X-Site": "north"}
    space.crm.wants = lambda request: request.headers.get(header) == value
    assert space.counts()["added"] == 3
    assert space.crm.requests[0].headers["X-Site"] == "north"


def test_a_key_that_is_not_accepted_stops_the_run(space: Space) -> None:
    space.crm.wants = lambda _request: False
    run = space.run()
    assert (run["status"], space.code) == ("blocked", 4)
    assert run["error"]["kind"] == "access_denied"
    assert run["counts"]["unsettled"] == 3
    assert len(space.crm.requests) == 1


def test_several_calls_are_in_flight_if_the_job_says_so(
    make_space: Callable[..., Space],
) -> None:
    space = make_space(slow=0.02)
    space.people(*(person(f"p{n}") for n in range(40)))
    space.destination = {"path": "/contacts", "parallel": 4, "safe_to_repeat": True}
    assert space.counts()["added"] == 40
    assert 2 <= space.crm.busiest <= 4


def test_calls_are_paced_and_counted(space: Space) -> None:
    space.options |= {"calls_per_second": 100, "calls_per_day": 2}
    run = space.run()
    assert (run["status"], space.code) == ("deferred", 75)
    assert len(space.crm.requests) == 2
    assert "2" in run["error"]["message"]


def test_a_redirect_gets_no_credentials(space: Space, make_crm: Callable[..., Any]) -> None:
    other = make_crm()
    space.crm.fail(Fault(status=307, headers={"Location": f"{other.url}/contacts"}))
    run = space.run()
    assert "redirects are not followed" in run["error"]["message"]
    assert other.requests == []


def test_connection_test_says_who_answers(space: Space) -> None:
    assert "no call was made" in space.type("connection", "test", "crm")
    space.options["test"] = "/me"
    assert "127.0.0.1 answers" in space.type("connection", "test", "crm")
    space.crm.wants = lambda _request: False
    space.type("connection", "test", "crm")
    assert space.code == 4
