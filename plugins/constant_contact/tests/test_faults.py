"""Whatever the service does, a run ends well: nothing is lost, nothing is sent twice, no traceback.

After each fault the same job runs once more without it, and everybody has to be in the list, by
one import that was processed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from exportkit_constant_contact.client import Client
from exportkit_constant_contact.oauth import Tokens
from exportkit_constant_contact.provider import Provider
from stage import Stage, addresses, person

if TYPE_CHECKING:
    from collections.abc import Callable

PHASES = {
    "the list": ("GET", "/contact_lists/*"),
    "custom fields": ("GET", "/contact_custom_fields"),
    "the import": ("POST", "/activities/contacts_file_import"),
    "its end": ("GET", "/activities/*"),
}
FAULTS: dict[str, dict[str, Any]] = {
    "401": {"status": 401},
    "401 without a body": {"status": 401, "body": "empty"},
    "403": {"status": 403},
    "403 array": {"status": 403, "body": "array"},
    "404": {"status": 404},
    "409": {"status": 409},
    "429 throttled": {"status": 429, "error_key": "throttled"},
    "429 full queue": {
        "status": 429,
        "error_key": "contacts.api.too_many",
        "body": "array",
        "headers": {"Retry-After": "1"},
    },
    **{str(status): {"status": status} for status in (400, 500, 502, 503, 504)},
    **{f"{status} after all": {"status": status, "processed": True} for status in (500, 504)},
    "reset before": {"reset": "before"},
    "reset after": {"reset": "after"},
    "too slow": {"delay_after": 1.5},
    **{body: {"body": body} for body in ("garbage", "empty", "half", "wrong_shape", "html")},
    "error as object": {"status": 500, "body": "object"},
    "error as OAuth": {"status": 400, "body": "oauth"},
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second is a timeout, and pauses between tries are none."""
    for made in (Client, Tokens, Provider):
        defaults = dict(made.__init__.__kwdefaults__)
        quick = {"timeout": (0.5, 0.5), "sleep": lambda _seconds: None}
        defaults |= {name: value for name, value in quick.items() if name in defaults}
        monkeypatch.setattr(made.__init__, "__kwdefaults__", defaults)


def imported(stage: Stage) -> int:
    """How many imports were processed to the end."""
    kinds = [each for each in stage.box.activities() if "import" in each["kind"]]
    return sum(each["state"] == "completed" for each in kinds)


def ends_well(stage: Stage) -> dict[str, Any]:
    """Run into the fault, then without it; answers the first run."""
    stage.segments["everyone"] = {}
    run = stage.run()
    error = run["error"]
    assert stage.code in (0, 1, 2, 4, 75), stage.printed
    assert error is None or error["kind"] not in ("internal", "plugin"), run
    assert error is None or error["message"]
    assert "Traceback" not in stage.printed
    assert "@example" not in stage.printed
    stage.box.scenario.clear()
    stage.counts()
    assert stage.members == addresses(["ann", "bob", "cid"])
    assert imported(stage) == 1
    assert stage.counts()["unchanged"] == 3
    return run


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("phase", PHASES)
def test_one_call_goes_wrong(stage: Stage, phase: str, fault: str) -> None:
    method, path = PHASES[phase]
    stage.box.misbehave(method, path, call=1, **FAULTS[fault])
    ends_well(stage)


@pytest.mark.parametrize("fault", ["500", "reset before", "garbage", "html", "401", "too slow"])
def test_every_call_goes_wrong(stage: Stage, fault: str) -> None:
    stage.box.misbehave("GET", "/contact_lists/*", **FAULTS[fault])
    assert ends_well(stage)["status"] in ("failed", "blocked")


@pytest.mark.parametrize("fault", ["500", "503", "reset before", "reset after", "garbage", "empty"])
def test_signing_in_goes_wrong_once(stage: Stage, fault: str) -> None:
    stage.box.misbehave("POST", "/token", call=1, **FAULTS[fault])
    run = stage.run()
    if run["error"] is not None:
        # An answer that was lost took the only refresh token with it.
        assert (run["error"]["kind"], stage.code) == ("access_denied", 4)
        assert "exportkit connection authorize box" in str(run["error"])


