"""Changing one key of a file that people write and review, and not a character beside it.

The lines of that key are found by its position and replaced. Then the text is read again: if
anything else became different, the file is left as it is and the edit is for a person to make.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from exportkit.config.nodes import Tree
from exportkit.durable import Draft
from exportkit.errors import ConfigError, Location

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exportkit.config.documents import Document

BOM = "\ufeff"
_PLAIN = re.compile(r"[A-Za-z][\w.@+-]*")


def set_key(document: Document, key: str, value: Mapping[str, str], after: Sequence[str]) -> None:
    """Write `key: {name: text, ...}` into the document's file, in one line.

    It takes the place of the key that is there, else it comes after the last of the keys `after`.
    Raises ConfigError where the file cannot be changed so.
    """
    line = f"{key}: {{{', '.join(f'{name}: {scalar(text)}' for name, text in value.items())}}}"
    _change(document, key, line, {**document.data, key: dict(value)}, after)


def remove_key(document: Document, key: str) -> None:
    """Take a key with its value out of the document's file; comments below it stay.

    Raises ConfigError where the file cannot be changed so.
    """
    data = {name: value for name, value in document.data.items() if name != key}
    _change(document, key, None, data, ())


def _change(
    document: Document, key: str, line: str | None, wanted: Mapping[str, Any], after: Sequence[str]
) -> None:
    text = _read(document)
    bom, text = (BOM, text[1:]) if text.startswith(BOM) else ("", text)
    ending = "\r\n" if "\r\n" in text else "\n"
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += ending.removesuffix("\n")
        lines.append("")
    new = [] if line is None else [line + ending.removesuffix("\n")]
    if key in document.root.key_marks:
        first, last = _extent(document, key, lines)
    else:
        known = [name for name in after if name in document.root.key_marks]
        first = last = max(_extent(document, name, lines)[1] for name in known)
    changed = "\n".join([*lines[:first], *new, *lines[last:]])
    if not _reads(document, changed, wanted):
        raise _by_hand(document, key, line)
    _write(document, bom + changed)


def _extent(document: Document, key: str, lines: Sequence[str]) -> tuple[int, int]:
    """The lines of a top-level key and its value: from, and up to without."""
    marks = document.root.key_marks
    first = marks[key][0] - 1
    later = [line - 1 for line, _ in marks.values() if line - 1 > first]
    last = min(later, default=len(lines))
    while last > first + 1 and _says_nothing(lines[last - 1]):
        last -= 1
    return first, last


def _says_nothing(line: str) -> bool:
    bare = line.strip()
    return not bare or bare.startswith("#") or bare in ("...", "---")


def _reads(document: Document, text: str, wanted: Mapping[str, Any]) -> bool:
    """Whether the text holds what is wanted, and nothing else."""
    try:
        root = Tree(document.file, text).root()
    except ConfigError:
        return False
    return bool(root.value == wanted)


def _read(document: Document) -> str:
    try:
        text = document.path.read_bytes().decode("utf-8")
        now = Tree(document.file, text.removeprefix(BOM)).root().value
    except (OSError, UnicodeError):
        now = None
    if now != document.data:
        raise ConfigError(
            "the file was changed while it was looked at",
            location=Location(document.file),
            hint="run the command again",
        )
    return text


def _write(document: Document, text: str) -> None:
    # A link to the file stays a link.
    path = document.path.resolve()
    try:
        with Draft(path, path.stat().st_mode & 0o777) as draft:
            draft.file.write(text.encode())
            draft.commit()
    except OSError as error:
        raise ConfigError(
            f"the file cannot be changed: {(error.strerror or 'failed').lower()}",
            location=Location(document.file),
            hint="the user who runs exportkit has to be able to write to it and its folder",
        ) from None


def _by_hand(document: Document, key: str, line: str | None) -> ConfigError:
    what = f"take `{key}:` out of it" if line is None else f"write this line into it: {line}"
    return ConfigError(
        "the file is written in a way that no line of it can be changed alone",
        location=document.locate((key,), key=True),
        hint=f"{what} by hand",
    )


def scalar(text: str) -> str:
    """A text as YAML that reads as that text: dates and names bare, all else in quotes."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    is_date = re.fullmatch(r"\d{4}-\d{2}-\d{2}", text)
    return text if plain or is_date else json.dumps(text, ensure_ascii=False)


_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
