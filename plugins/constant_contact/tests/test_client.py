"""Every way in which a call can end, over a real socket."""

from __future__ import annotations

import ssl
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from exportkit_constant_contact.client import Client, ConflictError, NotFoundError
from exportkit_constant_contact.oauth import Tokens
from exportkit_constant_contact.wire import NotSentError, Wire, require_https
from scripted_server import Answer, Server, fault

from exportkit import (
    AccessDeniedError,
    DestinationError,
    JobError,
    OutcomeUnknownError,
    QuotaSpentError,
    ThrottledError,
    UnavailableError,
)
from exportkit.access.credentials import KeptCredentials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "eyJhbGciOiJSUzI1NiJ9.an-access-token"
NEW_TOKEN = "eyJhbGciOiJSUzI1NiJ9.another-access-token"
SECRET = "the-secret-of-the-application"
ADDRESS = "jane.doe@example.com"
MIDNIGHT = datetime(2026, 11, 25, tzinfo=UTC)
LATER = 4e9
GOOD = Answer(200, {"here": "it is"})
UNSURE = ["unread", "reset", "closed", "garbage", "half"]


class CountedHere:
    """Counts calls, as the host does over all processes."""

    def __init__(self) -> None:
        self.made = 0
        self.told = False

    def take(self) -> None:
        self.made += 1

    def ended(self) -> None:
        pass

    def spent(self) -> datetime:
        self.told = True
        return MIDNIGHT

    def left(self) -> int | None:
        return None


class Bench:
    """A client in front of a scripted server; pauses are noted, not waited for."""

    def __init__(self, folder: Path) -> None:
        self.server = Server()
        self.credentials = KeptCredentials(folder, "marketing")
        kept = {"access_token": TOKEN, "refresh_token": "refresh-1"}
        self.credentials.move({**kept, "expires_at": LATER, "renew_at": LATER}, "file")
        self.pauses: list[float] = []
        self.calls = CountedHere()
        tokens = Tokens(
            f"{self.server.url}/oauth",
            "client-1",
            SECRET,
            self.credentials,
            None,
            "marketing",
            sleep=self.pauses.append,
        )
        self.client = Client(
            f"{self.server.url}/v3",
            tokens,
            self.calls,
            timeout=(1.0, 0.4),
            sleep=self.pauses.append,
        )

    def close(self) -> None:
        self.client.close()
        self.server.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with closing(Bench(tmp_path)) as bench:
        yield bench


def said(error: pytest.ExceptionInfo[Any]) -> str:
    """All that an error shows, and its causes."""
    chain: list[str] = []
    each: BaseException | None = error.value
    while each is not None:
        chain += [str(each), repr(each)]
        each = each.__cause__ or each.__context__
    return "\n".join(chain)


def test_a_call_is_counted_and_carries_the_token(bench: Bench) -> None:
    bench.server.on("/v3/contacts", GOOD)
    assert bench.client.get("/contacts", {"email": "a+b@example.com"}) == {"here": "it is"}
    (request,) = bench.server.requests
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert request.headers["Accept"] == "application/json"
    assert request.query == {"email": ["a+b@example.com"]}
    assert bench.calls.made == 1


def test_privileges_are_a_list(bench: Bench) -> None:
    bench.server.on("/v3/account", Answer(200, [{"privilege_name": "contacts:read"}]))
    found = bench.client.get("/account/user/privileges")
    assert found == [{"privilege_name": "contacts:read"}]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_reading_goes_on_after_a_failure_of_the_server(bench: Bench, status: int) -> None:
    bench.server.on("/v3/", Answer(status, b"<html>sorry</html>"), Answer(status), GOOD)
    assert bench.client.get("/contacts") == {"here": "it is"}
    assert bench.calls.made == 3
    assert len(bench.pauses) == 2
    assert all(1 <= pause <= 4 for pause in bench.pauses)