@pytest.mark.parametrize("call", range(1, 6))
def test_a_token_may_run_out_between_any_two_calls(stage: Stage, call: int) -> None:
    stage.box.misbehave(None, "*", call=call, expire_tokens=True)
    run = ends_well(stage)
    assert run["error"] is None


def test_a_dead_sign_in_says_what_to_type(stage: Stage) -> None:
    stage.counts()
    stage.box.revoke_tokens()
    stage.people(person("ann", first_name="Anne"), person("bob"), person("cid"))
    run = stage.run()
    assert (run["status"], run["error"]["kind"], stage.code) == ("blocked", "access_denied", 4)
    assert "exportkit connection authorize box" in run["error"]["hint"]


def test_a_link_to_another_host_is_not_followed(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage()
    stage.people(person("ann"))
    for number in range(60):
        stage.box.add_list(f"List {number}")
    stage.box.misbehave("GET", "/contact_lists", next_host="evil.example.com")
    stage.job["destination"] = {"list_name": "nowhere"}
    for number in range(600):
        stage.box.add_list(f"More {number}")
    said = stage.type("run", "news")
    assert "another host" in said
    assert stage.code == 1


def test_the_list_is_deleted_meanwhile(stage: Stage) -> None:
    stage.counts()
    stage.people(person("ann", first_name="Anne"), person("dan"))
    stage.box.misbehave("POST", "/activities/contacts_file_import", delete_list="News")
    run = stage.run()
    assert run["status"] == "failed"
    assert run["error"]["message"]
    assert stage.code == 1
    stage.type("run", "news")
    assert "the account has no list of this id" in stage.printed
    assert stage.code == 2


COMMAND = "from exportkit.cli import main; main()"


def started(stage: Stage, job: str = "news") -> subprocess.Popen[bytes]:
    """A run in a process of its own."""
    words = ["--workspace", str(stage.root), "run", job]
    with (stage.root / f"{job}.err").open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *words], stdout=subprocess.DEVNULL, stderr=said
        )


def waited_for(found: Callable[[], bool]) -> None:
    for _ in range(400):
        if found():
            return
        time.sleep(0.05)
    pytest.fail("it did not happen")


@pytest.mark.parametrize("when", ["before it is processed", "after it was processed"])
def test_killed_while_a_call_is_out(stage: Stage, when: str) -> None:
    delay = {"delay": 2.0} if when.startswith("before") else {"delay_after": 2.0}
    stage.box.misbehave("POST", "/activities/contacts_file_import", call=1, **delay)
    stage.save()
    process = started(stage)
    state = stage.root / ".exportkit" / "journal.sqlite"
    waited_for(lambda: intended(stage) if when.startswith("before") else imported(stage) == 1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert state.exists()
    time.sleep(2.5)  # until the service is done with what it had
    stage.box.scenario.clear()
    stage.counts()
    assert stage.members == addresses(["ann", "bob", "cid"])
    assert imported(stage) == 1


def intended(stage: Stage) -> bool:
    import sqlite3

    path = stage.root / ".exportkit" / "journal.sqlite"
    if not path.exists():
        return False
    with sqlite3.connect(path) as journal:
        try:
            return bool(journal.execute("SELECT count(*) FROM batches").fetchone()[0])
        except sqlite3.OperationalError:
            return False


def test_two_processes_renew_the_token_once(stage: Stage) -> None:
    stage.counts()
    stage.box.expire_tokens()
    before = sum("token" in (call.route or "") for call in stage.box.requests)
    stage.people(person("ann", first_name="Anne"), person("bob"), person("cid"))
    stage.save()
    stage.write("jobs/other.yaml", {**stage.job, "name": "other"})
    processes = [started(stage, job) for job in ("news", "other")]
    codes = [process.wait() for process in processes]
    assert codes == [0, 0], [file.read_text() for file in stage.root.glob("*.err")]
    renewals = sum("token" in (call.route or "") for call in stage.box.requests) - before
    assert renewals == 1
