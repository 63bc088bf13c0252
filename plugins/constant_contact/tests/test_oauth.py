"""Tokens: kept, renewed by one for all, and what is said when that fails."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from exportkit_constant_contact.oauth import AHEAD, Kept, Tokens, fingerprint_of
from scripted_server import Answer, Request, Server, fault

from exportkit import (
    AccessDeniedError,
    DestinationError,
    JobError,
    ThrottledError,
    UnavailableError,
)
from exportkit.access.credentials import KeptCredentials
from exportkit.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "the-secret-of-the-application"
DAY = 86_400
NOW = 1_800_000_000.0
DEAD = Answer(400, {"error": "invalid_grant", "error_description": "used: refresh-1"})
UNSURE = ["unread", "reset", "closed", "garbage", "half", "silent"]


def grant(number: int, **more: Any) -> Answer:
    tokens = {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}"}
    return Answer(200, {"token_type": "Bearer", **tokens, "expires_in": DAY, **more})


class Desk:
    """Tokens in front of a scripted server, at a time that stands still unless it is moved."""

    def __init__(self, folder: Path) -> None:
        self.server = Server()
        self.folder = folder
        self.credentials = KeptCredentials(folder, "marketing")
        self.now = NOW
        self.pauses: list[float] = []
        self.opened: list[Tokens] = []

    def keep(self, **values: Any) -> None:
        whole = {"access_token": "access-1", "refresh_token": "refresh-1"}
        until = {"expires_at": NOW + DAY, "renew_at": NOW + DAY - AHEAD}
        self.credentials.move({**whole, **until, **values}, "file")

    def tokens(self, *, secret: str | None = SECRET, first: str | None = None) -> Tokens:
        """As a new process has them."""
        tokens = Tokens(
            f"{self.server.url}/oauth/",
            "client-1",
            secret,
            self.credentials,
            first,
            "marketing",
            timeout=(1.0, 0.4),
            sleep=self.pauses.append,
            clock=lambda: self.now,
        )
        self.opened.append(tokens)
        return tokens

    @property
    def kept(self) -> dict[str, Any]:
        return self.credentials.read()

    @property
    def asked(self) -> list[str]:
        """The refresh tokens that the server has seen."""
        return [request.form["refresh_token"] for request in self.server.called("/oauth/token")]

    def close(self) -> None:
        for tokens in self.opened:
            tokens.close()
        self.server.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with closing(Desk(tmp_path / "credentials")) as desk:
        yield desk


def said(error: pytest.ExceptionInfo[Any]) -> str:
    chain: list[str] = []
    each: BaseException | None = error.value
    while each is not None:
        chain += [str(each), repr(each), str(each.__dict__)]
        each = each.__cause__ or each.__context__
    return "\n".join(chain)


# Kept and renewed


def test_a_token_that_is_good_is_used_without_a_call(desk: Desk) -> None:
    desk.keep()
    assert [desk.tokens().access() for _ in range(3)] == ["access-1"] * 3
    assert desk.server.requests == []


@pytest.mark.parametrize(
    ("lifetime", "left", "renews"),
    [
        (DAY, 3601, False),
        (DAY, 3600, True),
        (28_800, 2881, False),
        (28_800, 2880, True),
        (600, 61, False),
        (600, 60, True),
        ("86400", 3600, True),
    ],
)
def test_a_token_is_renewed_ahead_of_its_end(
    desk: Desk, lifetime: Any, left: float, renews: bool
) -> None:
    desk.keep(expires_at=0)
    desk.server.on("/oauth/token", grant(2, expires_in=lifetime), grant(3))
    tokens = desk.tokens()
    assert tokens.access() == "access-2"
    desk.now += float(lifetime) - left
    assert tokens.access() == ("access-3" if renews else "access-2")
    assert desk.asked == ["refresh-1", "refresh-2"][: 1 + renews]


@pytest.mark.parametrize("lifetime", [None, "soon", 0, -5, [], "inf", "nan"])
def test_a_lifetime_that_is_none_is_an_hour(desk: Desk, lifetime: Any) -> None:
    desk.keep(expires_at=0)
    desk.server.on("/oauth/token", grant(2, expires_in=lifetime))
    desk.tokens().access()
    assert desk.kept["expires_at"] == NOW + 3600


def test_what_is_kept_holds_for_the_next_process(desk: Desk) -> None:
    desk.keep(expires_at=0)
    desk.server.on("/oauth/token", grant(2, scope="contact_data offline_access"))
    assert desk.tokens().access() == "access-2"
    assert desk.tokens().access() == "access-2"
    assert desk.asked == ["refresh-1"]
    assert desk.kept == {
        "access_token": "access-2",
        "refresh_token": "refresh-2",
        "expires_at": NOW + DAY,
        "renew_at": NOW + DAY - AHEAD,
        "scope": "contact_data offline_access",
        "first_token_fingerprint": "",
        "renewing": False,
    }


@pytest.mark.parametrize("missing", [{"refresh_token": ""}, {"refresh_token": None}, {}])
def test_an_answer_without_a_refresh_token_keeps_the_old_one(
    desk: Desk, missing: dict[str, Any]
) -> None:
    desk.keep(expires_at=0)
    answer = {"access_token": "access-2", "expires_in": DAY, **missing}
    desk.server.on("/oauth/token", Answer(200, answer))
    assert desk.tokens().access() == "access-2"
    assert desk.kept["refresh_token"] == "refresh-1"


def test_an_application_with_a_secret_shows_it_in_the_header(desk: Desk) -> None:
    desk.keep(expires_at=0)
    desk.server.on("/oauth/token", grant(2))
    desk.tokens().access()
    (request,) = desk.server.requests
    assert request.headers["Authorization"].startswith("Basic ")
    assert request.form == {"grant_type": "refresh_token", "refresh_token": "refresh-1"}
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_an_application_without_a_secret_says_its_name(desk: Desk) -> None:
    desk.keep(expires_at=0, refresh_token="a+b/c&d=e")
    desk.server.on("/oauth/token", grant(2))
    desk.tokens(secret=None).access()
    (request,) = desk.server.requests
    assert "Authorization" not in request.headers
    assert request.form["client_id"] == "client-1"
    assert request.form["refresh_token"] == "a+b/c&d=e"


def test_a_rotated_token_is_on_the_disk_before_it_is_used(desk: Desk) -> None:
    """What a call with the new token meets on the disk, seen from the server."""
    from exportkit_constant_contact.client import Client

    from exportkit.services import Uncounted

    desk.keep(expires_at=0)
    seen: list[dict[str, Any]] = []

    def look(request: Request) -> Answer:
        seen.append({**desk.kept, "used": request.headers["Authorization"]})
        return Answer(200, {})

    desk.server.on("/oauth/token", grant(2))
    desk.server.on("/v3/", look)
    with closing(Client(f"{desk.server.url}/v3", desk.tokens(), Uncounted())) as client:
        client.get("/contacts")
    assert seen[0]["refresh_token"] == "refresh-2"
    assert seen[0]["used"] == "Bearer access-2"


def test_a_place_that_cannot_be_written_costs_no_token(desk: Desk) -> None:
    """Found out before the old token is spent, not after."""
    desk.keep(expires_at=0)

    def full(values: object, /) -> None:
        raise JournalError("no room")

    desk.credentials.replace = full  # type: ignore[method-assign]
    with pytest.raises(JournalError, match="no room"):
        desk.tokens().access()
    assert desk.server.requests == []


@pytest.mark.parametrize(
    "junk",
    [
        {"expires_at": "x"},
        {"renew_at": None, "expires_at": True},
        {"access_token": 7},
        {"access_token": "two\nlines"},
        {"access_token": "ключ"},
    ],
)
def test_kept_values_of_the_wrong_type_are_renewed(desk: Desk, junk: dict[str, Any]) -> None:
    desk.keep(**junk)
    desk.server.on("/oauth/token", grant(2))
    assert desk.tokens().access() == "access-2"


# A token that was rejected


def test_a_rejected_token_is_renewed(desk: Desk) -> None:
    desk.keep()
    desk.server.on("/oauth/token", grant(2))
    tokens = desk.tokens()
    assert tokens.refresh(tokens.access()) == "access-2"
    assert tokens.access() == "access-2"
    assert desk.asked == ["refresh-1"]


def test_a_rejected_token_that_somebody_else_renewed_is_not_renewed_again(desk: Desk) -> None:
    desk.keep()
    tokens = desk.tokens()
    rejected = tokens.access()
    desk.keep(access_token="access-2", refresh_token="refresh-2")
    assert tokens.refresh(rejected) == "access-2"
    assert desk.server.requests == []


def test_a_rejected_token_without_another_needs_a_person(desk: Desk) -> None:
    desk.keep(refresh_token="")
    tokens = desk.tokens()
    with pytest.raises(AccessDeniedError, match="connection authorize marketing"):
        tokens.refresh(tokens.access())


# The first token


def test_a_first_token_begins(desk: Desk) -> None:
    desk.server.on("/oauth/token", grant(2))
    desk.keep(access_token="", refresh_token="")
    assert desk.tokens(first=" first-1\n").access() == "access-2"
    assert desk.asked == ["first-1"]
    assert desk.kept["first_token_fingerprint"] == fingerprint_of("first-1")
    assert "first-1" not in json.dumps(desk.kept)


def test_the_successors_of_a_first_token_are_used_while_it_stays(desk: Desk) -> None:
    desk.keep(first_token_fingerprint=fingerprint_of("first-1"), expires_at=0)
    desk.server.on("/oauth/token", grant(2))
    desk.tokens(first="first-1").access()
    assert desk.asked == ["refresh-1"]


def test_another_first_token_replaces_what_is_kept(desk: Desk) -> None:
    desk.keep(first_token_fingerprint=fingerprint_of("first-1"))
    desk.server.on("/oauth/token", grant(2))
    assert desk.tokens(first="first-2").access() == "access-2"
    assert desk.asked == ["first-2"]


def test_a_first_token_may_leave_the_file_once_it_was_used(desk: Desk) -> None:
    desk.keep(first_token_fingerprint=fingerprint_of("first-1"))
    assert desk.tokens().access() == "access-1"
    assert desk.server.requests == []


@pytest.mark.parametrize("first", ["two words", "line\nbreak", "ключ", "\x00"])
def test_a_first_token_that_is_none(desk: Desk, first: str) -> None:
    with pytest.raises(AccessDeniedError) as raised:
        desk.tokens(first=first).access()
    assert first not in said(raised)
    assert desk.server.requests == []


# Refused


def test_nobody_has_signed_in(desk: Desk) -> None:
    with pytest.raises(AccessDeniedError, match="is missing") as raised:
        desk.tokens().access()
    assert raised.value.exit_code == 4
    assert raised.value.hint == "sign in: exportkit connection authorize marketing"


def test_a_dead_refresh_token_says_what_to_type(desk: Desk) -> None:
    desk.keep(expires_at=0)
    desk.server.on("/oauth/token", DEAD)
    with pytest.raises(AccessDeniedError, match="180 days") as raised:
        desk.tokens().access()
    assert raised.value.exit_code == 4
    assert "exportkit connection authorize marketing" in str(raised.value)
    for secret in ("refresh-1", SECRET, "access-1"):
        assert secret not in said(raised)
    assert desk.kept["refresh_token"] == "refresh-1"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(401, {"errorCode": "invalid_client", "errorSummary": SECRET}), "invalid_client"),
        (Answer(400, {"error": "invalid_scope"}), "invalid_scope"),
        (Answer(400, {"error": SECRET}), "status 400"),
        (Answer(403, b"<html>"), "status 403"),
        (Answer(404), "status 404"),
    ],
)
def test_an_application_that_is_not_accepted(desk: Desk, answer: Answer, code: str) -> None:
    desk.keep(expires_at=0)
    desk.server.on("/oauth/token", answer)
    with pytest.raises(AccessDeniedError, match=re.escape(f"({code})")) as raised:
        desk.tokens().access()
    assert "check client_id and client_secret" in str(raised.value)
    assert SECRET not in said(raised)
    assert len(desk.asked) == 1


def test_a_redirect_gets_no_secret(desk: Desk) -> None:
    desk.keep(expires_at=0)
    desk.server.on("/oauth/token", Answer(307, b"", {"Location": f"{desk.server.url}/elsewhere"}))
    with pytest.raises(DestinationError, match="redirects"):
        desk.tokens().access()
    assert desk.server.called("/elsewhere") == []


def test_the_sign_in_service_has_to_be_https(desk: Desk) -> None:
    with pytest.raises(JobError, match="auth_url begins with http://"):
        Tokens("http://authz.example/x", "client-1", None, desk.credentials, None, "marketing")


# Failures that pass


@pytest.mark.parametrize("answer", [Answer(429), Answer(500), Answer(503), fault("unread")])
def test_a_failure_of_the_token_endpoint_passes(desk: Desk, answer: Answer) -> None:
    desk.keep(expires_at=0)
    desk.server.on("/oauth/token", answer, grant(2))
    assert desk.tokens().access() == "access-2"
    assert desk.pauses
    assert all(pause >= 1 for pause in desk.pauses)


def test_a_token_endpoint_that_is_asked_too_often_for_ever(desk: Desk) -> None:
    desk.keep(expires_at=0)
    desk.server.on("/oauth/token", *[Answer(429, b"", {"Retry-After": "9"})] * 4)
    with pytest.raises(ThrottledError) as raised:
        desk.tokens().access()
    assert raised.value.retry_after == 9
    assert not desk.kept["renewing"]


def test_a_token_endpoint_that_cannot_be_reached(desk: Desk) -> None:
    desk.keep(expires_at=0)
    tokens = desk.tokens()
    desk.server.close()
    with pytest.raises(UnavailableError, match="cannot be reached"):
        tokens.access()
    assert not desk.kept["renewing"]
    desk.server = Server()


@pytest.mark.parametrize("answer", [Answer(429), Answer(503), fault("reset")])
def test_a_token_that_is_still_good_is_used_while_it_cannot_be_renewed(
    desk: Desk, answer: Answer
) -> None:
    desk.keep(renew_at=NOW - 1, expires_at=NOW + 600)
    desk.server.always("/oauth/token", lambda request: answer)
    tokens = desk.tokens()
    assert [tokens.access() for _ in range(5)] == ["access-1"] * 5
    assert len(desk.server.requests) <= 4
    desk.server.always("/oauth/token", lambda request: grant(2))
    assert tokens.access() == "access-1"
    desk.now += 61
    assert tokens.access() == "access-2"


@pytest.mark.parametrize("how", UNSURE)
def test_a_lost_answer_that_changed_nothing_is_asked_for_again(desk: Desk, how: str) -> None:
    desk.keep(expires_at=0)
    desk.server.on("/oauth/token", fault(how), grant(2))
    assert desk.tokens().access() == "access-2"
    assert set(desk.asked) == {"refresh-1"}
    assert not desk.kept["renewing"]


@pytest.mark.parametrize(
    "answer",
    [
        *(fault(how) for how in UNSURE),
        *(Answer(status) for status in (408, 500, 502, 503, 504)),
        *(Answer(200, body) for body in (b"", b"{", b"[]", b"{}", {"access_token": 7})),
        Answer(200, {"access_token": "two words", "refresh_token": "refresh-2"}),
    ],
    ids=lambda answer: f"{answer.how} {answer.status} {answer.body!r}",
)
def test_a_lost_answer_to_a_rotation_needs_a_person(desk: Desk, answer: Answer) -> None:
    desk.keep(expires_at=0)
    desk.server.on("/oauth/token", answer, DEAD)
    with pytest.raises(AccessDeniedError, match="the answer to a renewal was lost") as raised:
        desk.tokens().access()
    assert raised.value.exit_code == 4
    assert "sign in again: exportkit connection authorize marketing" in str(raised.value)
    assert "refresh-1" not in said(raised)


def test_a_service_that_loses_every_answer_is_left_to_the_next_run(desk: Desk) -> None:
    desk.keep(expires_at=0)
    desk.server.on("/oauth/token", fault("reset"), fault("reset"), DEAD)
    with pytest.raises(UnavailableError):
        desk.tokens().access()
    with pytest.raises(AccessDeniedError, match="the answer to a renewal was lost"):
        desk.tokens().access()


def test_signing_in_again_ends_all_that(desk: Desk) -> None:
    desk.keep(expires_at=0, renewing=True)
    desk.server.on("/oauth/token", DEAD)
    with pytest.raises(AccessDeniedError):
        desk.tokens().access()
    desk.keep(access_token="access-9")
    assert desk.tokens().access() == "access-9"


def test_nothing_shows_a_token() -> None:
    kept = Kept("access-1", "refresh-1", first_token_fingerprint="f")
    assert "access-1" not in repr(kept)
    assert "refresh-1" not in repr(kept)


# Several processes

PROCESS = """
import sys
from pathlib import Path
from exportkit.access.credentials import KeptCredentials
from exportkit_constant_contact.oauth import Tokens

