"""Whatever the service or the machine does: nobody is lost, and who may come twice is known."""

from __future__ import annotations

import os
import signal
import time
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from crm import Fault
from workspace import person

from exportkit.pipeline import patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from workspace import Space

FAULTS = {
    "reset before it was read": Fault("unread"),
    "taken, and not answered": Fault("lost"),
    "half an answer": Fault("half"),
    "no JSON": Fault("garbage"),
    "a redirect": Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}),
    "throttled, by a date": Fault(
        status=429,
        headers={"Retry-After": "Wed, 21 Oct 2026 07:28:01 GMT"},
    ),
    "busy": Fault(status=503, headers={"Retry-After": "0"}),
    "busy for long": Fault(status=503, headers={"Retry-After": "86400"}),
    "an error with a body": Fault(status=500, body={"error": {"message": "ann@example.com"}}),
    "an error page": Fault(status=502, body="<html>ann@example.com</html>"),
    **{str(status): Fault(status=status) for status in (401, 403, 408, 503)},
}
WAYS: dict[str, dict[str, Any]] = {
    "safe by its method": {
        "method": "PUT",
        "path": "/contacts/{email}",
        "body": {"name": "{name}"},
    },
    "safe by its key": {"path": "/contacts", "safe_to_repeat": True, "success": {"when": "id"}},
    "not safe": {"path": "/contacts", "success": {"when": "id"}},
    "a batch": {
        "path": "/batch",
        "batch": 2,
        "safe_to_repeat": True,
        "body": {"contacts": "{rows}"},
        "results": {"list": "results", "key": "email", "failed": "!ok", "reason": "why"},
    },
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the second try, and a few are enough."""
    monkeypatch.setattr(patience, "MOST_TRIES", 3)
    monkeypatch.setattr("exportkit.pipeline.line.rest", lambda _line, _seconds: None)
    monkeypatch.setattr("exportkit.pipeline.push.rest", lambda _line, _seconds: None)
    monkeypatch.setattr("exportkit_http.delivery.sleep", lambda _seconds: None)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", WAYS)
def test_a_run_ends_well(space: Space, way: str, fault: str) -> None:
    space.destination = deepcopy(WAYS[way])
    space.crm.fail(None, FAULTS[fault])
    run = space.run()
    error = run["error"]
    assert error is None or error["kind"] not in ("internal", "plugin"), run
    assert "Traceback" not in space.printed
    assert "ann@example.com" not in space.printed
    assert run["counts"]["refused"] == 0
    space.crm.faults.clear()
    counts = space.counts()
    assert counts["refused"] == counts["unsettled"] == 0
    assert space.names == ["ann", "bob", "cid"]
    if way.startswith("safe by its key") or way == "a batch":
        assert space.crm.twice() == {}
    assert sum(space.crm.twice().values()) <= 2


def test_what_a_service_without_keys_may_get_twice_is_one_call(
    make_space: Callable[..., Space],
) -> None:
    space = make_space(honours_keys=False)
    space.crm.fail(None, Fault("lost"))
    run = space.run()
    assert run["error"]["kind"] == "outcome_unknown"
    assert "a second time" in run["error"]["hint"]
    assert run["counts"]["added"] == 1
    space.counts()
    assert space.names == ["ann", "bob", "cid"]
    assert list(space.crm.twice().values()) == [2]


def test_a_service_that_is_down_for_long_gets_the_rest_later_and_nothing_twice(
    space: Space,
) -> None:
    space.destination = deepcopy(WAYS["safe by its key"])
    space.people(*(person(f"p{n}") for n in range(6)))
    space.crm.fail(None, None, *[Fault(status=503)] * 200)
    run = space.run()
    assert run["error"]["message"].endswith("taken, then: the service is not available (503)")
    assert run["error"]["hint"] == "run the job again: it sends the rest"
    assert run["counts"]["unsettled"] == 6
    keys = [request.headers["Idempotency-Key"] for request in space.crm.requests]
    space.crm.faults.clear()
    assert space.counts()["unchanged"] == 6
    again = [request.headers["Idempotency-Key"] for request in space.crm.requests[len(keys) :]]
    assert set(keys) <= set(again)
    assert len(space.names) == 6
    assert space.crm.twice() == {}


@pytest.mark.parametrize(
    ("way", "calls"),
    [("safe by its key", 3), ("safe by its key", 17), ("not safe", 9), ("a batch", 5)],
)
def test_a_run_that_is_killed_is_taken_up_again(
    make_space: Callable[..., Space], way: str, calls: int
) -> None:
    space = make_space(slow=0.03)
    everybody = sorted(f"p{n:02}" for n in range(24))
    space.people(*(person(name) for name in everybody))
    space.destination = deepcopy(WAYS[way])
    process = space.start()
    until = time.monotonic() + 30
    while len(space.crm.requests) < calls and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    assert process.poll() is None, process.communicate()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert 0 < len(space.crm.requests) < 24
    space.crm.slow = 0.0
    space.counts()
    assert space.names == everybody
    assert sum(space.crm.twice().values()) <= (2 if way == "not safe" else 0)
    before = len(space.crm.requests)
    assert space.counts()["unchanged"] == 24
    assert len(space.crm.requests) == before


@pytest.mark.parametrize("body", [{}, {"body": {"email": "{email}", "town": "{town}"}}])
def test_a_job_that_changed_meanwhile_sends_the_batch_in_doubt_as_it_is_now(
    space: Space, body: dict[str, Any]
) -> None:
    space.destination = deepcopy(WAYS["safe by its key"])
    space.crm.fail(None, *[Fault(status=503)] * 200)
    space.run()
    space.crm.faults.clear()
    space.destination |= body
    space.map = {"email": "email", "town": {"value": "Volos"}}
    assert space.counts()["unsettled"] == 0
    assert {contact.get("town") for contact in space.crm.contacts.values()} == {"Volos"}


def test_a_first_call_that_still_goes_on_is_no_refusal(space: Space) -> None:
    space.destination = deepcopy(WAYS["safe by its key"])
    space.crm.fail(None, Fault("lost"), Fault(status=409), Fault(status=409))
    assert space.counts()["added"] == 3
    assert space.crm.twice() == {}
    space.people(person("dan"), person("eve"))
    space.crm.fail(Fault(status=409))
    assert space.counts()["refused"] == 1, "without a call in doubt it is one"


def test_a_job_whose_rows_are_all_refused_stops(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exportkit_http.session.HOPELESS", 5)
    space.people(*(person(f"p{n}", first_name="unfitx") for n in range(30)))
    run = space.run()
    assert "refused all of the first 5 rows" in run["error"]["message"]
    assert (len(space.crm.requests), run["counts"]["refused"]) == (5, 5)


def test_a_place_that_is_not_there_is_no_row_s_fault(space: Space) -> None:
    space.destination = {"path": "/contcats"}
    run = space.run()
    assert run["error"]["message"] == (
        "the service refuses any POST there (404: no such place: /contcats)"
    )
    assert run["counts"]["refused"] == 0
