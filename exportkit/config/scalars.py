"""What a plain YAML scalar means: the core rules of YAML 1.2, and nothing that guesses.

`no`, `on`, `08`, `0x1F`, `1_000`, `1:30`, `2026-11-20` and `+30210` stay the text they are.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta

_INTEGER = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+]?[0-9]+)?", re.ASCII)
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# Longer numbers are identifiers: as numbers they would lose digits on the way.
_LONGEST_INTEGER = 18

_DURATION = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)

Scalar = str | int | float | bool | None


def resolve_plain(text: str) -> Scalar:
    """The value of a plain (unquoted) scalar: null, a boolean, a number, or else its text."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= _LONGEST_INTEGER else text
    if any(mark in text for mark in ".eE") and _FLOAT.fullmatch(text):
        return _finite(text)
    return text


def _finite(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:  # "-e5" and the like
        return text
    return number if math.isfinite(number) else text


def parse_duration(text: str) -> timedelta:
    """`24h`, `30m`, `7d` or `1h30m` as a timedelta; ValueError for anything else."""
    match = _DURATION.fullmatch(text)
    if not text or not match:
        raise ValueError("not a duration such as 24h, 30m or 7d")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    try:
        return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise ValueError("longer than any calendar") from None
