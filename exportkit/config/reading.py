"""From a path to text that is safe to parse, or an error that says what is wrong with the file."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

from exportkit.errors import ConfigError, Location

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1_000_000

# What YAML calls printable; everything else cannot stand in a file, not even in quotes.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: Path, shown_as: str) -> str:
    """The text of a file, without its byte-order mark. Raises ConfigError."""
    start = Location(shown_as)
    data = _read_bytes(path, start)
    if data.startswith(_OTHER_ENCODINGS):
        raise ConfigError(
            "found UTF-16 text, expected UTF-8",
            location=start,
            hint="save the file again with the encoding UTF-8",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"found the byte 0x{data[error.start]:02x}, which is not UTF-8 text",
            location=_location(shown_as, data[: error.start].decode("utf-8-sig")),
            hint="save the file again with the encoding UTF-8",
        ) from None
    _refuse_unprintable(text, shown_as)
    return text


def _read_bytes(path: Path, start: Location) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            what = "a folder" if stat.S_ISDIR(found.st_mode) else "a device or pipe"
            raise ConfigError(f"found {what}, expected a file", location=start)
        if found.st_size > MAX_BYTES:
            raise ConfigError(
                f"the file has {found.st_size:,} bytes, expected at most {MAX_BYTES:,}",
                location=start,
                hint="is this data rather than configuration? Profiles belong in a source's file",
            )
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except FileNotFoundError:
        raise ConfigError("there is no such file", location=start) from None
    except PermissionError:
        raise ConfigError(
            "the file may not be read by this user",
            location=start,
            hint="check the permissions of the file and its folders",
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name cannot be used"
        raise ConfigError(f"the file cannot be read: {reason}", location=start) from None


def _refuse_unprintable(text: str, shown_as: str) -> None:
    odd = _UNPRINTABLE.search(text)
    if odd is None:
        return
    code = ord(odd.group())
    name = "a NUL byte" if code == 0 else f"the control character U+{code:04X}"
    raise ConfigError(
        f"found {name}, which cannot stand in YAML",
        location=_location(shown_as, text[: odd.start()]),
        hint="is this a YAML file? In double quotes, write it as \\0"
        if code == 0
        else f'in double quotes, write it as "\\u{code:04X}"',
    )


def _location(shown_as: str, before: str) -> Location:
    """The position just after the text `before`."""
    lines = before.split("\n")
    return Location(shown_as, len(lines), len(lines[-1]) + 1)
