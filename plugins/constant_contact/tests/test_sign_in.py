"""Signing in through a browser and on another device, over real sockets."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from exportkit_constant_contact.listener import Listener
from exportkit_constant_contact.oauth import fingerprint_of
from exportkit_constant_contact.provider import Provider
from exportkit_constant_contact.sign_in import (
    sign_in,
    sign_in_with_browser,
    sign_in_with_device,
)
from scripted_server import Answer, Server, fault

from exportkit import (
    AccessDeniedError,
    Connection,
    DestinationError,
    JobError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exportkit_constant_contact.provider import Granted

SECRET = "the-secret-of-the-application"
GRANT = {"access_token": "access-1", "refresh_token": "refresh-1", "expires_in": 86_400}
NOT_YET = Answer(400, {"error": "authorization_pending"})
SLOWER = Answer(400, {"error": "slow_down"})
DEVICE = {
    "device_code": "device-1",
    "user_code": "BCDF-GHJK",
    "verification_uri": "https://service.example/activate",
    "verification_uri_complete": "https://service.example/activate?user_code=BCDF-GHJK",
    "expires_in": 600,
    "interval": 5,
}


class Person:
    """Whoever is at the keyboard; keeps what was shown."""

    def __init__(self, *, browser: bool = True) -> None:
        self.browser = browser
        self.shown: list[str] = []

    def __call__(self, question: str, *, secret: bool = False) -> str:
        raise AssertionError("nothing is asked")

    def tell(self, text: str) -> None:
        self.shown.append(text)


class Browser:
    """Opens the page as a person's browser does: elsewhere, and some time later."""

    def __init__(self, *visits: Callable[[dict[str, str]], dict[str, str]]) -> None:
        self.visits = visits
        self.page = ""
        self.statuses: list[int] = []
        self.thread = threading.Thread(target=self._visit)

    def __call__(self, page: str) -> bool:
        self.page = page
        self.thread.start()
        return True

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.page).query).items()}

    def _visit(self) -> None:
        back = self.query["redirect_uri"].replace("localhost", "127.0.0.1")
        for visit in self.visits:
            with suppress(urllib.error.URLError, ConnectionError):  # the terminal may be done
                self.statuses.append(status_of(f"{back}?{urlencode(visit(self.query))}"))


def status_of(url: str) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def good(query: dict[str, str]) -> dict[str, str]:
    return {"code": "code-1", "state": query["state"]}


@pytest.fixture
def server() -> Iterator[Server]:
    with closing(Server()) as server:
        yield server


@pytest.fixture
def provider(server: Server) -> Iterator[Provider]:
    with closing(Provider(f"{server.url}/oauth", "client-1", timeout=(1.0, 0.4))) as provider:
        yield provider


def through(
    provider: Provider, browser: Browser, person: Person | None = None, patience: float = 10
) -> Granted:
    try:
        return sign_in_with_browser(
            provider,
            person or Person(),
            "marketing",
            port=0,
            patience=patience,
            open_page=browser,
        )
    finally:
        browser.thread.join()


def test_signing_in_in_a_browser_without_a_secret(server: Server, provider: Provider) -> None:
    server.on("/oauth/token", Answer(200, GRANT))
    person, browser = Person(), Browser(good)
    granted = through(provider, browser, person)
    assert (granted.access_token, granted.refresh_token) == ("access-1", "refresh-1")
    assert browser.page.startswith(f"{server.url}/oauth/authorize?")
    assert browser.page in person.shown[0]
    asked, (request,) = browser.query, server.requests
    assert asked["response_type"] == "code"
    assert asked["scope"] == "contact_data account_read offline_access"
    assert asked["redirect_uri"].startswith("http://localhost:")
    assert len(asked["state"]) >= 40
    digest = hashlib.sha256(request.form["code_verifier"].encode()).digest()
    assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert asked["code_challenge_method"] == "S256"
    assert request.form["code"] == "code-1"
    assert request.form["client_id"] == "client-1"
    assert request.form["redirect_uri"] == asked["redirect_uri"]
    assert "Authorization" not in request.headers


def test_signing_in_in_a_browser_with_a_secret(server: Server) -> None:
    server.on("/oauth/token", Answer(200, GRANT))
    browser = Browser(good)
    with closing(Provider(f"{server.url}/oauth", "client-1", SECRET)) as provider:
        through(provider, browser)
    (request,) = server.requests
    pair = base64.b64encode(f"client-1:{SECRET}".encode()).decode()
    assert request.headers["Authorization"] == f"Basic {pair}"
    assert "code_verifier" not in request.form
    assert "code_challenge" not in browser.query
    assert SECRET not in browser.page


