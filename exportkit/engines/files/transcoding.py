"""Text that is not UTF-8, made UTF-8: a private copy that lives as long as the source is open.

Python's codecs read every declared encoding, strictly. The engine's own reader knows three, and
reads UTF-16 of the other byte order as a file without rows.
"""

from __future__ import annotations

import codecs
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from exportkit.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

    from exportkit.engines.files.file import SourceFile

_CHUNK = 1024 * 1024


def as_utf8(file: SourceFile, scratch: Path, number: int) -> SourceFile:
    """The file itself if it is UTF-8, else a copy in `scratch` (mode 0600) that is.

    Raises SourceError, with the line, for bytes that the declared encoding does not know.
    """
    if file.encoding in ("utf-8", "utf-8-sig"):
        return file
    copy = scratch / f"{number}.utf8"
    decoder = codecs.getincrementaldecoder(file.encoding)()
    line = 1
    descriptor = os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with file.opened() as stream, os.fdopen(descriptor, "wb") as out:
        while True:
            chunk = stream.read(_CHUNK)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                line += _lines_before(error, file.encoding)
                break
            out.write(text.encode().removeprefix(codecs.BOM_UTF8) if line == 1 else text.encode())
            line += text.count("\n")
            if not chunk:
                return replace(file, path=copy, compression="none", encoding="utf-8")
    raise SourceError(
        f"line {line} is not valid {file.encoding.upper()}",
        hint="`encoding:` names what the file is, for example windows-1252 or utf-16",
        location=file.at(line),
    )


def _lines_before(error: UnicodeDecodeError, encoding: str) -> int:
    good = bytes(error.object[: error.start])
    return good.decode(encoding, errors="ignore").count("\n")
