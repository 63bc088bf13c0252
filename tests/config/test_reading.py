from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from exportkit.config.reading import MAX_BYTES, read_text
from exportkit.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def error_of(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read_text(path, "jobs/a.yaml")
    return caught.value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.yaml"


def test_byte_order_mark_is_taken_off(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa9\n")
    assert read_text(path, "a") == "a: é\n"


def test_not_utf8_says_where(path: Path) -> None:
    path.write_bytes("a: é\nb: é".encode() + b"\xe9\n")
    assert str(error_of(path)).startswith(
        "jobs/a.yaml:2:5: found the byte 0xe9, which is not UTF-8 text"
    )


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf16_is_named(path: Path, encoding: str) -> None:
    path.write_bytes("\ufeffa: 1".encode(encoding))
    assert error_of(path).message == "found UTF-16 text, expected UTF-8"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"a: 1\nb: x\x00", "2:5: found a NUL byte"),
        (b"a: \x07", "1:4: found the control character U+0007"),
        ("a: \ufffe".encode(), "1:4: found the control character U+FFFE"),
        (b"\x1b[31m", "1:1: found the control character U+001B"),
    ],
)
def test_unprintable(path: Path, data: bytes, found: str) -> None:
    path.write_bytes(data)
    assert str(error_of(path)).startswith(f"jobs/a.yaml:{found}")


def test_too_large_is_refused_before_it_is_read(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5_000_000_000)
    assert error_of(path).message == "the file has 5,000,000,000 bytes, expected at most 1,000,000"


def test_largest(path: Path) -> None:
    path.write_bytes(b"#" * MAX_BYTES)
    assert len(read_text(path, "a")) == MAX_BYTES


def test_missing(path: Path) -> None:
    assert str(error_of(path)) == "jobs/a.yaml:1:1: there is no such file"


def test_folder(path: Path) -> None:
    path.mkdir()
    assert error_of(path).message == "found a folder, expected a file"


def test_pipe_is_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    assert error_of(path).message == "found a device or pipe, expected a file"


def test_link_to_itself(path: Path) -> None:
    path.symlink_to(path)
    assert error_of(path).message.startswith("the file cannot be read: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(path: Path) -> None:
    path.write_text("a: 1")
    path.chmod(0)
    assert error_of(path).message == "the file may not be read by this user"


def test_impossible_name(tmp_path: Path) -> None:
    assert "cannot be read" in error_of(tmp_path / "a\0b").message
    assert "cannot be read" in error_of(tmp_path / ("a" * 300)).message
