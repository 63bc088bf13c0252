"""What the machine refuses comes out of any hook as that, and nothing that only looks like it."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

import pytest

from exportkit import DestinationError, PluginError
from exportkit.host.containment import contained
from exportkit.host.plugin import Plugin

from .conftest import SOUND, Site

if TYPE_CHECKING:
    from pathlib import Path

    from exportkit import Connection, Target

MILL = Plugin("mill", "exportkit-mill", "1.2.3", "exportkit_mill")
FINISH = """
    @hookimpl
    def finish(session, target):
        {}
"""


def refused(error: BaseException) -> DestinationError | PluginError:
    """What becomes of an error that a hook raises."""

    def fail() -> None:
        raise error

    with pytest.raises((DestinationError, PluginError)) as caught:
        contained([MILL], "push", fail)
    return caught.value


@pytest.mark.parametrize("code", [errno.ENFILE, errno.ELOOP, errno.ENOSPC])
def test_what_the_machine_refuses_has_a_hint_and_no_cause(code: int) -> None:
    found = refused(OSError(code, "ann@example.com"))
    assert type(found) is DestinationError
    assert found.message == f"mill: {os.strerror(code).lower()}"
    assert found.hint
    assert found.exit_code == 1
    assert found.__cause__ is None


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EINVAL, errno.EBADF, errno.EEXIST])
def test_what_a_plugin_should_have_seen_to_is_its_fault(code: int) -> None:
    found = refused(OSError(code, "ann@example.com"))
    assert isinstance(found, PluginError)
    assert os.strerror(code) in found.message


def test_numbers_of_libraries_are_not_the_system_s() -> None:
    """Their errors are OSErrors too, but EPERM is not what a 1 means there."""

    class LibraryError(OSError):
        pass

    for error in (socket.gaierror(errno.EACCES, "no"), LibraryError(errno.EPERM, "no")):
        found = refused(error)
        assert isinstance(found, PluginError)
        assert f"failed in push: {type(error).__name__}" in found.message


@pytest.mark.parametrize("name", [b"/out/a.csv", 7, None])
def test_a_file_may_be_named_in_any_way_that_python_does(name: object) -> None:
    error = PermissionError(errno.EACCES, "no")
    error.filename = name
    assert refused(error).message.startswith("mill: permission denied")


def test_a_name_of_the_file_with_an_address_in_it_is_redacted() -> None:
    found = refused(PermissionError(errno.EACCES, "no", "/out/ann@example.com/a.csv"))
    assert "example.com" not in str(found)


def test_a_session_that_cannot_be_opened_or_committed(
    site: Site, connection: Connection, target: Target, tmp_path: Path
) -> None:
    there = tmp_path / "folder"
    there.mkdir()
    opening = f"open({str(there)!r}, 'wb')"
    site.install(SOUND.replace('yield {"seen": []}', f"yield {opening}"))
    site.install(SOUND + FINISH.format(opening), name="press", module="exportkit_press")
    host = site.load()
    assert host.broken == ()
    with (
        pytest.raises(DestinationError, match=r"^mill: is a directory"),
        host.destination("mill").connect(connection),
    ):
        pass
    press = host.destination("press")
    with (
        press.connect(connection) as session,
        pytest.raises(DestinationError, match=r"^press: is a directory"),
    ):
        press.finish(session, target)


def test_a_destination_that_cannot_describe_itself_for_lack_of_files_is_told(site: Site) -> None:
    body = f"raise OSError({errno.EMFILE}, 'no')"
    site.install(SOUND.replace('return Description("Paper mill")', body))
    (broken,) = site.load().broken
    assert "too many open files" in broken.reason