@pytest.mark.parametrize("how", [*UNSURE, "silent"])
def test_reading_goes_on_after_a_lost_answer(bench: Bench, how: str) -> None:
    bench.server.on("/v3/", fault(how), GOOD)
    assert bench.client.get("/contacts") == {"here": "it is"}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"<html></html>", b"[1, 2]", b'"text"', b"null", b"\xff", b"[" * 100_000]
)
def test_reading_goes_on_after_an_answer_that_is_none(bench: Bench, body: bytes) -> None:
    bench.server.on("/v3/", Answer(200, body), GOOD)
    assert bench.client.get("/contacts") == {"here": "it is"}


@pytest.mark.parametrize("answer", [Answer(503), Answer(200, b""), fault("reset"), fault("half")])
def test_reading_is_given_up_after_a_while(bench: Bench, answer: Answer) -> None:
    bench.server.on("/v3/", *[answer] * 5)
    with pytest.raises(UnavailableError):
        bench.client.get("/contacts")
    assert bench.calls.made == 5
    assert 15 <= sum(bench.pauses) <= 20


@pytest.mark.parametrize("how", [*UNSURE, "silent"])
def test_a_post_with_a_lost_answer_is_not_repeated(bench: Bench, how: str) -> None:
    bench.server.on("/v3/", fault(how), GOOD)
    with pytest.raises(OutcomeUnknownError):
        bench.client.post("/activities/contacts_json_import", {"import_data": []})
    assert bench.calls.made == 1


@pytest.mark.parametrize(
    "answer",
    [
        *(Answer(status) for status in (302, 408, 500, 502, 503, 504)),
        Answer(503, {"error_key": "unavailable", "error_message": "try again"}),
        *(Answer(201, body) for body in (b"", b"{", b"<p>", b"[]", b"null")),
    ],
    ids=lambda answer: f"{answer.status} {answer.body!r}",
)
def test_a_post_that_may_have_been_taken_is_not_repeated(bench: Bench, answer: Answer) -> None:
    bench.server.on("/v3/", answer, GOOD)
    with pytest.raises(OutcomeUnknownError):
        bench.client.upload("/activities/contacts_file_import", "a.csv", b"email\n", {})
    assert bench.calls.made == 1


def test_a_post_after_a_call_takes_no_connection_that_may_be_closing(bench: Bench) -> None:
    bench.server.on("/v3/contacts", GOOD, GOOD)
    bench.server.on("/v3/activities", Answer(201, {"activity_id": "1"}))
    bench.client.get("/contacts")
    bench.client.get("/contacts")
    bench.client.post("/activities/x", {})
    first, second, third = (request.port for request in bench.server.requests)
    assert first == second != third


def test_a_refused_connection_took_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.server.close()
    with closing(bench.client), pytest.raises(UnavailableError, match="cannot be reached"):
        bench.client.post("/activities/x", {})
    assert bench.pauses == []


def test_a_name_that_is_not_there_took_nothing() -> None:
    wire = Wire("https://constant-contact.invalid/v3", option="api_url", timeout=(1, 1))
    with closing(wire), pytest.raises(NotSentError, match="cannot be reached"):
        wire.send("POST", "/x")


def test_a_proxy_that_is_no_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://")
    monkeypatch.setenv("https_proxy", "http://")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    wire = Wire("https://constant-contact.invalid/v3", option="api_url", timeout=(1, 1))
    with closing(wire), pytest.raises(DestinationError, match="proxy"):
        wire.send("POST", "/x")


def test_a_proxy_that_is_not_there_took_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    wire = Wire("https://constant-contact.invalid/v3", option="api_url", timeout=(1, 1))
    with closing(wire), pytest.raises(NotSentError, match="through the proxy"):
        wire.send("POST", "/x")


