"""What nobody outside knows about the service, each with the answer that the sandbox gives.

A client has to be right under every one of them, so each can be turned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Choices:
    """The sandbox's answers to open questions. The defaults are the strict or the likely ones."""

    unknown_column: Literal["ignore", "refuse"] = "ignore"
    """A column or `cf:` name of an import that does not exist: dropped, or its rows refused."""
    unknown_list: Literal["refuse", "ignore"] = "refuse"
    """An unknown list id in a new activity: a 400, or taken and left out."""
    too_many_rows: Literal["refuse", "truncate"] = "refuse"
    """More than 40,000 rows in an import: a 400, or the rest dropped."""
    too_long: Literal["refuse", "truncate"] = "refuse"
    """A value of an import beyond its length: the row refused, or the value cut."""
    foreign_phone: Literal["refuse", "drop"] = "refuse"
    """A number outside the US and Canada in an import: the row refused, or the value dropped."""
    updates_unsubscribed: bool = True
    """Whether an import changes the names of people who have unsubscribed."""
    import_revives: bool = True
    """Whether an import brings deleted contacts back."""
    names_unsubscribed: bool = False
    """Whether an import's errors name the lines of unsubscribed people, beside counting them."""
    person_count: Literal["all", "landed"] = "all"
    """What `person_count` counts: the rows that were read, or those that landed."""
    list_gone: Literal["failed", "counted"] = "failed"
    """An import whose every list went meanwhile: it ends failed, or everybody is counted as
    impossible to add."""
    unsubscribed_leave_lists: bool = True
    """Whether somebody who opts out leaves every list."""
    json_file_name: str | None = "upload_from_json.csv"
    """`source_file_name` of a JSON import, as the service's older version had it; None: absent."""
    last_page: Literal["absent", "null", "empty"] = "absent"
    """`_links` of a last page: not there, null, or an object without `next`."""
    field_name: Literal["lower", "keep"] = "lower"
    """How a custom field's name is made of its label, beside blanks becoming underscores."""
    throttled_counts: bool = False
    """Whether a call that was throttled is taken from the day's calls."""
    confirmed_opt_in: bool = False
    """The account's setting: new people of the sign-up form have to confirm."""
    redirects: tuple[str, ...] = ()
    """The redirect addresses of the application; none: every loopback address."""
    import_bytes: int = 4_000_000
    """What an import may have; the rest is dropped without a word."""
    retry_after: bool = False
    """Whether a 429 tells when to come again. The documents do not mention it."""