def test_each_sign_in_has_another_state(server: Server, provider: Provider) -> None:
    server.on("/oauth/token", Answer(200, GRANT), Answer(200, GRANT))
    browsers = [Browser(good), Browser(good)]
    for browser in browsers:
        through(provider, browser)
    states = {browser.query["state"] for browser in browsers}
    challenges = {browser.query["code_challenge"] for browser in browsers}
    assert len(states) == len(challenges) == 2


@pytest.mark.parametrize(
    "forged",
    [
        lambda query: {"code": "forged", "state": "x" * len(query["state"])},
        lambda query: {"code": "forged"},
        lambda query: {"code": "forged", "state": ""},
        lambda query: {"code": "forged", "state": "ключ"},
        lambda query: {"error": "access_denied", "state": "x"},
        lambda query: {"state": query["state"]},
    ],
)
def test_an_answer_to_another_question_is_refused(
    server: Server, provider: Provider, forged: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    server.on("/oauth/token", Answer(200, GRANT))
    browser = Browser(forged, good)
    through(provider, browser)
    assert browser.statuses[0] == 400
    assert [request.form["code"] for request in server.requests] == ["code-1"]


def test_only_forged_answers_are_nobody(server: Server, provider: Provider) -> None:
    browser = Browser(lambda query: {"code": "forged", "state": "x"})
    with pytest.raises(AccessDeniedError, match="nobody signed in") as raised:
        through(provider, browser, patience=0.5)
    assert raised.value.exit_code == 4
    assert "redirect URI http://localhost:" in str(raised.value)
    assert server.requests == []


def test_a_second_answer_changes_nothing() -> None:
    with Listener(0, "state-1") as listener:
        back = listener.redirect_uri.replace("localhost", "127.0.0.1")
        assert status_of(f"{back}?code=first&state=state-1") == 200
        assert status_of(f"{back}?code=second&state=state-1") == 200
        assert status_of(f"{back}?code=second&state=other") == 400
        assert status_of(back.replace("/callback", "/favicon.ico")) == 404
        assert listener.wait(5) == {"code": "first", "state": "state-1"}


def test_a_connection_that_asks_nothing_holds_nobody_up() -> None:
    with Listener(0, "state-1") as listener:
        back = listener.redirect_uri.replace("localhost", "127.0.0.1")
        with socket.create_connection(("127.0.0.1", urlsplit(back).port or 0)):
            began = time.monotonic()
            assert status_of(f"{back}?code=first&state=state-1") == 200
            assert time.monotonic() - began < 3
            assert listener.wait(5) is not None


def test_the_listener_hears_this_machine_alone_and_is_gone_afterwards() -> None:
    with Listener(0, "state-1") as listener:
        port = urlsplit(listener.redirect_uri).port or 0
        assert listener._server.server_address[0] == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DestinationError, match=f"port {port} on this machine is taken"):
            Listener(port, "state-1")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("access_denied", "was declined"),
        ("invalid_scope", r"\(invalid_scope\)"),
        ("<script>alert(1)</script>", "an unknown reason"),
    ],
)
def test_an_error_from_the_service_is_shown(
    server: Server, provider: Provider, code: str, words: str
) -> None:
    browser = Browser(
        lambda query: {"error": code, "error_description": "<b>no</b>", "state": query["state"]}
    )
    with pytest.raises(AccessDeniedError, match=words) as raised:
        through(provider, browser)
    assert "<" not in str(raised.value)
    assert server.requests == []


def test_a_browser_that_does_not_open_is_no_failure(server: Server, provider: Provider) -> None:
    import webbrowser

    server.on("/oauth/token", Answer(200, GRANT))
    browser = Browser(good)

    def broken(page: str) -> bool:
        browser(page)
        raise webbrowser.Error("no browser")

    granted = sign_in_with_browser(provider, Person(), "marketing", port=0, open_page=broken)
    browser.thread.join()
    assert granted.access_token == "access-1"


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (Answer(400, {"error": "invalid_grant"}), AccessDeniedError, "does not accept the code"),
        (Answer(401, {"errorCode": "invalid_client"}), AccessDeniedError, "invalid_client"),
        (Answer(429), UnavailableError, "too often"),
        (Answer(503), UnavailableError, "answered 503"),
        (fault("reset"), UnavailableError, "broke the connection off"),
        (Answer(200, b"<html>"), UnavailableError, "cannot be understood"),
        (Answer(200, {"refresh_token": "refresh-1"}), UnavailableError, "without a token"),
    ],
)
def test_a_code_that_brings_no_token(
    server: Server, provider: Provider, answer: Answer, error: type[Exception], words: str
) -> None:
    server.on("/oauth/token", answer)
    with pytest.raises(error, match=words) as raised:
        through(provider, Browser(good))
    assert "exportkit connection authorize marketing" in str(raised.value)
    assert "code-1" not in str(raised.value)
    assert len(server.requests) == 1


# On another device


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def elsewhere(provider: Provider, clock: Clock, person: Person | None = None) -> Granted:
    person = person or Person(browser=False)
    return sign_in_with_device(provider, person, "marketing", sleep=clock.sleep, clock=clock)


