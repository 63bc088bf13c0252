"""What may be shown of what may not be shown: masked keys, exceptions without their words."""

from __future__ import annotations

import re
import traceback

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

    >>> redact("jane@example.com is on hold since 2026, call +30 210 1234567")
    '[address] is on hold since 2026, call [number]'
    """
    for pattern, instead in _PERSONAL:
        text = pattern.sub(instead, text)
    return text


def describe(error: BaseException) -> str:
    """An unforeseen exception by type and place alone: its words may quote a profile."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "exportkit" in frame.filename] or frames
    where = f" at {ours[-1].filename.rpartition('/')[2]}:{ours[-1].lineno}" if ours else ""
    return f"{type(error).__name__}{where}"
