"""Dates as the service writes them, and birthdays: a month and a day that come together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exportkit import Column

if TYPE_CHECKING:
    import narwhals as nw

FORMS = "YYYY-MM-DD, YYYY/MM/DD, MM-DD-YYYY or MM/DD/YYYY, without leading zeros if need be"
"""What an anniversary may look like. [documented]"""


def _days(before: str, *, zero: str = "0?", february: str = "2[0-9]") -> str:
    """Month and day with `before` between them; `february` is what its twenties may be."""
    long = f"(?:{zero}[13578]|1[02]){before}(?:{zero}[1-9]|[12][0-9]|3[01])"
    short = f"(?:{zero}[469]|11){before}(?:{zero}[1-9]|[12][0-9]|30)"
    return f"(?:{long}|{short}|{zero}2{before}(?:{zero}[1-9]|1[0-9]|{february}))"


_YEAR = "[1-9][0-9]{3}"
_LEAP_YEAR = "(?:[1-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)"


def _dates(between: str) -> str:
    """Dates of all years, leap years heeded, the year in front or at the end."""
    usual = _days(between, february="2[0-8]")
    leap = f"0?2{between}29"
    return (
        f"(?:{_YEAR}{between}{usual}|{_LEAP_YEAR}{between}{leap}"
        f"|{usual}{between}{_YEAR}|{leap}{between}{_LEAP_YEAR})"
    )


_DATE = f"(?:{_dates('-')}|{_dates('/')})"
_CLOCK = "(?:[01]?[0-9]|2[0-3]):[0-5][0-9]"
_ISO_DATE = (
    f"(?:{_YEAR}-{_days('-', zero='0', february='2[0-8]')}|{_LEAP_YEAR}-02-29)"
    "[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\\.[0-9]{1,9})?)?"
    "(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
# The year is not sent, so any four digits do: some write 0000 or 1900 where they do not know it.
_BIRTHDAY = f"{_days('-', zero='0')}\\z"
_MONTH = "^(?:[1-9]|1[0-2])\\z"


def is_date(text: nw.Expr) -> nw.Expr:
    """Whether the text is a date in one of the documented forms."""
    return text.str.contains(f"^{_DATE}\\z")


def is_consent_date(text: nw.Expr) -> nw.Expr:
    """Whether it is such a date with a time or without. Only the length of 16 is documented."""
    return text.str.contains(f"^{_DATE}(?:[T ]{_CLOCK})?\\z") & (text.str.len_chars() <= 16)


def is_moment(text: nw.Expr) -> nw.Expr:
    """Whether it is a date and a time as ISO 8601 has them, with a blank for the T or not."""
    return text.str.contains(f"^{_ISO_DATE}\\z")


def moment(text: nw.Expr) -> nw.Expr:
    """A moment with its T; other text as it is."""
    import narwhals as nw

    written = nw.concat_str([text.str.slice(0, 10), text.str.slice(11)], separator="T")
    return nw.when(is_moment(text)).then(written).otherwise(text)


def birthday(*, required: bool, with_year: bool) -> tuple[Column, Column]:
    """Month and day from one date. What is no birthday stays in the month, to be rejected there."""
    import narwhals as nw

    text, month, day = nw.col("birthday"), nw.col("birthday_month"), nw.col("birthday_day")
    year = "[0-9]{4}-" if with_year else "(?:[0-9]{4}-)?"
    known = text.str.contains(f"^{year}{_BIRTHDAY}")
    short = text.str.replace_all("^[0-9]{4}-", "")
    first, second = (short.str.slice(at, 2).str.replace_all("^0", "") for at in (0, 3))
    return (
        Column(
            "birthday_month",
            nw.when(known).then(first).otherwise(text),
            required=required,
            accepts=month.is_null() | ~day.is_null(),
            reason="not a birthday: YYYY-MM-DD" + ("" if with_year else " or MM-DD"),
        ),
        Column("birthday_day", nw.when(known).then(second), required=required),
    )


def birthday_part(column: Column) -> Column:
    """Month or day from a field of its own, without a leading zero."""
    from dataclasses import replace

    import narwhals as nw

    text, month, day = nw.col(column.name), nw.col("birthday_month"), nw.col("birthday_day")
    padded = text.str.contains("^0[1-9]\\z")
    bare = nw.when(padded).then(text.str.slice(1)).otherwise(text)
    if column.name == "birthday_month":
        accepts, reason = month.str.contains(_MONTH), "not a month from 1 to 12"
    else:
        pair = nw.concat_str([month, day], separator="-").str.contains(f"^{_days('-')}\\z")
        neither = month.is_null() & day.is_null()
        accepts = neither | (~month.is_null() & ~day.is_null() & pair)
        reason = "month and day do not make a birthday"
    return replace(column, expression=bare, accepts=accepts, reason=reason)