def test_an_upload_is_a_form_with_a_csv_file(bench: Bench) -> None:
    bench.server.on("/v3/", Answer(201, {"activity_id": "1"}))
    content = b"email\nj@example.com\n"
    bench.client.upload("/activities/x", "run-1.csv", content, {"list_ids": "1,2"})
    (request,) = bench.server.requests
    assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert b'name="file"; filename="run-1.csv"\r\nContent-Type: text/csv' in request.body
    assert b'name="list_ids"\r\n\r\n1,2\r\n' in request.body
    assert content in request.body


def test_a_body_that_is_json_already_is_sent_as_it_is(bench: Bench) -> None:
    bench.server.on("/v3/", Answer(201, {}))
    bench.client.post_body("/activities/x", b'{"a":1}')
    (request,) = bench.server.requests
    assert request.headers["Content-Type"] == "application/json"
    assert request.body == b'{"a":1}'


def test_a_download_is_bytes_whole_or_again(bench: Bench) -> None:
    bench.server.on("/v3/", Answer(200, b"email\n" * 100, how="half"), Answer(200, b"email\n"))
    assert bench.client.download("/contact_exports/1") == b"email\n"


# Refusals


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (400, DestinationError, "400"),
        (404, NotFoundError, "knows nothing of /contacts/ID"),
        (405, DestinationError, "405"),
        (409, ConflictError, "conflict"),
        (413, DestinationError, "413"),
        (415, DestinationError, "415"),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        [{"error_key": "contacts.api.x", "error_message": "it is wrong"}],
        {"error_key": "contacts.api.x", "error_message": "it is wrong"},
        {"error": "contacts.api.x", "error_description": "it is wrong"},
    ],
    ids=["array", "object", "oauth"],
)
def test_a_refusal_says_what_the_service_says(
    bench: Bench, status: int, error: type[Exception], words: str, body: Any
) -> None:
    bench.server.on("/v3/", Answer(status, body))
    with pytest.raises(error, match=words) as raised:
        bench.client.get("/contacts/3f1c-99")
    assert "contacts.api.x: it is wrong" in str(raised.value)
    assert bench.calls.made == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[[]]", b"[null]", b'{"error_key": 7}', b"3"])
def test_a_refusal_without_words_is_one(bench: Bench, body: bytes) -> None:
    bench.server.on("/v3/", Answer(400, body))
    with pytest.raises(DestinationError, match=r"refuses POST /activities/x \(400\)"):
        bench.client.post("/activities/x", {})


@pytest.mark.parametrize(
    ("call", "privilege"),
    [
        (lambda client: client.get("/contact_lists"), "contacts:lists:read"),
        (lambda client: client.post("/contact_lists", {}), "contacts:lists:write"),
        (lambda client: client.get("/contacts"), "contacts:read"),
        (lambda client: client.get("/activities/1"), "contacts:write"),
        (lambda client: client.get("/account/summary"), "account:read"),
    ],
)
def test_a_missing_privilege_is_named(bench: Bench, call: Any, privilege: str) -> None:
    words = "Request forbidden due to insufficient user privileges."
    bench.server.on("/v3/", Answer(403, {"error_key": "access_denied", "error_message": words}))
    with pytest.raises(AccessDeniedError, match=f"lack the privilege {privilege}") as raised:
        call(bench.client)
    assert raised.value.exit_code == 4
    assert "exportkit connection authorize marketing" in str(raised.value)


def test_nothing_personal_or_secret_is_shown(bench: Bench) -> None:
    leak = f"{ADDRESS} with 'Jane' and \"Doe\" used {TOKEN} and {'x1' * 30} from +1 781 555 0100"
    bench.server.on("/v3/", Answer(400, [{"error_key": ADDRESS, "error_message": leak}]))
    with pytest.raises(DestinationError) as raised:
        bench.client.get(f"/contacts/{ADDRESS}", {"email": ADDRESS})
    for secret in (ADDRESS, "Jane", "Doe", TOKEN, "x1x1", "781 555", SECRET, "refresh-1"):
        assert secret not in said(raised)


