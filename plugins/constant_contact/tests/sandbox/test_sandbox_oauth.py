"""The sign-in."""

from __future__ import annotations

import base64
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
import requests
from exportkit_constant_contact.sandbox import ManualClock, Sandbox
from sandbox_caller import Caller

if TYPE_CHECKING:
    from exportkit_constant_contact.sandbox.tokens import Rotation

BACK = "http://127.0.0.1:9999/callback"
SCOPE = "contact_data account_read offline_access"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def asked(box: Sandbox, **more: str) -> requests.Response:
    query = {
        "client_id": box.client_id,
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": SCOPE,
        "state": "s t/ate",
    }
    return requests.get(
        f"{box.auth_url}/authorize", params=query | more, allow_redirects=False, timeout=5
    )


def returned(reply: requests.Response) -> dict[str, str]:
    assert reply.status_code == 302
    assert reply.headers["Location"].startswith(BACK)
    query = parse_qs(urlsplit(reply.headers["Location"]).query)
    return {name: values[0] for name, values in query.items()}


def is_dead(reply: requests.Response) -> bool:
    return (reply.status_code, reply.json().get("error")) == (400, "invalid_grant")


def test_a_person_clicks_and_the_secret_gets_tokens(box: Sandbox, caller: Caller) -> None:
    page = asked(box)
    assert page.status_code == 200
    assert "contact_data" in page.text
    link = page.text.split('href="')[1].split('"')[0].replace("&amp;", "&")
    clicked = requests.get(urljoin(page.url, link), allow_redirects=False, timeout=5)
    back = returned(clicked)
    assert back["state"] == "s t/ate"
    form = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": BACK}
    tokens = caller.token(**form).json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 86_400
    assert tokens["scope"] == SCOPE
    assert 900 < len(tokens["access_token"]) < 1300
    assert 35 < len(tokens["refresh_token"]) < 50
    assert is_dead(caller.token(**form))  # a code is good once


def test_pkce_needs_the_verifier_and_no_secret(box: Sandbox) -> None:
    verifier = "v" * 60
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    more = {"code_challenge": challenge, "code_challenge_method": "S256", "decision": "allow"}
    for said, good in (("w" * 60, False), (verifier, True)):
        form = {
            "grant_type": "authorization_code",
            "client_id": box.client_id,
            "redirect_uri": BACK,
            "code": returned(asked(box, **more))["code"],
            "code_verifier": said,
        }
        reply = requests.post(f"{box.auth_url}/token", data=form, timeout=5)
        assert is_dead(reply) is not good
    form = {
        "grant_type": "refresh_token",
        "client_id": box.client_id,
        "refresh_token": reply.json()["refresh_token"],
    }
    assert requests.post(f"{box.auth_url}/token", data=form, timeout=5).status_code == 200


def test_a_code_lives_five_minutes_and_belongs_to_its_redirect(
    box: Sandbox, caller: Caller, clock: ManualClock
) -> None:
    for seconds, redirect, good in ((299, BACK, True), (300, BACK, False), (0, BACK + "x", False)):
        code = returned(asked(box, decision="allow"))["code"]
        clock.advance(seconds)
        reply = caller.token(grant_type="authorization_code", code=code, redirect_uri=redirect)
        assert is_dead(reply) is not good


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"decision": "refuse"}, "access_denied"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": "x", "code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_problems_go_back_to_the_application(
    box: Sandbox, more: dict[str, str], error: str
) -> None:
    assert returned(asked(box, **more))["error"] == error


@pytest.mark.parametrize("more", [{"client_id": "x"}, {"redirect_uri": "https://evil.example/"}])
def test_nobody_is_sent_to_a_stranger(box: Sandbox, more: dict[str, str]) -> None:
    assert asked(box, **more).status_code == 400


def test_a_rotated_token_is_good_once(caller: Caller, clock: ManualClock) -> None:
    first = caller.box.token()
    tokens = caller.token(grant_type="refresh_token", refresh_token=first).json()
    assert tokens["refresh_token"] != first
    assert is_dead(caller.token(grant_type="refresh_token", refresh_token=first))
    caller.http.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    clock.advance(86_399)
    assert caller.get("/contacts").status_code == 200
    clock.advance(1)
    assert caller.get("/contacts").status_code == 401
    again = caller.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert again.status_code == 200
    clock.advance(180 * 86_400)
    unused = again.json()["refresh_token"]
    assert is_dead(caller.token(grant_type="refresh_token", refresh_token=unused))


