"""One run of a Singer target: messages go in, states come out, and its end is noticed."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from exportkit import PluginError

from . import messages

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

READ = 65_536
LONGEST_LINE = 1_000_000
LAST_WORDS = 8_192
"""Bytes of stderr that are kept."""
_SHOWN = 5
_CHATTER = re.compile(r"\b(DEBUG|INFO)\b|^\s|^Traceback \(")
_EXCEPTION = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?::|$)")
_KIND = re.compile(r"^((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Timeout|Violation))\b")


class Sync:
    """A target at work. Give it messages with `send`, then `end` it; `kill` it at any time.

    Nothing is raised when the program fails: `confirmed` tells whether it has said back the state
    that `end` writes, `cut_short` that it did not take all, and `failure` how it ended. `timeout`
    is in seconds; `hold` is a descriptor that the program keeps open as long as it runs.
    """

    def __init__(
        self, program: Path, config: Path, folder: Path, stream: str, timeout: float, hold: int
    ) -> None:
        self.name = program.name
        self.confirmed = False
        self.cut_short = False
        self._stream = stream
        self._mark = ""
        self._timeout = timeout
        self._said = bytearray()
        self._line = bytearray()
        self._odd_lines = 0
        self._gave_up = ""
        try:
            self._process = subprocess.Popen(
                [program, "--config", config],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                pass_fds=(hold,),
                start_new_session=True,  # a Ctrl-C is for exportkit, which lets it finish
            )
        except OSError as error:
            raise PluginError(
                f"the Singer target {program} cannot be started: {error.strerror}",
                hint="if it is a script, the interpreter of its first line may be gone: install "
                "it again",
            ) from None
        self.pid = self._process.pid
        self._files = selectors.DefaultSelector()
        for file, take in ((self._out, self._hear), (self._err, self._overhear)):
            os.set_blocking(file.fileno(), False)
            self._files.register(file, selectors.EVENT_READ, take)
        os.set_blocking(self._in.fileno(), False)

    @property
    def failure(self) -> str:
        """How the program ended, if not as it should; for people, and without their data."""
        code, odd = self._process.returncode, self._odd_lines
        if self._gave_up:
            return self._gave_up
        if code is not None and code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        if code:
            return f"ended with exit code {code}"
        if self.confirmed:
            return ""
        wrote = f": the {odd} lines that it wrote to stdout are no states" if odd else ""
        when = " before it had all rows" if self.cut_short else ""
        return f"ended well{when}, but confirmed nothing{wrote}"

    def send(self, data: Iterable[bytes | memoryview]) -> None:
        """Write messages; less of them if the program ends before."""
        for part in data:
            self._write(memoryview(part))
            if self.cut_short:
                return

    def end(self, mark: str) -> None:
        """Ask for a confirmation under this mark, close the input, and wait for the program's end.

        There is one state in a sync, its last message. Some targets say a state back before they
        have read what follows, some leave with success when they are asked to stop half-way.
        """
        self._mark = mark
        self.send([messages.state(self._stream, mark)])
        with suppress(OSError):
            self._in.close()
        since = time.monotonic()
        while self._process.poll() is None:
            if self._turn():
                since = time.monotonic()
            elif time.monotonic() - since > self._timeout:
                self._give_up("did not end" if self.cut_short else "had all rows and did not end")
        while self._turn(0):
            pass

    def kill(self) -> None:
        """End the program, and whatever it has started, at once; nothing if it is gone."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        self._files.close()
        for file in (self._in, self._out, self._err):
            with suppress(OSError):
                file.close()

    def last_words(self) -> str:
        """What the program wrote to stderr last: what it failed with, if that can be told.

        It may quote people: show it as an error, which is veiled.
        """
        lines = self._last_lines()
        telling = [line for line in lines if not _CHATTER.search(line)] or lines
        named = [number for number, line in enumerate(telling) if _EXCEPTION.match(line)]
        return "\n".join(telling[named[-1] :][:_SHOWN] if named else telling[-_SHOWN:])

    def last_failure(self) -> str:
        """The kind of failure that the program named last, such as `ValueError`; or nothing."""
        named = [match[1] for line in self._last_lines() if (match := _KIND.match(line))]
        return named[-1] if named else ""

    def _last_lines(self) -> list[str]:
        lines = self._said.decode("utf-8", "replace").splitlines()
        if len(self._said) == LAST_WORDS:  # the first is a part of one
            del lines[0]
        return [line for line in lines if line.strip()]

    @property
    def _in(self) -> IO[bytes]:
        assert self._process.stdin
        return self._process.stdin

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout
        return self._process.stdout

    @property
    def _err(self) -> IO[bytes]:
        assert self._process.stderr
        return self._process.stderr

    def _write(self, data: memoryview) -> None:
        since = time.monotonic()
        self._files.register(self._in, selectors.EVENT_WRITE, None)
        try:
            while data and self._process.poll() is None:
                for key, _ in self._files.select(1.0):
                    if key.data is not None:
                        self._read(key)
                        continue
                    data = data[os.write(self._in.fileno(), data) :]
                    since = time.monotonic()
                if time.monotonic() - since > self._timeout:
                    self._give_up("took no rows")
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.cut_short |= bool(data)
        self._files.unregister(self._in)

    def _give_up(self, what: str) -> None:
        self._gave_up = f"{what} for {self._timeout:g} seconds, and was ended"
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def _turn(self, seconds: float = 0.1) -> bool:
        """Read what there is to read, waiting so long for it; whether there was anything."""
        if not self._files.get_map():  # it has closed its streams, and is still there
            time.sleep(seconds)
            return False
        heard = 0
        for key, _ in self._files.select(seconds):
            heard += self._read(key)
        return heard > 0

    def _read(self, key: selectors.SelectorKey) -> int:
        data = os.read(key.fd, READ)
        if data:
            key.data(data)
        else:
            self._files.unregister(key.fileobj)
        return len(data)

    def _hear(self, data: bytes) -> None:
        self._line += data
        *lines, rest = bytes(self._line).split(b"\n")
        self._line[:] = rest[-LONGEST_LINE:]
        for line in filter(bytes.strip, lines):
            try:
                self.confirmed |= messages.confirmed(line, self._stream) == self._mark
            except ValueError:
                self._odd_lines += 1

    def _overhear(self, data: bytes) -> None:
        self._said += data
        del self._said[:-LAST_WORDS]
