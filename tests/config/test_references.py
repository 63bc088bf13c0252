from __future__ import annotations

import sys
from types import ModuleType

import pytest

from exportkit.config.references import has_reference, malformed, resolve
from exportkit.errors import ConfigError


@pytest.fixture
def document(read):
    return read("version: 1\noptions:\n  one: a\n  list:\n    - x\n    - y\n")


def error_of(value, document, at=("options", "one")) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        resolve(value, document, at)
    return caught.value


def test_environment(document, monkeypatch) -> None:
    monkeypatch.setenv("PW", "s3:cr/et")
    value = {"url": "postgresql://crm:${env:PW}@db", "n": 5, "list": ["${env:PW}", None]}
    assert resolve(value, document, ("options",)) == {
        "url": "postgresql://crm:s3:cr/et@db",
        "n": 5,
        "list": ["s3:cr/et", None],
    }
    assert value["list"] == ["${env:PW}", None]


def test_what_was_resolved_is_not_resolved_again(document, monkeypatch) -> None:
    monkeypatch.setenv("PW", "${env:HOME}")
    assert resolve("${env:PW}", document, ()) == "${env:HOME}"


def test_unset_variable_says_where_and_what_is_near(document, monkeypatch) -> None:
    monkeypatch.setenv("CC_CLIENT_ID", "x")
    monkeypatch.delenv("CC_CLENT_ID", raising=False)
    error = error_of({"list": ["x", "${env:CC_CLENT_ID}"]}, document, ("options",))
    assert str(error) == (
        "file.yaml:6:7: options.list[1]: the environment variable CC_CLENT_ID is not set"
        " (did you mean CC_CLIENT_ID?)"
    )


def test_empty_variable_is_no_secret(document, monkeypatch) -> None:
    monkeypatch.setenv("PW", "")
    assert error_of("${env:PW}", document).message == "the environment variable PW is empty"


def test_file_starts_at_the_workspace(folder) -> None:
    from exportkit.config.workspace import open_workspace

    (folder / "token.txt").write_text("\ufeffgeheim\n", encoding="utf-8")
    connection = open_workspace().connection("marketing")
    assert resolve("<${file:token.txt}>", connection.document, ("options",)) == "<geheim>"


def test_file_starts_at_a_given_folder(document, tmp_path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "t").write_text("x")
    assert resolve("${file:t}", document, (), root=tmp_path / "other") == "x"
    assert resolve(f"${{file:{tmp_path}/other/t}}", document, ()) == "x"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "the file t cannot be read: No such file or directory"),
        (b"", "the file t is empty"),
        (b"\xe9", "the file t is not UTF-8 text"),
        (b"x" * 100_001, "the file t is longer than 100,000 characters"),
    ],
)
def test_file_of_no_use(document, tmp_path, data, message) -> None:
    if data is not None:
        (tmp_path / "t").write_bytes(data)
    assert error_of("${file:t}", document).message == message


def test_folder_as_file(document, tmp_path) -> None:
    (tmp_path / "t").mkdir()
    assert "cannot be read" in error_of("${file:t}", document).message


@pytest.mark.parametrize(
    "text", ["${HOME}", "${ENV:X}", "${env:}", "${}", "${env:A-B}", "${keyring:x}", "${file:}"]
)
def test_unknown_form(document, text: str) -> None:
    assert malformed(text) == text
    assert error_of(text, document).message.startswith(f"found {text}, expected ${{env:NAME}}")


@pytest.mark.parametrize("text", ["$5", "$env:X", "{env:X}", "${unclosed", "a$"])
def test_no_reference(document, text: str) -> None:
    assert not has_reference(text)
    assert resolve(text, document, ()) == text


def test_keyring_that_is_not_installed(document, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert error_of("${keyring:cc/token}", document).message == (
        "${keyring:...} needs the package keyring, which is not installed"
    )


@pytest.fixture
def keyring(monkeypatch):
    """A keyring of the same interface: the real one needs a desktop."""
    entries = {("my/service", "token"): "geheim"}

    class KeyringError(Exception):
        pass

    def get_password(service: str, name: str) -> str | None:
        if service == "locked":
            raise KeyringError("the secret is geheim")
        return entries.get((service, name))

    module, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    module.get_password = get_password  # type: ignore[attr-defined]
    errors.KeyringError = KeyringError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", module)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)


@pytest.mark.usefixtures("keyring")
def test_keyring(document) -> None:
    assert resolve("${keyring:my/service/token}", document, ()) == "geheim"
    missing = error_of("${keyring:my/service/tok}", document)
    assert missing.message == "the keyring has no entry 'tok' for 'my/service'"
    locked = error_of("${keyring:locked/token}", document)
    assert locked.message == "the keyring cannot be used (KeyringError)"
    assert "geheim" not in str(locked)
