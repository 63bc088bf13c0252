"""Standard streams that a program started by cron can count on, whatever it was given."""

from __future__ import annotations

import io
import os
import sys
import threading
from typing import TextIO

from exportkit.redaction import redact

_LOST = "lost"


class _Patient(io.FileIO):
    """A stream that swallows what cannot be written: a full disk, or nothing there, ends no run.

    That its reader has gone is told as ever. `lost` says what went wrong first.
    """

    lost: OSError | None = None

    def write(self, data: object, /) -> int:
        """Write it all, or lose it all."""
        left = memoryview(data).cast("B")  # type: ignore[arg-type]
        size = len(left)
        try:
            while left:
                written: int | None = super().write(left)
                left = left[written or 0 :]
        except BrokenPipeError:
            raise
        except OSError as error:
            self.lost = self.lost or error
        return size


def make_patient() -> None:
    """Replace stdout and stderr by streams that never fail for the disk or the locale."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # Closed. The next file to be opened would take its place, and be written into.
            os.open(os.devnull, os.O_RDWR)
    sys.stderr = _patient(2, sys.stderr)
    sys.stdout = _patient(_stdout_of_ours(), sys.stdout, _Stdout)


def _stdout_of_ours() -> int:
    """stdout under a number that only we know: what else writes there gets to stderr.

    Others are libraries in C and the programs that a plugin starts. A person who looks on sees both
    anyway, so a terminal stays as it is.
    """
    if os.isatty(1):
        return 1
    ours = os.dup(1)
    os.dup2(2, 1)
    return ours


def lost(stream: TextIO) -> OSError | None:
    """Why something that was written to the stream is not there; None if all of it is."""
    error: OSError | None = getattr(stream, _LOST, lambda: None)()
    return error


class _Text(io.TextIOWrapper):
    def lost(self) -> OSError | None:
        raw = getattr(self.buffer, "raw", None)
        return raw.lost if isinstance(raw, _Patient) else None


class _Stdout(_Text):
    """Takes what the main thread writes: results. Of others, such as a plugin left behind, none."""

    def write(self, text: str, /) -> int:
        if threading.current_thread() is threading.main_thread():
            return super().write(text)
        sys.stderr.write(redact(text))
        return len(text)


def _patient(descriptor: int, before: TextIO | None, kind: type[_Text] = _Text) -> TextIO:
    encoding = (before.encoding if before else None) or "utf-8"
    raw = _Patient(descriptor, "w", closefd=False)
    # What a locale's encoding lacks is shown escaped, rather than ending the command.
    return kind(
        io.BufferedWriter(raw),
        encoding="utf-8" if encoding.lower() in ("ascii", "us-ascii") else encoding,
        errors="backslashreplace",
        line_buffering=raw.isatty() or descriptor == 2,
    )
