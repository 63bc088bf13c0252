"""What a plugin says, in errors and prints, without the people and secrets in it."""

from __future__ import annotations

import io
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exportkit.errors import ConfigError, ExportkitError
from exportkit.redaction import hand_over, redact, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TextIO

    import pyarrow as pa

    from exportkit.records import Batch, Rejection

_MANY = 20
"""What so many rows have in common, such as a constant of the job, tells nobody from another."""


def veil(error: ExportkitError, take_out: Callable[[str], str] = redact) -> None:
    """Take what is personal or secret out of an error, in place."""
    error.message = take_out(error.message)
    error.hint = take_out(error.hint) if error.hint else error.hint
    error.args = (error.message,)
    if isinstance(error, ConfigError):
        error.replace_complaints(
            replace(
                complaint,
                message=take_out(complaint.message),
                hint=take_out(complaint.hint) if complaint.hint else complaint.hint,
            )
            for complaint in error.complaints
        )
    if hasattr(error, "__notes__"):
        del error.__notes__


def veil_as_raised(error: ExportkitError) -> None:
    """As `veil`; what the host's own services raised keeps its words, but for secrets."""
    veil(error, without_secrets if _is_ours(error) else redact)


def veiled(rejections: Iterable[Rejection]) -> tuple[Rejection, ...]:
    """The rejections, with the people taken out of their reasons."""
    found = tuple(rejections)
    known = {reason: redact(reason) for reason in {rejection.reason for rejection in found}}
    return tuple(replace(each, reason=known[each.reason]) for each in found)


def hand_over_batch(batch: Batch) -> None:
    """Remember a batch that a plugin is given, for the words that come back."""
    hand_over(lambda: _texts(batch.data, batch.keys))


def hand_over_columns(columns: pa.RecordBatch) -> None:
    """Remember rows that a plugin is given."""
    hand_over(lambda: _texts(columns))


def _texts(columns: pa.RecordBatch, keys: pa.Array | None = None) -> Iterator[str]:
    import pyarrow.compute as pc

    for column in (*columns.columns, *([] if keys is None else [keys])):
        values = pc.unique(column).to_pylist()
        if len(values) > 1 or len(column) < _MANY:
            yield from (str(value) for value in values if value is not None)


def _is_ours(error: BaseException) -> bool:
    """Whether the host itself raised it, beneath the plugin."""
    module, at = "", error.__traceback__
    while at is not None:
        module, at = str(at.tb_frame.f_globals.get("__name__", "")), at.tb_next
    return module.startswith("exportkit.") and not module.startswith("exportkit.testing.")


class _Words(io.TextIOBase):
    """stderr for what a plugin prints, line by line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = ""
        self.buffer = _Bytes(self)

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):  # as any stream of text: who prints tries what it takes
            raise TypeError("text is written here, and bytes into `buffer`")
        *lines, self._begun = f"{self._begun}{text}".split("\n")
        for line in lines:
            self._stream.write(f"{redact(line)}\n")
        return len(text)

    def flush(self) -> None:
        if self._stream.closed:  # this one is let go of later than what it writes to
            return
        if self._begun:  # a question waits for its answer on the same line
            self._stream.write(redact(self._begun))
            self._begun = ""
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors


class _Bytes(io.RawIOBase):
    """The same for a plugin that prints bytes."""

    def __init__(self, words: _Words) -> None:
        self._words = words

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        content = bytes(data)
        self._words.write(content.decode("utf-8", "replace"))
        return len(content)

    def flush(self) -> None:
        self._words.flush()


class _Redirection:
    """stdout and stderr as a veiled stderr while any thread is inside a plugin."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = sys.stdout, sys.stderr

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = sys.stdout, sys.stderr
                words = _Words(sys.stderr)
                sys.stdout = sys.stderr = words
            self._inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                sys.stderr.flush()
                sys.stdout, sys.stderr = self._before


stdout_is_the_hosts = _Redirection()
