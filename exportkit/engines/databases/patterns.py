"""Regular expressions that PostgreSQL reads as DuckDB does, as far as the two have one language.

DuckDB's are RE2's. `.` leaves out line breaks there, `\\d`, `\\w` and `\\s` know ASCII alone, and
`\\b` is the edge of a word; what PostgreSQL would read otherwise is written out, or refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SETS = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}
_SAME = "tnrfv"
_TOKEN = re.compile(
    r"""(?P<escape>\\.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<group>\((?:\?:)?(?!\?))"""
    r"""|(?P<times>\{[0-9]{1,3}(?:,[0-9]{0,3})?\})|(?P<plain>[^\\\[({])""",
    re.DOTALL,
)
_NOTHING = ("^", "$", "(", "(?:", "|")
"""What cannot come several times."""

_MOST = 255


def for_postgresql(pattern: str) -> str | None:
    """The pattern for PostgreSQL's `~`; None where it cannot say the same."""
    parts, end, before = [], 0, "^"
    for token in _TOKEN.finditer(pattern):
        if token.start() != end:
            return None
        end, kind, text = token.end(), token.lastgroup, token.group()
        if before in _NOTHING and (kind == "times" or text in ("*", "+", "?")):
            return None
        before = text
        said = {
            "escape": _escape,
            "set": _set,
            "times": _times,
        }.get(kind or "", lambda same: r"[^\n]" if same == "." else same)(text)
        if said is None:
            return None
        parts.append(said)
    return "".join(parts) if end == len(pattern) else None


def _escape(text: str) -> str | None:
    letter = text[1]
    if letter.lower() in _SETS:
        return f"[{'^' if letter.isupper() else ''}{_SETS[letter.lower()]}]"
    return text if letter in _SAME or not letter.isalnum() else None


def _set(text: str) -> str | None:
    if any(special in text[1:] for special in ("[:", "[.", "[=")):
        return None  # named classes follow the database's locale
    parts = list(_members(text))
    return None if None in parts else "".join(part for part in parts if part is not None)


def _members(text: str) -> Iterator[str | None]:
    for member in re.findall(r"\\.|[^\\]", text, re.DOTALL):
        if len(member) == 1:
            yield member
        elif member[1] in _SETS:
            yield _SETS[member[1]]
        else:
            yield member if member[1] in _SAME or not member[1].isalnum() else None


def _times(text: str) -> str | None:
    return text if all(int(n) <= _MOST for n in re.findall("[0-9]+", text)) else None
