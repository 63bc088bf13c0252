"""Sources on a web server: a real one, on a loopback address, that can be told how to behave."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from file_servers import Page, Web

from exportkit.engines.stores import landing, remote
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "jane@example.com"
PEOPLE = "id,email\n" + "".join(f"{n},p{n}@example.com\n" for n in range(2000))


@pytest.fixture
def web(monkeypatch) -> Iterator[Web]:
    monkeypatch.setattr("exportkit.engines.stores.web._PATIENCE", 0.001)
    with Web() as web:
        yield web


def complaint(workspace, **keys) -> str:
    with pytest.raises(SourceError) as caught:
        workspace.texts(**keys)
    said = str(caught.value)
    assert SECRET not in said
    assert "hunter2" not in said
    return said


def count(workspace, url: str) -> int:
    with workspace.open(file=url) as opened:
        assert opened.complaints() == []
        return opened.count(["all"])["all"]


@pytest.mark.parametrize("parts", [True, False], ids=["parts", "no-parts"])
@pytest.mark.parametrize("length", [True, False], ids=["length", "no-length"])
@pytest.mark.parametrize(
    ("etag", "modified"),
    [('"1"', 1e9), ('W/"1"', 1e9), (None, 1e9), ('"1"', None), (None, None)],
    ids=["both", "weak", "no-etag", "no-time", "neither"],
)
def test_whatever_a_server_says_of_a_file(
    workspace, web, monkeypatch, parts, length, etag, modified
):
    monkeypatch.setattr(remote, "BEGINNING", 5_000)
    monkeypatch.setattr(landing, "PIECE", 20_000)
    page = Page(PEOPLE.encode(), parts=parts, length=length, etag=etag, modified=modified)
    web.pages["/p.csv"] = page
    with workspace.open(file=f"{web.url}/p.csv") as opened:
        assert opened.complaints() == []
        first = opened.fingerprint()
        written = datetime.fromtimestamp(modified, tz=UTC) if modified else None
        assert opened.modified_at == written
        assert opened.count(["all"]) == {"all": 2000}
        assert opened.fingerprint() == first
    with workspace.open(file=f"{web.url}/p.csv") as opened:
        assert opened.fingerprint() == first
    page.body = page.body.replace(b"p77@", b"q77@")
    page.etag = etag and etag.replace("1", "2")
    page.modified = modified and modified + 1
    with workspace.open(file=f"{web.url}/p.csv") as opened:
        assert opened.fingerprint() != first


def test_only_the_beginning_is_fetched_until_rows_are_asked_for(workspace, web, monkeypatch):
    monkeypatch.setattr(remote, "BEGINNING", 5_000)
    web.pages["/p.csv"] = Page(PEOPLE.encode())
    with workspace.open(file=f"{web.url}/p.csv") as opened:
        assert opened.complaints() == []
        assert ("/p.csv", "bytes=0-4999") in web.asked
        assert len(web.asked) == 2


def test_parquet_in_parts(workspace, web, monkeypatch, tmp_path):
    monkeypatch.setattr(remote, "BEGINNING", 10)
    columns = {"id": range(9), "email": ["a"] * 9}
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    web.pages["/p.parquet"] = Page((tmp_path / "p.parquet").read_bytes())
    assert count(workspace, f"{web.url}/p.parquet") == 9
    web.pages["/p.parquet"].parts = False
    assert count(workspace, f"{web.url}/p.parquet") == 9


def test_a_query_is_sent_and_not_shown(workspace, web):
    web.pages["/p.csv"] = Page(PEOPLE.encode())
    assert count(workspace, f"{web.url}/p.csv?sig=hunter2") == 2000
    assert web.asked[0][0] == "/p.csv?sig=hunter2"
    said = complaint(workspace, file=f"{web.url}/q.csv?sig=hunter2")
    assert f"there is no file {web.url}/q.csv (a web server does not list" in said


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (Page(b"", 403), "the server refuses (403)"),
        (Page(b"", 401), "the server refuses (401)"),
        (Page(b"", 418), "the server answered 418"),
        (Page(b"<html>", headers={"Content-Type": "text/html"}), "with a web page"),
        (Page(b"", 302, {"Location": "http://example.com/p.csv"}), "redirects to http://"),
        (Page(b"", 302, {"Location": "/p.csv"}), "redirects in a circle"),
        (Page(b""), "is empty (0 bytes)"),
        (Page(b"PAR1"), "it is parquet"),
    ],
)
def test_what_a_server_may_answer(workspace, web, page, said):
    web.pages["/p.csv"] = page
    assert said in complaint(workspace, file=f"{web.url}/p.csv")


def test_a_redirect_is_followed(workspace, web):
    web.pages["/p.csv"] = Page(b"", 302, {"Location": "/there/p.csv"})
    web.pages["/there/p.csv"] = Page(PEOPLE.encode())
    assert count(workspace, f"{web.url}/p.csv") == 2000


def test_a_server_that_is_busy_for_a_moment(workspace, web):
    web.pages["/p.csv"] = Page(PEOPLE.encode(), fail_times=2)
    assert count(workspace, f"{web.url}/p.csv") == 2000


@pytest.mark.parametrize("parts", [True, False])
def test_a_download_that_is_cut_off(workspace, web, parts):
    web.pages["/p.csv"] = Page(PEOPLE.encode(), parts=parts, cut=1000)
    assert "the connection broke off" in complaint(workspace, file=f"{web.url}/p.csv")


def test_a_server_that_is_gone(workspace, web, monkeypatch):
    monkeypatch.setattr(remote, "BEGINNING", 100)
    web.pages["/p.csv"] = Page(PEOPLE.encode())
    with workspace.open(file=f"{web.url}/p.csv") as opened:
        web.pages.clear()
        with pytest.raises(SourceError, match="taken away while it was read"):
            opened.count(["all"])
    with pytest.raises(SourceError, match="cannot be reached"):
        workspace.texts(file="http://127.0.0.1:1/p.csv")


@pytest.mark.parametrize("parts", [True, False])
@pytest.mark.parametrize("change", [{"etag": '"2"'}, {"modified": 1.0}], ids=["etag", "time"])
def test_a_file_that_changes_while_it_is_read(workspace, web, monkeypatch, parts, change):
    monkeypatch.setattr(remote, "BEGINNING", 100)
    web.pages["/p.csv"] = Page(PEOPLE.encode(), parts=parts)
    with workspace.open(file=f"{web.url}/p.csv") as opened:
        web.pages["/p.csv"] = Page(PEOPLE.encode(), parts=parts, **change)
        with pytest.raises(SourceError, match="changed while it was read"):
            opened.count(["all"])


def test_in_the_clear_only_on_this_machine(workspace):
    assert "is http://" in complaint(workspace, file="http://example.com/p.csv")
    assert "names no server" in complaint(workspace, file="https:///p.csv")


def certificate(folder) -> Any:
    """A certificate for localhost that nobody has signed, and its key, in one file."""
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
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = folder / "server.pem"
    path.write_bytes(made.public_bytes(text) + key.private_bytes(text, *plain))
    return path


def test_https_and_its_certificate(workspace, web, tmp_path, monkeypatch):
    path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    web.secure(context)
    web.pages["/p.csv"] = Page(PEOPLE.encode())
    url = web.url.replace("http://127.0.0.1", "https://localhost")
    assert "its certificate is not trusted" in complaint(workspace, file=f"{url}/p.csv")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    assert count(workspace, f"{url}/p.csv") == 2000


def test_a_password_by_reference(workspace, web, monkeypatch):
    monkeypatch.setenv("PASSWORD", "hunter2")
    web.pages["/p.csv"] = Page(PEOPLE.encode())
    url = web.url.replace("http://", "http://crm:${env:PASSWORD}@")
    assert count(workspace, f"{url}/p.csv") == 2000
    assert web.signed_in == "Basic Y3JtOmh1bnRlcjI="
    assert "there is no file http://127" in complaint(workspace, file=f"{url}/q.csv")
