"""One key of a reviewed file is changed; every other character stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exportkit.config.documents import Document, read_document
from exportkit.config.editing import remove_key, set_key
from exportkit.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

AGREED = {"agreed_by": "jane@example.com", "agreed_on": "2026-11-20"}
LINE = "consent: {agreed_by: jane@example.com, agreed_on: 2026-11-20}"
AFTER = ("version", "name", "type", "use")


def written(tmp_path: Path, text: str) -> Document:
    path = tmp_path / "marketing.yaml"
    path.write_bytes(text.encode())
    return read_document(path, "connections/marketing.yaml")


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("version: 1\nname: m\ntype: t\n", f"version: 1\nname: m\ntype: t\n{LINE}\n"),
        ("version: 1\nname: m", f"version: 1\nname: m\n{LINE}\n"),
        (
            "# top\nversion: 1  # one\n\nuse: [admin]   # who\n\n# options\noptions:\n  a: 1\n",
            f"# top\nversion: 1  # one\n\nuse: [admin]   # who\n{LINE}\n\n# options\noptions:\n"
            "  a: 1\n",
        ),
        (
            "use:\n  - admin\n  # or\n  - contributor\nversion: 1\nname: m\n",
            f"use:\n  - admin\n  # or\n  - contributor\nversion: 1\nname: m\n{LINE}\n",
        ),
        (
            "version: 1\nconsent:\n  agreed_by: joe\n  agreed_on: 2020-01-01\n\n# next\nname: m\n",
            f"version: 1\n{LINE}\n\n# next\nname: m\n",
        ),
        (
            "version: 1\r\nname: m\r\noptions: {}\r\n",
            f"version: 1\r\nname: m\r\n{LINE}\r\noptions: {{}}\r\n",
        ),
        ("\ufeffversion: 1\nname: Zoë\n", f"\ufeffversion: 1\nname: Zoë\n{LINE}\n"),
        ("---\nversion: 1\nname: m\n...\n", f"---\nversion: 1\nname: m\n{LINE}\n...\n"),
    ],
)
def test_a_key_is_set(before: str, expected: str, tmp_path: Path) -> None:
    document = written(tmp_path, before)
    set_key(document, "consent", AGREED, AFTER)
    assert document.path.read_bytes().decode() == expected
    assert read_document(document.path, "x").data["consent"] == AGREED


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (
            "version: 1\nconnection: files  # where\nmode: full\n",
            "version: 1\nmode: full\n",
        ),
        (
            "version: 1\nconnection:\n  files\n\n# the list\ndestination: {}\n",
            "version: 1\n\n# the list\ndestination: {}\n",
        ),
        ("version: 1\nconnection: files", "version: 1\n"),
        ("connection: files\r\nversion: 1\r\n", "version: 1\r\n"),
        ("version: 1\n? connection\n: files\nmode: full\n", "version: 1\nmode: full\n"),
        ("version: 1\nconnection: &c files\nmap: {a: *c}\n", None),
        ("{version: 1, connection: files}\n", None),
    ],
)
def test_a_key_is_removed(before: str, expected: str | None, tmp_path: Path) -> None:
    document = written(tmp_path, before)
    if expected is None:
        with pytest.raises(ConfigError, match="no line of it can be changed alone") as raised:
            remove_key(document, "connection")
        assert "take `connection:` out of it by hand" in (raised.value.hint or "")
        assert document.path.read_bytes().decode() == before
    else:
        remove_key(document, "connection")
        assert document.path.read_bytes().decode() == expected


@pytest.mark.parametrize(
    "name", ["jane", "no", "1e5", "2026-13-45", "a: b # c", 'x "y"', "Zoë", "null", "true", "a, b}"]
)
def test_what_was_written_is_what_is_read(name: str, tmp_path: Path) -> None:
    document = written(tmp_path, "version: 1\n")
    set_key(document, "consent", {"agreed_by": name}, AFTER)
    assert read_document(document.path, "x").text(("consent", "agreed_by")) == name


def test_mode_and_link_stay(tmp_path: Path) -> None:
    document = written(tmp_path, "version: 1\nconnection: files\n")
    document.path.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(document.path)
    remove_key(read_document(link, "link.yaml"), "connection")
    assert link.is_symlink()
    assert document.path.stat().st_mode & 0o777 == 0o640
    assert document.path.read_text() == "version: 1\n"


def test_a_file_that_somebody_changed_meanwhile_is_left(tmp_path: Path) -> None:
    document = written(tmp_path, "version: 1\nconnection: files\n")
    document.path.write_text("version: 1\nconnection: other\n")
    with pytest.raises(ConfigError, match="was changed while"):
        remove_key(document, "connection")
    assert document.path.read_text() == "version: 1\nconnection: other\n"
