"""Single exchanges: trust, connections that are kept, answers that are none, tokens that end."""

from __future__ import annotations

import json
import ssl
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from crm import CLIENT, Crm, Fault
from exportkit_http import wire
from exportkit_http.access import Tokens
from exportkit_http.verdict import later
from exportkit_http.wire import LostError, Reply, Wire

from exportkit import DestinationError, QuotaSpentError, ThrottledError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from workspace import Space


@pytest.fixture
def crm(make_crm: Callable[..., Crm]) -> Crm:
    made = make_crm()
    made.wants = lambda _request: True
    return made


@pytest.fixture
def line(crm: Crm) -> Iterator[Wire]:
    line = Wire(crm.url, option="url", timeout=5, at_once=4)
    yield line
    line.close()


def certificate(folder: Path) -> Path:
    """A certificate for this machine that nobody has signed but itself, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "localhost.pem"
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, *plain))
    return file


def test_a_certificate_is_checked(
    crm: Crm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    crm._server.socket = context.wrap_socket(crm._server.socket, server_side=True)
    url = crm.url.replace("http://127.0.0.1", "https://localhost")
    stranger = Wire(url, option="url", timeout=5)
    with pytest.raises(DestinationError, match="certificate of localhost cannot be trusted"):
        stranger.send("GET", "/me", {"X-API-Key": "k"})
    stranger.close()
    assert crm.requests == []
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    known = Wire(url, option="url", timeout=5)
    assert known.send("GET", "/me", {}).status == 200
    known.close()


def test_a_connection_is_kept_and_one_that_was_closed_is_no_failure(crm: Crm, line: Wire) -> None:
    for _ in range(3):
        line.send("GET", "/me", {})
    assert len({request.port for request in crm.requests}) == 1
    crm.fail(Fault(status=200, headers={"Connection": "close"}))
    for _ in range(2):
        assert line.send("GET", "/me", {}).status == 200
    assert len({request.port for request in crm.requests}) == 2


def test_threads_have_connections_of_their_own(crm: Crm, line: Wire) -> None:
    crm.slow = 0.05
    calls = [threading.Thread(target=line.send, args=("GET", "/me", {})) for _ in range(4)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert crm.busiest == 4


def test_what_is_never_reached_was_not_taken() -> None:
    nobody = Wire("http://127.0.0.1:9", option="url", timeout=1)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1 cannot be reached"):
        nobody.send("POST", "/contacts", {}, b"{}")


@pytest.mark.parametrize("how", ["unread", "lost", "half"])
def test_what_has_no_whole_answer_may_have_been_taken(crm: Crm, line: Wire, how: str) -> None:
    crm.fail(Fault(how))
    with pytest.raises(LostError, match="broke the connection off"):
        line.send("PUT", "/contacts/a", {}, b'{"name": "a"}')
    assert line.send("GET", "/me", {}).status == 200


def test_nobody_waits_for_ever(crm: Crm) -> None:
    crm.slow = 0.5
    hasty = Wire(crm.url, option="url", timeout=0.1)
    with pytest.raises(LostError, match="did not answer in time"):
        hasty.send("GET", "/me", {})
    hasty.close()


def test_an_answer_without_end_is_not_read(
    crm: Crm, line: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "LONGEST_ANSWER", 1000)
    crm.fail(Fault(status=200, body="x" * 5000))
    with pytest.raises(LostError, match="longer than anybody would read"):
        line.send("GET", "/me", {})
    assert json.loads(line.send("GET", "/me", {}).body) == {"name": "The mill"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "-7"}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
        (
            {
                "Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT",
                "Date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            30.0,
        ),
        ({"Retry-After": "Wed, 21 Oct 2020 07:28:30 GMT"}, 0.0),
    ],
)
def test_how_long_it_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert Reply(429, headers, b"").retry_after == seconds


def test_who_has_to_wait_for_long_comes_back_later() -> None:
    assert isinstance(later(600), ThrottledError)
    assert isinstance(later(None), ThrottledError)
    error = later(3600)
    assert isinstance(error, QuotaSpentError)
    assert error.until is not None
    assert timedelta(minutes=59) < error.until - datetime.now(UTC) <= timedelta(hours=1)
    assert isinstance(later(1e300), QuotaSpentError)


def tokens(crm: Crm, **more: Any) -> Tokens:
    auth = {"client_id": CLIENT[0], "client_secret": CLIENT[1]}
    return Tokens({**auth, "token_url": f"{crm.url}/oauth/token"}, 5, **more)


def test_a_token_is_kept_until_it_will_soon_have_run_out(crm: Crm) -> None:
    now = [0.0]
    held = tokens(crm, clock=lambda: now[0])
    first = held.headers()
    now[0] = 3500.0
    assert held.headers() == first
    now[0] = 3541.0
    second = held.headers()
    assert second != first
    assert held.renewed(first) == second, "somebody else has renewed it meanwhile"
    assert held.renewed(second) != second
    assert crm.token_calls == 3
    held.close()


@pytest.mark.parametrize("lifetime", [-5, 0, "often", None])
def test_a_token_of_an_odd_lifetime_is_used(crm: Crm, lifetime: Any) -> None:
    crm.lifetime = lifetime
    assert tokens(crm).headers()["Authorization"].startswith("Bearer granted-1")


def test_who_calls_is_heard_in_no_message(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that says everything back, in the words and in the statuses that it has."""
    name, secret = "Zaphodia", "s3cr3t-of-ours"
    space.people({"id": "1", "email": "zaphodia@example.com", "first_name": name})
    monkeypatch.setenv("CRM_SECRET", secret)
    space.options["auth"] = {
        "client_id": "app",
        "client_secret": "${env:CRM_SECRET}",
        "token_url": f"{space.crm.url}/oauth/token",
    }
    token = "short-one"
    space.options["test"] = "/me"
    monkeypatch.setattr(
        space.crm, "_token", lambda _request: (200, {"access_token": token, "expires_in": 60})
    )

    def echo(status: int, who: str = name) -> Fault:
        said = f"Bearer {token} {secret} {who} zaphodia@example.com +30 210 1234567"
        return Fault(status=status, body={"message": said, "error": said})

    monkeypatch.setattr("exportkit.pipeline.line.rest", lambda _line, _seconds: None)
    space.destination = {"path": "/contacts", "safe_to_repeat": True}
    heard = ""
    for status in (400, 401, 403, 404, 422, 500, 302):
        space.crm.faults.clear()
        space.crm.fail(*[echo(status)] * 50)
        for words in (("run", "mail", "--retry-refused"), ("rejections", "mail"), ("history",)):
            heard += space.type(*words)
        space.crm.faults.clear()
        space.crm.fail(echo(status, "somebody"))  # nobody's data was sent there
        heard += space.type("connection", "test", "crm")
    assert "422: " in heard
    journal = b"".join(file.read_bytes() for file in (space.root / ".exportkit").rglob("*.sqlite*"))
    assert journal
    for canary in (name, token, secret, "zaphodia@", "1234567"):
        assert canary.lower() not in heard.lower(), canary
        assert canary.lower().encode() not in journal.lower(), canary
