"""What a value of each kind has to look like: narwhals expressions, the same on every engine.

Patterns use what RE2 and Java's regular expressions share; `\\z` rather than `$`, which Java lets
match before a final line break.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import narwhals as nw

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exportkit.records import Kind

# Plain addresses up to 64 characters, which no reading of the standards refuses ...
_PLAIN_EMAIL = (
    r"^[A-Za-z0-9_+'-]+(?:\.[A-Za-z0-9_+'-]+)*@(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.)+[A-Za-z]{2,}\z"
)
_PLAIN_EMAIL_LENGTH = 64
_PLAIN_LOCAL = re.compile(r"[A-Za-z0-9_+'-]+(?:\.[A-Za-z0-9_+'-]+)*")
# ... but for these names, which are kept for special use and reach nobody (RFC 6761, RFC 7686).
_SPECIAL_USE = r"\.(?i:test|local|localhost|invalid|onion|arpa|alt)\z"
# No address, whoever reads it: no @ or two, white space, what only quotes could hold, dots in a
# row or at an end, an ASCII domain without a dot or with an underscore.
_NO_EMAIL = (
    r"^[^@]*\z|@[^@]*@|[ \t\r\n,;:<>()\[\]\\\"]|^[@.]|@\z|\.@|\.\.|@[.-]|[.-]\z"
    r"|@[A-Za-z0-9-]*\z|@[A-Za-z0-9.-]*_[A-Za-z0-9._-]*\z"
)

_LONG_MONTH = "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
_SHORT_MONTH = "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
_FEBRUARY = "02-(?:0[1-9]|1[0-9]|2[0-8])"
# There is no year 0000, though databases write it for "unknown".
_YEAR = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DATE = f"^(?:{_YEAR}-(?:{_LONG_MONTH}|{_SHORT_MONTH}|{_FEBRUARY})|{_LEAP_YEAR}-02-29)\\z"
_NUMBER = r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\z"
_PHONE = r"^\+?(?:[ ().\-/]*[0-9]){4,20}[ ().\-/]*(?:(?:x|ext\.?) ?[0-9]{1,6})?\z"

_PATTERNS: dict[Kind, str] = {"date": _DATE, "number": _NUMBER, "phone": _PHONE}

FIT, UNFIT, UNDECIDED = 0, 1, 2

REASONS: dict[Kind, str] = {
    "email": "not an e-mail address",
    "date": "not a date of the form YYYY-MM-DD",
    "number": "not a number",
    "phone": "not a phone number",
}


def unfit(text: nw.Expr, kind: Kind) -> nw.Expr | None:
    """True where the value is not of the kind; None where any text will do.

    For addresses that takes a `verdict` first, and for a few of them `not_addresses`.
    """
    pattern = _PATTERNS.get(kind)
    return None if pattern is None else ~text.str.contains(pattern)


def verdict(text: nw.Expr) -> nw.Expr:
    """What the patterns say of an address: FIT, UNFIT, or UNDECIDED; null stays null."""
    plain = (
        text.str.contains(_PLAIN_EMAIL)
        & (text.str.len_chars() <= _PLAIN_EMAIL_LENGTH)
        & ~text.str.contains(_SPECIAL_USE)
    )
    fit, unfit, undecided = (nw.lit(n, dtype=nw.Int8) for n in (FIT, UNFIT, UNDECIDED))
    # The second pattern is asked only where the first says no: hardly ever.
    odd = nw.when(text.str.contains(_NO_EMAIL)).then(unfit).otherwise(undecided)
    known = nw.when(plain).then(fit).otherwise(odd)
    return nw.when(~text.is_null()).then(known)


def not_addresses(values: Iterable[str]) -> list[str]:
    """Those of the values that are no e-mail addresses: syntax alone, nothing is looked up.

    The library is asked once for each domain that follows an ordinary local part, and for each
    address with another.
    """
    from functools import cache

    from email_validator import EmailNotValidError, validate_email

    @cache
    def is_address(value: str) -> bool:
        try:
            validate_email(value, check_deliverability=False)
        except EmailNotValidError:
            return False
        return True

    def asked(value: str) -> str:
        local, _, domain = value.rpartition("@")
        plain = len(value) <= _PLAIN_EMAIL_LENGTH and _PLAIN_LOCAL.fullmatch(local)
        return f"a@{domain}" if plain else value

    return [value for value in values if not is_address(asked(value))]
