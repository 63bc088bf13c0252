"""The beginning of a long text file as a file that is whole: so much can be known before it is all
here. It ends where a row ends, and is not compressed."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 16 * 1024 * 1024
_STEP = 64 * 1024
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")


def whole_rows(data: bytes, *, quoted: bool) -> bytes | None:
    """The first bytes of a file, unpacked, up to the end of their last whole row.

    `quoted` says that a row may span lines, inside of quotes. None where that end cannot be told,
    or where no second row is whole.
    """
    text = _unpacked(data)
    if text is None or text.startswith(_WIDE):
        return None
    end = _end_of_rows(text) if quoted else text.rfind(b"\n") + 1
    return text[:end] if text.count(b"\n", 0, end) > 1 else None


def _end_of_rows(text: bytes) -> int:
    quotes, end = text.count(b'"'), len(text)
    while end > 0:
        line = text.rfind(b"\n", 0, end) + 1
        quotes -= text.count(b'"', line, end)
        if quotes % 2 == 0:
            return line
        end = line - 1
    return 0


def _unpacked(data: bytes) -> bytes | None:
    if data.startswith(b"\x1f\x8b"):
        return _read(lambda: cast("IO[bytes]", gzip.GzipFile(fileobj=io.BytesIO(data))))
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        import pyarrow as pa

        return _read(lambda: pa.input_stream(pa.BufferReader(data), compression="zstd"))
    return data


def _read(opened: Callable[[], IO[bytes]]) -> bytes | None:
    """As much as can be unpacked of something that was cut off."""
    found = bytearray()
    with opened() as stream:
        try:
            while len(found) < _LONGEST and (piece := stream.read(_STEP)):
                found += piece
        except (EOFError, OSError, zlib.error, ValueError):
            pass
    return bytes(found) or None