@pytest.mark.parametrize(("rotation", "said"), [("long-lived", True), ("silent", False)])
def test_a_long_lived_token_stays(clock: ManualClock, rotation: Rotation, said: bool) -> None:
    with Sandbox(clock=clock, rates=False, rotation=rotation) as box:
        token = box.token()
        for _ in range(2):
            reply = Caller(box).token(grant_type="refresh_token", refresh_token=token)
            assert reply.json().get("refresh_token") == (token if said else None)


def test_without_offline_access_there_is_nothing_to_refresh(box: Sandbox, caller: Caller) -> None:
    code = returned(asked(box, decision="allow", scope="contact_data"))["code"]
    tokens = caller.token(grant_type="authorization_code", code=code, redirect_uri=BACK).json()
    assert "refresh_token" not in tokens


def test_a_wrong_secret_is_refused(box: Sandbox) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": box.token()}
    url = f"{box.auth_url}/token"
    wrong = requests.post(url, data=form, auth=(box.client_id, "wrong"), timeout=5)
    assert (wrong.status_code, wrong.json()["errorCode"]) == (401, "invalid_client")
    good = requests.post(url, params=form, auth=(box.client_id, box.client_secret), timeout=5)
    assert good.status_code == 200  # fields in the query work, and the refusal cost no token


def test_the_token_endpoint_takes_a_call_a_second(clock: ManualClock) -> None:
    with Sandbox(clock=clock) as box:
        caller, token = Caller(box), box.token()
        assert caller.token(grant_type="nothing").status_code == 400
        assert caller.token(grant_type="refresh_token", refresh_token=token).status_code == 429
        clock.advance(1)
        assert caller.token(grant_type="refresh_token", refresh_token=token).status_code == 200


def test_a_device_waits_for_somebody(box: Sandbox, clock: ManualClock) -> None:
    form = {"client_id": box.client_id, "scope": SCOPE}
    began = requests.post(f"{box.auth_url}/device/authorize", data=form, timeout=5).json()
    assert (began["interval"], began["expires_in"]) == (5, 600)

    def poll() -> requests.Response:
        form = {
            "grant_type": DEVICE,
            "client_id": box.client_id,
            "device_code": began["device_code"],
        }
        return requests.post(f"{box.auth_url}/token", data=form, timeout=5)

    assert poll().json()["error"] == "authorization_pending"
    assert poll().json()["error"] == "slow_down"
    clock.advance(5)
    assert poll().json()["error"] == "authorization_pending"
    page = requests.get(began["verification_uri_complete"], timeout=5)
    assert "contact_data" in page.text
    requests.get(began["verification_uri_complete"] + "&decision=allow", timeout=5)
    clock.advance(5)
    assert "refresh_token" in poll().json()
    assert is_dead(poll())


def test_a_device_may_be_refused_or_too_late(box: Sandbox, clock: ManualClock) -> None:
    form = {"client_id": box.client_id, "scope": SCOPE}
    for late, error in ((0, "access_denied"), (600, "expired_token")):
        began = requests.post(f"{box.auth_url}/device/authorize", data=form, timeout=5).json()
        requests.get(began["verification_uri_complete"] + "&decision=refuse", timeout=5)
        clock.advance(late)
        form_ = {
            "grant_type": DEVICE,
            "client_id": box.client_id,
            "device_code": began["device_code"],
        }
        reply = requests.post(f"{box.auth_url}/token", data=form_, timeout=5)
        assert (reply.status_code, reply.json()["error"]) == (400, error)


def test_of_two_refreshes_at_once_one_loses(caller: Caller) -> None:
    token, barrier = caller.box.token(), threading.Barrier(2)

    def refresh(_: int) -> int:
        barrier.wait()
        return caller.token(grant_type="refresh_token", refresh_token=token).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(refresh, range(2))) == [200, 400]


def test_a_sandbox_that_does_not_ask_says_yes_by_itself(clock: ManualClock) -> None:
    with Sandbox(clock=clock, rates=False, asks=False) as box:
        assert "code" in returned(asked(box))
