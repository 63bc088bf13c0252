"""What may be shown of what may not be shown: masked keys, exceptions without their words.

Addresses, long numbers and tokens are known by their form. A name or a short secret has none: the
process remembers the secrets that it has read and the people whom it handed over last.
"""

from __future__ import annotations

import re
import traceback
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PERSONAL = (
    (
        # An apostrophe inside of a name belongs to it; around an address it is a quote.
        re.compile(r"(?:[^\s@\"'<>(),;:]+')*[^\s@\"'<>(),;:]*@[^\s@\"'<>(),;:]+"),
        "[address]",
    ),
    (re.compile(r"\b(?=\w*[0-9])(?=\w*[A-Za-z])[\w-]{24,}\b"), "[token]"),
    (re.compile(r"\+?[0-9](?:[ ().-]{0,2}[0-9]){6,}"), "[number]"),
)


def mask(value: str | None) -> str:
    """Enough of a key to recognise one's own row by, too little to write to anybody.

    >>> mask("jane.doe@example.com"), mask("C-10023"), mask("x"), mask(None)
    ('j…e@e….com', 'C…3', '…', '')
    """
    if value is None:
        return ""
    name, at, domain = value.partition("@")
    if not at:
        return _ends(name)
    host, dot, top = domain.rpartition(".")
    return f"{_ends(name)}@{(host or domain)[:1]}…{dot}{top if dot else ''}"


def _ends(text: str) -> str:
    return f"{text[0]}…{text[-1]}" if len(text) > 3 else f"{text[:1] if len(text) > 1 else ''}…"


def redact(text: str) -> str:
    """A text from elsewhere without the addresses, long numbers and tokens that it may quote.

    Nor does it keep a secret that this process has read, or a value of the rows that a plugin was
    given last.

    >>> redact("jane@example.com is on hold since 2026, call +30 210 1234567")
    '[address] is on hold since 2026, call [number]'
    """
    text = without_secrets(text)
    for pattern, instead in _PERSONAL:
        text = pattern.sub(instead, text)
    return _without_people(text)


def conceal(secret: str) -> None:
    """Remember a secret, so that no text shows it from now on."""
    if bare := secret.strip():
        _secrets.update({bare, quote(bare), quote(bare, safe="")})


def without_secrets(text: str) -> str:
    """The text without the secrets that this process has read."""
    # The longest first: one may be a part of another.
    for secret in sorted(_secrets, key=len, reverse=True):
        if secret in text:
            whole = re.escape(secret)
            if len(secret) < _SHORT:
                whole = rf"(?<!\w){whole}(?!\w)"
            text = re.sub(whole, "[secret]", text)
    return text


def hand_over(values: Callable[[], Iterable[str]]) -> None:
    """Remember whose data a plugin is given. `values` is only called if there is text to redact."""
    _people.append(_People(values))


def forget_people() -> None:
    """Forget whose data plugins were given: another session begins."""
    _people.clear()


def forget_everything() -> None:
    """Forget secrets as well: for a process that stands for several, as in tests."""
    forget_people()
    _secrets.clear()


_SHORT = 4
_LONGEST_VALUE = 12
"""Words; a longer value is not looked for."""
_secrets: set[str] = set()


class _People:
    """The values of some rows, in one spelling, as soon as somebody asks for them."""

    def __init__(self, values: Callable[[], Iterable[str]]) -> None:
        self._read: Callable[[], Iterable[str]] | None = values
        self._known: frozenset[str] = frozenset()

    def __contains__(self, text: str) -> bool:
        if self._read is not None:
            bare = (_EDGES.sub("", value).casefold() for value in self._read())
            self._known = frozenset(value for value in bare if _is_telling(value))
            self._read = None
        return text in self._known


_people: deque[_People] = deque(maxlen=4)
"""A few: what is measured and sent in one go are several batches."""
_WORD = re.compile(r"\w+")
_EDGES = re.compile(r"^\W+|\W+$")


def _is_telling(value: str) -> bool:
    """A letter or a small number tells nobody from another, and is in every second message."""
    return len(value) > 1 and not (value.isdigit() and len(value) < _SHORT)


def _without_people(text: str) -> str:
    people = tuple(_people)
    if not people:
        return text
    words = [match.span() for match in _WORD.finditer(text)]
    parts, done, first = [], 0, 0
    while first < len(words):
        start = words[first][0]
        for last in range(min(first + _LONGEST_VALUE, len(words)) - 1, first - 1, -1):
            end = words[last][1]
            if any(text[start:end].casefold() in known for known in people):
                parts += [text[done:start], "[value]"]
                done, first = end, last
                break
        first += 1
    return "".join([*parts, text[done:]])


def describe(error: BaseException) -> str:
    """An unforeseen exception by type and place alone: its words may quote a profile."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "exportkit" in frame.filename] or frames
    where = f" at {ours[-1].filename.rpartition('/')[2]}:{ours[-1].lineno}" if ours else ""
    return f"{type(error).__name__}{where}"