url, folder, rejected = sys.argv[1:]
kept = KeptCredentials(Path(folder), "marketing")
tokens = Tokens(url, "client-1", None, kept, None, "marketing")
print("ready", flush=True)
sys.stdin.readline()
print(tokens.refresh(rejected) if rejected else tokens.access(), flush=True)
tokens.close()
"""


class Rotating:
    """Gives each refresh token once, slowly; an old one is dead, as the vendor says."""

    def __init__(self) -> None:
        self.current = 1
        self.given = 0
        self._one = threading.Lock()

    def __call__(self, request: Request) -> Answer:
        with self._one:
            if request.form["refresh_token"] != f"refresh-{self.current}":
                return DEAD
            self.current += 1
            self.given += 1
        time.sleep(0.4)  # the others come meanwhile
        return grant(self.current)


def start(desk: Desk, rejected: str = "") -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-c",
        PROCESS,
        f"{desk.server.url}/oauth",
        str(desk.folder),
        rejected,
    ]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("rejected", ["", "access-1"], ids=["due", "rejected"])
def test_processes_that_renew_at_once_renew_once(desk: Desk, rejected: str) -> None:
    left = 10 * DAY if rejected else -1
    desk.keep(expires_at=time.time() + left, renew_at=time.time() + left)
    rotating = Rotating()
    desk.server.always("/oauth/token", rotating)
    processes = [start(desk, rejected) for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=60) for process in processes]
    assert ends == [("access-2\n", "")] * 4
    assert rotating.given == 1
    assert desk.kept["refresh_token"] == "refresh-2"


def test_a_process_killed_while_it_renews_is_told_of_by_the_next(desk: Desk) -> None:
    desk.keep(expires_at=0)
    arrived, leave = threading.Event(), threading.Event()

    def rotate(request: Request) -> Answer:
        arrived.set()
        leave.wait(30)
        return grant(2)

    desk.server.on("/oauth/token", rotate, DEAD)
    process = start(desk)
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    assert arrived.wait(30)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    leave.set()
    with pytest.raises(AccessDeniedError, match="the answer to a renewal was lost"):
        desk.tokens().access()