def test_signing_in_on_another_device(server: Server, provider: Provider) -> None:
    server.on("/oauth/device/authorize", Answer(200, DEVICE))
    server.on("/oauth/token", NOT_YET, NOT_YET, SLOWER, NOT_YET, Answer(200, GRANT))
    person, clock = Person(browser=False), Clock()
    assert elsewhere(provider, clock, person).refresh_token == "refresh-1"
    assert clock.waits == [5, 5, 5, 10, 10]
    (text,) = person.shown
    assert "https://service.example/activate and enter the code BCDF-GHJK" in text
    assert "device-1" not in text
    first, *rest = server.requests
    assert first.form == {
        "client_id": "client-1",
        "scope": "contact_data account_read offline_access",
    }
    assert rest[0].form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": "device-1",
        "client_id": "client-1",
    }


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("expired_token", "ran out"),
        ("access_denied", "declined"),
        ("invalid_grant", "not any more"),
        ("unauthorized_client", "unauthorized_client"),
    ],
)
def test_a_device_that_is_refused(
    server: Server, provider: Provider, code: str, words: str
) -> None:
    server.on("/oauth/device/authorize", Answer(200, DEVICE))
    server.on("/oauth/token", NOT_YET, Answer(400, {"error": code}))
    with pytest.raises(AccessDeniedError, match=words) as raised:
        elsewhere(provider, Clock())
    assert raised.value.exit_code == 4
    assert "exportkit connection authorize marketing" in str(raised.value)


def test_a_code_that_nobody_enters_runs_out(server: Server, provider: Provider) -> None:
    server.on("/oauth/device/authorize", Answer(200, {**DEVICE, "expires_in": 31}))
    server.always("/oauth/token", lambda request: NOT_YET)
    clock = Clock()
    with pytest.raises(AccessDeniedError, match="ran out"):
        elsewhere(provider, clock)
    assert clock.now == 31


@pytest.mark.parametrize("answer", [Answer(429), Answer(503), fault("reset"), fault("silent")])
def test_a_failure_between_questions_passes(
    server: Server, provider: Provider, answer: Answer
) -> None:
    server.on("/oauth/device/authorize", Answer(200, DEVICE))
    server.on("/oauth/token", answer, Answer(200, GRANT))
    clock = Clock()
    assert elsewhere(provider, clock).access_token == "access-1"
    assert clock.waits == [5, 10]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>", UnavailableError),
        ({**DEVICE, "user_code": None}, UnavailableError),
        ({**DEVICE, "user_code": "\x1b[2Jx"}, UnavailableError),
        ({**DEVICE, "verification_uri": "javascript:alert(1)"}, DestinationError),
    ],
)
def test_a_code_that_cannot_be_shown(
    server: Server, provider: Provider, body: Any, error: type[Exception]
) -> None:
    server.on("/oauth/device/authorize", Answer(200, body))
    with pytest.raises(error):
        elsewhere(provider, Clock())


# As the hook calls it


def connection(server: Server, **options: Any) -> Connection:
    options = {"auth_url": f"{server.url}/oauth", "client_id": "client-1", **options}
    return Connection("marketing", "constant_contact", "Marketing", options)


def test_what_is_kept_of_a_sign_in(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.on("/oauth/device/authorize", Answer(200, {**DEVICE, "interval": 1}))
    server.on("/oauth/token", Answer(200, GRANT))
    before = time.time()
    kept = sign_in(connection(server, refresh_token="first-1"), Person(browser=False))
    assert kept["access_token"] == "access-1"
    assert kept["refresh_token"] == "refresh-1"
    assert before + 86_400 <= kept["expires_at"] <= time.time() + 86_400
    assert kept["first_token_fingerprint"] == fingerprint_of("first-1")


def test_a_sign_in_without_a_refresh_token_says_when_it_ends(server: Server) -> None:
    server.on("/oauth/device/authorize", Answer(200, {**DEVICE, "interval": 1}))
    server.on("/oauth/token", Answer(200, {"access_token": "access-1", "expires_in": 28_800}))
    person = Person(browser=False)
    assert sign_in(connection(server), person)["refresh_token"] == ""
    assert "8 hours" in person.shown[-1]


def test_a_person_with_a_browser_is_sent_there(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    import webbrowser

    server.on("/oauth/token", Answer(200, GRANT))
    browser = Browser(good)
    monkeypatch.setattr(webbrowser, "open", browser)
    kept = sign_in(connection(server, redirect_port=0), Person())
    browser.thread.join()
    assert kept["refresh_token"] == "refresh-1"


def test_secrets_go_nowhere_unencrypted(server: Server) -> None:
    with pytest.raises(JobError, match="auth_url begins with http://"):
        sign_in(connection(server, auth_url="http://authz.example/v1"), Person())
