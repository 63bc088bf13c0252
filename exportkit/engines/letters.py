"""Small and large letters that are the same on every engine.

Engines agree on nearly all of Unicode. Where they do not (does ß become SS? has a Georgian word a
capital letter?) one answer is fixed here, before the engine is asked. The lists were found by
asking DuckDB, Sail and Apache Spark about every character; a test asks them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals as nw

if TYPE_CHECKING:
    from collections.abc import Iterable

CAPITALS = {"Σ": "σ", "İ": "i"}
"""Capital letters whose small form is one or two characters, or depends on what follows."""

# Small letters that some engines leave as they are, and others write as one or more capitals: the
# last of a name (ŉ, ǰ), ligatures (ﬁ), Greek with a iota below (ᾳ).
_TO_CAPITALS = (
    *((0xDF, 0xDF), (0x149, 0x149), (0x19B, 0x19B), (0x1F0, 0x1F0), (0x264, 0x264)),
    *((0x390, 0x390), (0x3B0, 0x3B0), (0x587, 0x587), (0x1E96, 0x1E9A), (0x1F50, 0x1F50)),
    *((0x1F52, 0x1F52), (0x1F54, 0x1F54), (0x1F56, 0x1F56), (0x1F80, 0x1FAF), (0x1FB2, 0x1FB4)),
    *((0x1FB6, 0x1FB7), (0x1FBC, 0x1FBC), (0x1FC2, 0x1FC4), (0x1FC6, 0x1FC7), (0x1FCC, 0x1FCC)),
    *((0x1FD2, 0x1FD3), (0x1FD6, 0x1FD7), (0x1FE2, 0x1FE4), (0x1FE6, 0x1FE7), (0x1FF2, 0x1FF4)),
    *((0x1FF6, 0x1FF7), (0x1FFC, 0x1FFC), (0xA7D3, 0xA7D3), (0xA7D5, 0xA7D5), (0xFB00, 0xFB06)),
    (0xFB13, 0xFB17),
)
# Those among them that people's names have, with their capitals.
_CAPITALS = {"ß": "ẞ", "ΐ": "Ϊ́", "ΰ": "Ϋ́", "և": "ԵՒ", "ŉ": "ʼN", "ǰ": "J̌"}

# A word that begins with one of these (beside those above) has a capital on some engines only ...
_FIRST = (
    *((0x130, 0x130), (0x1C4, 0x1CC), (0x1F1, 0x1F3), (0x10D0, 0x10FA), (0x10FD, 0x10FF)),
    *((0x1C90, 0x1CBA), (0x1CBD, 0x1CBF), (0x1E9E, 0x1E9E)),
)
# ... and these are letters to some engines, and between two words to others.
_BETWEEN = (
    *((0x345, 0x345), (0x870, 0x887), (0x889, 0x88E), (0x8B5, 0x8B5), (0x8C8, 0x8C9)),
    *((0xC5D, 0xC5D), (0xCDD, 0xCDD), (0x170D, 0x170D), (0x171F, 0x171F), (0x1B4C, 0x1B4C)),
    *((0x2160, 0x217F), (0x24B6, 0x24E9), (0x2C2F, 0x2C2F), (0x2C5F, 0x2C5F), (0x9FFD, 0x9FFF)),
    *((0xA7C0, 0xA7C1), (0xA7CB, 0xA7DC), (0xA7F1, 0xA7F4), (0x10570, 0x105BC)),
    *((0x10780, 0x107BA), (0x10D40, 0x10D8F), (0x10EC0, 0x10EC7), (0x10F70, 0x10F81)),
    *((0x11071, 0x11075), (0x11740, 0x11746), (0x11AB0, 0x11ABF), (0x12F90, 0x12FF0)),
    *((0x16A70, 0x16ABE), (0x1AFF0, 0x1AFFE), (0x1B11F, 0x1B122), (0x1DF00, 0x1DF2A)),
    *((0x1E290, 0x1E2AD), (0x1E7E0, 0x1E7FE), (0x2A6DE, 0x2A6DF), (0x2B735, 0x2B739)),
)


def lower(text: nw.Expr) -> nw.Expr:
    """In small letters; a sigma at the end of a word is σ, not ς."""
    for capital, small in CAPITALS.items():
        text = text.str.replace_all(capital, small, literal=True)
    return text.str.to_lowercase()


def upper(text: nw.Expr) -> nw.Expr:
    """In capital letters; ß is ẞ. A text with a letter without an agreed capital stays as it is."""
    for small, capital in _CAPITALS.items():
        text = text.str.replace_all(small, capital, literal=True)
    odd = text.str.contains(f"[{_class(_TO_CAPITALS)}]")
    return nw.when(odd).then(text).otherwise(text.str.to_uppercase())


def title(text: nw.Expr) -> nw.Expr:
    """Each word with a capital first letter, the rest small.

    A text with a word that engines begin differently is in small letters: a Georgian one, say.
    """
    small = lower(text)
    first = f"(?:^|[^\\p{{L}}])[{_class((*_TO_CAPITALS, *_FIRST))}]"
    odd = text.str.contains(f"{first}|[{_class(_BETWEEN)}]")
    return nw.when(odd).then(small).otherwise(small.str.to_titlecase())


def _class(ranges: Iterable[tuple[int, int]]) -> str:
    return "".join(f"{chr(low)}-{chr(high)}" for low, high in ranges)