@pytest.mark.parametrize("how", [*UNSURE, "silent"])
def test_nothing_personal_or_secret_is_shown_of_a_lost_answer(bench: Bench, how: str) -> None:
    bench.server.on("/v3/", fault(how))
    with pytest.raises(OutcomeUnknownError) as raised:
        bench.client.post("/activities/x?email=" + ADDRESS, {"email": ADDRESS})
    for secret in (ADDRESS, "jane.doe", TOKEN, SECRET):
        assert secret not in said(raised)


def test_a_redirect_is_not_followed(bench: Bench) -> None:
    elsewhere = Server()
    with closing(elsewhere):
        bench.server.on("/v3/", Answer(302, b"", {"Location": f"{elsewhere.url}/v3/contacts"}))
        with pytest.raises(DestinationError, match="redirects"):
            bench.client.get("/contacts")
        assert elsewhere.requests == []


# Too many calls

THROTTLED = {"error_key": "throttled", "error_message": "Too Many Requests"}
QUOTA = {"error_key": "quota_exceeded", "error_message": "Limit Exceeded"}


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_throttled_call_comes_again(bench: Bench, method: str) -> None:
    bench.server.on("/v3/", Answer(429, THROTTLED), Answer(429, [THROTTLED]), GOOD)
    arguments = ("/contacts",) if method == "get" else ("/activities/x", {})
    assert getattr(bench.client, method)(*arguments) == {"here": "it is"}
    assert len(bench.pauses) == 2
    assert bench.calls.made == 3


def test_the_service_may_say_how_long_to_wait(bench: Bench) -> None:
    bench.server.on("/v3/", Answer(429, THROTTLED, {"Retry-After": "7"}), GOOD)
    bench.client.get("/contacts")
    assert bench.pauses == [7.0]


def test_a_long_wait_is_the_hosts(bench: Bench) -> None:
    bench.server.on("/v3/", Answer(429, THROTTLED, {"Retry-After": "120"}))
    with pytest.raises(ThrottledError) as raised:
        bench.client.post("/activities/x", {})
    assert raised.value.retry_after == 120
    assert bench.pauses == []


def test_calls_that_are_throttled_for_ever_are_given_up(bench: Bench) -> None:
    bench.server.on("/v3/", *[Answer(429, THROTTLED, {"Retry-After": "soon"})] * 5)
    with pytest.raises(ThrottledError):
        bench.client.post("/activities/x", {})
    assert bench.calls.made == 5


@pytest.mark.parametrize("body", [QUOTA, [QUOTA]], ids=["object", "array"])
def test_a_spent_quota_stops_at_once_and_says_until_when(bench: Bench, body: Any) -> None:
    bench.server.on("/v3/", Answer(429, body))
    with pytest.raises(QuotaSpentError, match="2026-11-25 00:00 UTC") as raised:
        bench.client.post("/activities/x", {})
    assert (raised.value.until, raised.value.exit_code) == (MIDNIGHT, 75)
    assert bench.calls.told
    assert bench.calls.made == 1


@pytest.mark.parametrize("body", [[{"error_key": "activities.full"}], b"", {"message": "full"}])
def test_a_full_queue_waits_a_minute(bench: Bench, body: Any) -> None:
    bench.server.on("/v3/", Answer(429, body))
    with pytest.raises(ThrottledError, match="takes no more work") as raised:
        bench.client.post("/activities/x", {})
    assert raised.value.retry_after == 60
    assert bench.calls.made == 1


# A token that is not accepted

UNAUTHORIZED = Answer(401, {"error_key": "unauthorized", "error_message": "Unauthorized"})
GRANT = {"access_token": NEW_TOKEN, "refresh_token": "refresh-2", "expires_in": 86400}


