"""Calling into a plugin so that whatever it does stays its own.

The contract's errors pass, without the people and secrets that they may quote. Everything else
becomes a `PluginError` that names the plugin, the kind of failure and the line, but never repeats
the failure's text or keeps it as a cause: the text of a failure inside a plugin may quote a
profile.
"""

from __future__ import annotations

import errno
import os
import threading
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from exportkit.errors import (
    BusyError,
    DestinationError,
    ExportkitError,
    InterruptedRun,
    JobError,
    JournalError,
    PermissionDeniedError,
    PluginError,
)
from exportkit.host.veil import stdout_is_the_hosts, veil_as_raised
from exportkit.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from exportkit.host.plugin import Plugin

T = TypeVar("T")

LENT = (BusyError, JournalError, PermissionDeniedError)
"""What the host's own services raise when a plugin uses them: kept credentials, counted calls."""
PASSED = (DestinationError, JobError, PluginError, InterruptedRun, *LENT)


class WrongAnswer(Exception):  # noqa: N818 - a finding about a plugin, turned into PluginError
    """What a hook answered is not what the contract asks for. Never carries a profile's value."""


class _Place:
    """The working directory while any thread is inside a plugin: put back when one leaves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = ""

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = _here()
            self._inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._before and _here() != self._before:
                os.chdir(self._before)


_place = _Place()


@contextmanager
def quiet() -> Iterator[None]:
    """Send what is printed to stderr, redacted, and put the working directory back.

    stdout is the host's: `--json` prints one document there and nothing else.
    """
    with stdout_is_the_hosts, _place:
        yield


def contained(plugins: Sequence[Plugin], hook: str, call: Callable[[], T]) -> T:
    """Answer `call()`; the first of `plugins` is to blame unless the failing frame is another's.

    Raises what the contract lets plugins raise, and `PluginError` for everything else, SystemExit
    included. KeyboardInterrupt alone passes.
    """

    def call_quietly() -> T:
        with quiet():
            return call()

    return isolated(plugins, hook, call_quietly)


def isolated(plugins: Sequence[Plugin], hook: str, call: Callable[[], T]) -> T:
    """As `contained`, for what may print: a plugin's own command."""
    failure: ExportkitError
    try:
        return call()
    except PASSED as error:
        # What the plugin caught before it raised this may hold a request, and so a profile.
        error.__cause__ = error.__context__ = None
        veil_as_raised(error)
        raise
    except WrongAnswer as answer:
        failure = PluginError(f"{plugins[0]}: {hook} {answer}", hint=_authors(plugins[0]))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - isolation is the point here
        failure = _failure(plugins, hook, error)
    raise failure  # outside of the handlers, so that it carries no context


# What the machine refuses to any program, and what helps: the plugin is not at fault.
_SYSTEM = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room there, then run the job again"
    ),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS),
        "the user who runs exportkit has to be able to write there",
    ),
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP), "choose another path"
    ),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "allow more open files, see `ulimit -n`"),
    errno.EIO: "look after that disk, then run the job again",
}


def _failure(plugins: Sequence[Plugin], hook: str, error: BaseException) -> ExportkitError:
    culprit, where = _culprit(plugins, error)
    kind = type(error).__name__
    # Only Python's own classes: ssl and others number their failures in another way.
    if isinstance(error, OSError) and error.errno and type(error).__module__ == "builtins":
        refusal = os.strerror(error.errno)
        if error.errno in _SYSTEM:
            place = f" ({redact(str(error.filename))})" if error.filename else ""
            message = f"{culprit.name}: {refusal.lower()}{place}"
            return DestinationError(message, hint=_SYSTEM[error.errno])
        kind = f"{kind} ({refusal})"
    message = f"{culprit} failed in {hook}: {kind}{f' at {where}' if where else ''}"
    return PluginError(message, hint=_authors(culprit))


def _culprit(plugins: Sequence[Plugin], error: BaseException) -> tuple[Plugin, str]:
    """The plugin whose frame is the innermost, and that frame as `module:line`."""
    found = plugins[0], ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        for plugin in plugins:
            if module == plugin.module or module.startswith(f"{plugin.module}."):
                found = plugin, f"{module}:{line}"
    return found


def _authors(plugin: Plugin) -> str:
    return f"this is a fault of {plugin.distribution}: update it, or tell its authors"


def _here() -> str:
    """The working directory; empty if it has been removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - called twice around every hook: no Path is needed
    except FileNotFoundError:
        return ""
