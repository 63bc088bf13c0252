"""Wrong names: the right one that was probably meant, and names that no field can have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SIMILAR = 65.0
_BEGUN = 3
_SHOWN = 20
_PERSONAL = re.compile(r"\w@\w|[0-9](?:[ ().-]{0,2}[0-9]){6,}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that looks most like `name`; None if none does."""
    from rapidfuzz import fuzz, process

    choices = list(known)
    found = process.extractOne(
        name.casefold(), choices, scorer=fuzz.ratio, processor=str.casefold, score_cutoff=_SIMILAR
    )
    return choices[found[2]] if found else _begun(name.casefold(), choices)


def _begun(name: str, choices: list[str]) -> str | None:
    """The only choice that starts with what was written: `desc` for `descending`."""
    longer = [choice for choice in choices if choice.casefold().startswith(name)]
    return longer[0] if len(longer) == 1 and len(name) >= _BEGUN else None


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """What to do about a wrong name: `did you mean 'email'?`, or `there are: a, b, c`."""
    choices = list(known)
    if any(_PERSONAL.search(choice) for choice in choices):
        return "the names there look like people's own data: is the header line missing?"
    guess = nearest(name, choices)
    if guess is not None:
        return f"did you mean '{guess}'?"
    if not choices:
        return "there are none"
    shown = ", ".join(choices[:_SHOWN])
    more = len(choices) - _SHOWN
    return f"there are: {shown}" + (f" and {more} more" if more > 0 else "")


def unusable(name: str) -> str | None:
    """Why no field can have this name; None if one can."""
    if name.lower().startswith(("exportkit.", "exportkit_")):
        return "names that start with exportkit_ or exportkit. are reserved"
    if not name.strip():
        return "there is nothing to see of it"
    return "the asterisk alone stands for every column" if name == "*" else None


def same_but_for_case(names: Iterable[str]) -> list[tuple[str, str]]:
    """Names that an engine cannot tell from an earlier one, each with that one."""
    seen: dict[str, str] = {}
    pairs = [(name, seen.setdefault(name.lower(), name)) for name in names]
    return [(name, earlier) for name, earlier in pairs if name != earlier]