@pytest.mark.parametrize("refusal", [UNAUTHORIZED, Answer(401)], ids=["words", "empty"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_rejected_token_is_renewed_once_and_the_run_goes_on(
    bench: Bench, method: str, refusal: Answer
) -> None:
    bench.server.on("/v3/", refusal, GOOD, GOOD)
    bench.server.on("/oauth/token", Answer(200, GRANT))
    arguments = ("/contacts",) if method == "get" else ("/activities/x", {"a": 1})
    assert getattr(bench.client, method)(*arguments) == {"here": "it is"}
    assert bench.client.get("/contacts") == {"here": "it is"}
    tokens = [request.headers["Authorization"] for request in bench.server.called("/v3/")]
    assert tokens == [f"Bearer {TOKEN}", *[f"Bearer {NEW_TOKEN}"] * 2]
    assert len(bench.server.called("/oauth/token")) == 1


def test_a_new_token_that_is_not_accepted_either_ends_the_run(bench: Bench) -> None:
    bench.server.on("/v3/", UNAUTHORIZED, UNAUTHORIZED)
    bench.server.on("/oauth/token", Answer(200, GRANT))
    with pytest.raises(AccessDeniedError, match="connection authorize marketing") as raised:
        bench.client.get("/contacts")
    assert raised.value.exit_code == 4
    assert NEW_TOKEN not in said(raised)


def test_a_dead_refresh_token_ends_the_run(bench: Bench) -> None:
    bench.server.on("/v3/", UNAUTHORIZED)
    bench.server.on("/oauth/token", Answer(400, {"error": "invalid_grant"}))
    with pytest.raises(AccessDeniedError, match="exportkit connection authorize marketing"):
        bench.client.post("/activities/x", {})


# Pages


def page(items: list[dict[str, Any]], href: Any = None) -> Answer:
    body: dict[str, Any] = {"lists": items}
    if href is not None:
        body["_links"] = {"next": {"href": href}}
    return Answer(200, body)


def test_pages_are_read_to_the_last(bench: Bench) -> None:
    bench.server.on(
        "/v3/contact_lists",
        page([{"list_id": "1"}], "/v3/contact_lists?cursor=bGltaXQ9MQ%3D%3D&limit=9"),
        page([{"list_id": "2"}], f"{bench.server.url}/internal/v3/lists?cursor=c2"),
        Answer(200, {"lists": [], "_links": None}),
    )
    found = list(bench.client.pages("/contact_lists", "lists", {"limit": 1}))
    assert found == [[{"list_id": "1"}], [{"list_id": "2"}], []]
    assert [request.path for request in bench.server.requests] == ["/v3/contact_lists"] * 3
    queries = [request.query for request in bench.server.requests]
    assert queries == [{"limit": ["1"]}, {"cursor": ["bGltaXQ9MQ=="]}, {"cursor": ["c2"]}]


@pytest.mark.parametrize("links", [{}, {"next": None}, {"next": {}}, {"self": {"href": "/x"}}])
def test_no_link_is_the_last_page(bench: Bench, links: Any) -> None:
    bench.server.on("/v3/", Answer(200, {"lists": [], "_links": links}))
    assert list(bench.client.pages("/contact_lists", "lists")) == [[]]


@pytest.mark.parametrize(
    "href",
    [
        "https://evil.example/v3/contact_lists?cursor=c1",
        "//evil.example/v3/contact_lists?cursor=c1",
        "https://127.0.0.1/v3/contact_lists?cursor=c1",
        "ftp:/v3/contact_lists?cursor=c1",
    ],
)
def test_a_link_to_another_host_is_refused(bench: Bench, href: str) -> None:
    bench.server.on("/v3/", page([], href))
    with pytest.raises(DestinationError, match="another host"):
        list(bench.client.pages("/contact_lists", "lists"))
    assert bench.calls.made == 1


@pytest.mark.parametrize(
    "href", ["/v3/contact_lists", "/v3/x?cursor=", "?cursor=1&cursor=2", 7, []]
)
def test_a_link_without_a_cursor_is_refused(bench: Bench, href: Any) -> None:
    bench.server.on("/v3/", Answer(200, {"lists": [], "_links": {"next": {"href": href}}}))
    if not href:
        assert list(bench.client.pages("/contact_lists", "lists")) == [[]]
        return
    with pytest.raises(DestinationError):
        list(bench.client.pages("/contact_lists", "lists"))


def test_pages_in_a_circle_end(bench: Bench) -> None:
    circle = page([], "/v3/contact_lists?cursor=c1")
    bench.server.on("/v3/", circle, circle)
    with pytest.raises(DestinationError, match="circle"):
        list(bench.client.pages("/contact_lists", "lists"))


@pytest.mark.parametrize("body", [{}, {"lists": {}}, {"lists": ["1"]}, [], {"error_key": "x"}])
def test_a_page_of_the_wrong_shape_is_no_empty_page(bench: Bench, body: Any) -> None:
    bench.server.on("/v3/", *[Answer(200, body)] * 5)
    with pytest.raises(UnavailableError, match="cannot be understood"):
        list(bench.client.pages("/contact_lists", "lists"))


# Deleting


def test_deleting_again_after_a_lost_answer_is_done(bench: Bench) -> None:
    bench.server.on("/v3/", fault("reset"), Answer(404))
    bench.client.delete("/contacts/1")
    assert bench.calls.made == 2


def test_deleting_what_is_not_there(bench: Bench) -> None:
    bench.server.on("/v3/", Answer(204), Answer(404))
    bench.client.delete("/contacts/1")
    with pytest.raises(NotFoundError):
        bench.client.delete("/contacts/1")


# Addresses and certificates


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("https://api.cc.email/v3/", "https://api.cc.email/v3"),
        ("http://127.0.0.1:80/v3", "http://127.0.0.1:80/v3"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://localhost:8080/v3", "http://localhost:8080/v3"),
    ],
)
def test_addresses_that_may_be_called(url: str, whole: str) -> None:
    assert require_https(url, "api_url") == whole


@pytest.mark.parametrize(
    "url",
    [
        "http://api.cc.email/v3",
        "http://127.0.0.1.evil.example/v3",
        "http://localhost.evil.example/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://localhost@evil.example/",
        "https://jane:secret@api.cc.email/v3",
        "https://api.cc.email/v3?token=1",
        "ftp://api.cc.email",
        "api.cc.email/v3",
        "https://",
        "https://[::1/v3",
        "https://api.cc.email:port/",
        "",
    ],
)
def test_addresses_that_may_not_be_called(url: str) -> None:
    with pytest.raises(JobError, match="api_url") as raised:
        require_https(url, "api_url")
    assert raised.value.exit_code == 2
    assert "secret" not in str(raised.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine that nobody has signed, with its key."""
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
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(form))
    return file


@pytest.fixture
def tls_server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = Server()
    server.secure(context)
    with closing(server):
        yield server


@pytest.mark.parametrize("variable", ["PYTHONHTTPSVERIFY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_no_variable_turns_the_check_of_certificates_off(
    tls_server: Server, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "" if variable.endswith("BUNDLE") else "0")
    untrusted = pytest.raises(DestinationError, match="certificate of localhost cannot be trusted")
    wire = Wire(f"https://localhost:{tls_server.port}", option="api_url")
    with closing(wire), untrusted:
        wire.send("POST", "/x", bearer=TOKEN)
    assert tls_server.requests == []


def test_certificates_of_ones_own_can_be_named(
    tls_server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    tls_server.on("/x", GOOD)
    with closing(Wire(f"https://localhost:{tls_server.port}", option="api_url")) as wire:
        assert wire.send("GET", "/x").status == 200


def test_named_certificates_that_are_not_there(
    tls_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    wire = Wire(f"https://localhost:{tls_server.port}", option="api_url")
    with closing(wire), pytest.raises(DestinationError, match="REQUESTS_CA_BUNDLE"):
        wire.send("GET", "/x")


def test_nobodys_netrc_and_no_proxy_gets_into_a_call(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login jane password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    bench.server.on("/v3/", GOOD)
    bench.client.get("/contacts")
    assert bench.server.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"
