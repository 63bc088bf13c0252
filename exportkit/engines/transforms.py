"""The transforms of a job's `map:`, as narwhals expressions that answer the same on every engine.

Engines differ in what they call white space, so the characters are spelled out here; and none of
these uses a back-reference, whose spelling differs too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import narwhals as nw

from exportkit.engines import letters

if TYPE_CHECKING:
    from collections.abc import Callable

# The 25 code points with the Unicode property White_Space.
WHITE_SPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)
_END = f"[{WHITE_SPACE}]\\z"
_EDGE = f"^[{WHITE_SPACE}]|{_END}"

# What each directive of a date pattern matches: with a separator behind it, and without.
_DIRECTIVES = {
    "d": ("[0-9]{1,2}", "[0-9]{2}"),
    "m": ("[0-9]{1,2}", "[0-9]{2}"),
    "Y": ("[0-9]{4}", "[0-9]{4}"),
    "y": ("[0-9]{2}", "[0-9]{2}"),
    "H": ("[0-9]{1,2}", "[0-9]{2}"),
    "M": ("[0-9]{1,2}", "[0-9]{2}"),
    "S": ("[0-9]{1,2}", "[0-9]{2}"),
}
# A directive, or a character that stands for itself; neither: a doubled percent sign.
_TOKEN = re.compile(r"%([dmYyHMS])|([^%])|%%")


def trim(text: nw.Expr) -> nw.Expr:
    """Without white space at both ends."""
    # Most values have none, and asking is four times cheaper than trimming.
    ends = text.str.contains(_END)
    edged = nw.when(_is_plain_at_first(text)).then(ends).otherwise(text.str.contains(_EDGE))
    return nw.when(edged).then(text.str.strip_chars(WHITE_SPACE)).otherwise(text)


def is_blank(text: nw.Expr) -> nw.Expr:
    """True where there is nothing but white space, or nothing at all."""
    blank = text.is_null() | ~text.str.contains(f"[^{WHITE_SPACE}]")
    return nw.when(_is_plain_at_first(text)).then(nw.lit(value=False)).otherwise(blank)


def _is_plain_at_first(text: nw.Expr) -> nw.Expr:
    """True where it begins with a visible ASCII character: five times cheaper than a pattern."""
    return (text >= "!") & (text < "\x7f")


def collapse(text: nw.Expr) -> nw.Expr:
    """Each run of white space as one blank, none at the ends."""
    return trim(text.str.replace_all(f"[{WHITE_SPACE}]+", " "))


def lower(text: nw.Expr) -> nw.Expr:
    """In lower case."""
    return letters.lower(text)


def upper(text: nw.Expr) -> nw.Expr:
    """In upper case."""
    return letters.upper(text)


def title(text: nw.Expr) -> nw.Expr:
    """Each word with a capital first letter, the rest in lower case."""
    return letters.title(text)


def digits(text: nw.Expr) -> nw.Expr:
    """Only the digits 0 to 9."""
    return text.str.replace_all("[^0-9]", "")


def date(text: nw.Expr, pattern: str) -> nw.Expr:
    """A date written as `pattern` says (%d %m %Y %y %H %M %S), as YYYY-MM-DD.

    A text that does not have that form stays as it is, so that the check of kind `date` names it.
    Two-digit years up to 68 are in this century, as in POSIX.
    """
    pieces = _pieces(pattern)
    whole = "".join(piece for _, piece in pieces)

    def part(directive: str) -> nw.Expr:
        at = next(i for i, (name, _) in enumerate(pieces) if name == directive)
        before = "".join(piece for _, piece in pieces[:at])
        after = "".join(piece for _, piece in pieces[at + 1 :])
        return text.str.replace_all(f"^{before}", "").str.replace_all(f"{after}\\z", "")

    names = {name for name, _ in pieces}
    if "Y" in names:
        year = part("Y")
    else:
        short = part("y")
        century = nw.when(short <= nw.lit("68")).then(nw.lit("20")).otherwise(nw.lit("19"))
        year = nw.concat_str([century, short])
    month, day = (_two_digits(part(directive)) for directive in ("m", "d"))
    iso = nw.concat_str([year, month, day], separator="-")
    return nw.when(text.str.contains(f"^{whole}\\z")).then(iso).otherwise(text)


def _two_digits(text: nw.Expr) -> nw.Expr:
    padded = nw.concat_str([nw.lit("0"), text])
    return nw.when(text.str.len_chars() == 1).then(padded).otherwise(text)


def _pieces(pattern: str) -> list[tuple[str, str]]:
    """The pattern as (directive or "", regular expression) in order."""
    found = _TOKEN.findall(pattern)
    names = ["", *(name for name, _ in found), ""]
    pieces = []
    for before, (name, literal), after in zip(names, found, names[2:], strict=False):
        if name:
            loose, fixed = _DIRECTIVES[name]
            pieces.append((name, fixed if before or after else loose))
        else:
            pieces.append(("", re.escape(literal or "%")))
    return pieces


TRANSFORMS: dict[str, Callable[..., nw.Expr]] = {
    "trim": trim,
    "collapse": collapse,
    "lower": lower,
    "upper": upper,
    "title": title,
    "digits": digits,
    "date": date,
}
