"""Everything that a plugin says, as it says it: before the host takes people and secrets out."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from exportkit.hookspecs import hookimpl
from exportkit.host.inspection import SPECS

if TYPE_CHECKING:
    from collections.abc import Collection, Generator

    from exportkit.records import Rejection

LEAST = 4
"""Letters; what is shorter may stand in any text."""


@dataclass(frozen=True, slots=True)
class Said:
    """Words of a plugin. `how` is: stdout, stderr, a log, an error, a reason."""

    hook: str
    how: str
    text: str


class Ear:
    """A plugin that answers no hook and wraps all: it notes what those inside of it say."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.swallowed = False
        """Whether closing a session has kept an error from going on."""
        self.raised: BaseException | None = None
        """What the last call raised, as it was."""
        self.failure: BaseException | None = None
        """The last thing that any call raised."""

    def listen(self, hook: str) -> Generator[None, Any, Any]:
        """The wrapper of every hook."""
        with self.listening(hook):
            answer = yield
            if isinstance(answer, Iterator):  # its code runs while it is read
                answer = list(answer)
        if isinstance(answer, AbstractContextManager) and hook == "connect":
            return _HeardManager(self, answer)
        for rejection in _rejections(answer):
            self.said.append(Said(hook, "reason", rejection.reason))
        return answer

    @contextmanager
    def listening(self, hook: str) -> Iterator[None]:
        """Note what is printed, logged and raised inside."""
        before, root = (sys.stdout, sys.stderr), logging.getLogger()
        out, err, level = _Tape(sys.stdout), _Tape(sys.stderr), root.level
        log = _Log()
        root.addHandler(log)
        root.setLevel(min(level, logging.INFO))
        sys.stdout, sys.stderr = out, err
        self.raised = None
        try:
            yield
        except BaseException as error:
            self.raised = self.failure = error
            self.said += [Said(hook, "error", text) for text in _words(error)]
            raise
        finally:
            sys.stdout, sys.stderr = before
            root.setLevel(level)
            root.removeHandler(log)
            heard = ("stdout", [out.words]), ("stderr", [err.words]), ("log", log.lines)
            self.said += [Said(hook, how, text) for how, texts in heard for text in texts if text]

    def leaks(self, values: Collection[str]) -> list[Said]:
        """What was said that has one of these values in it."""
        known = {spelled for value in values if len(value) >= LEAST for spelled in _ways(value)}
        return [said for said in self.said if any(value in said.text.casefold() for value in known)]


def _wrapper(hook: str) -> Any:
    def wrapper(self: Ear) -> Generator[None, Any, Any]:
        return (yield from self.listen(hook))

    return hookimpl(wrapper=True)(wrapper)


for _hook in SPECS:
    setattr(Ear, _hook, _wrapper(_hook))


class _HeardManager(AbstractContextManager[Any]):
    """A session's context manager, listened to while it opens and closes."""

    def __init__(self, ear: Ear, manager: AbstractContextManager[Any]) -> None:
        self._ear, self._manager = ear, manager

    def __enter__(self) -> Any:
        with self._ear.listening("connect"):
            return self._manager.__enter__()

    def __exit__(self, *about: Any) -> bool | None:
        with self._ear.listening("connect"):
            swallows = self._manager.__exit__(*about)
        self._ear.swallowed |= bool(swallows) and about[0] is not None
        return swallows


class _Tape(io.StringIO):
    """A stream that keeps what is written, for programs and bytes as well."""

    def __init__(self, instead_of: Any) -> None:
        super().__init__()
        self._instead_of = instead_of
        self._bytes = io.BytesIO()

    def fileno(self) -> int:
        """That of the stream it stands for, so that a child process can be given it."""
        return int(self._instead_of.fileno())

    @property
    def buffer(self) -> io.BytesIO:
        return self._bytes

    @property
    def words(self) -> str:
        return self.getvalue() + self._bytes.getvalue().decode("utf-8", "replace")


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def _words(error: BaseException) -> list[str]:
    notes = getattr(error, "__notes__", [])
    found = (str(error), getattr(error, "hint", None), *error.args, *notes)
    return [str(each) for each in found if each]


def _rejections(answer: Any) -> Iterator[Rejection]:
    """Those in any answer; what is none is the host's to complain of."""
    several = answer if isinstance(answer, list | tuple) else [answer]
    for each in several:
        delivery = getattr(each, "delivery", each)
        found = getattr(delivery, "rejections", ())
        for rejection in found if isinstance(found, Iterable) else ():
            if isinstance(getattr(rejection, "reason", None), str):
                yield rejection


def _ways(value: str) -> set[str]:
    """How a value may be spelled in a text: as it is, or as a part of an address."""
    bare = value.strip()
    return {each.casefold() for each in (bare, quote(bare), quote(bare, safe=""))}
