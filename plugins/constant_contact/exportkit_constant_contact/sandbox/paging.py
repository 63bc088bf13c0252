"""Pages: a limit, and a cursor that carries the whole question on to the next page."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from .exchange import Request, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .choices import Choices


@dataclass(frozen=True, slots=True)
class Page:
    """What was asked for: the query (of the first page), how many, and after which number."""

    query: dict[str, str]
    limit: int
    after: int

    def links(self, path: str, after: int | None, choices: Choices) -> dict[str, Any]:
        """The `_links` of the answer, with the way to the page behind `after`; None: the last."""
        if after is None:
            last: dict[str, dict[str, Any]] = {
                "absent": {},
                "null": {"_links": None},
                "empty": {"_links": {}},
            }
            return last[choices.last_page]
        inside = urlencode({**self.query, "limit": self.limit, "next": after})
        cursor = base64.urlsafe_b64encode(inside.encode()).decode()
        return {"_links": {"next": {"href": f"/v3{path}?{urlencode({'cursor': cursor})}"}}}


def page_of(request: Request, *, most: int, known: Sequence[str]) -> Page:
    """The page that a request asks for. Raises `RefusedError` (400) for what cannot be."""
    query, after = dict(request.query), 0
    if "cursor" in query:
        try:
            inside = base64.urlsafe_b64decode(query["cursor"].encode()).decode()
            query = dict(parse_qsl(inside, keep_blank_values=True, strict_parsing=True))
            after = int(query.pop("next"))
        except (ValueError, KeyError, binascii.Error):
            raise invalid("cursor does not have a valid value") from None
    limit = number_of(query.pop("limit", "50"), "limit")
    if not 1 <= limit <= most:
        raise invalid(f"limit must be between 1 and {most}")
    return Page({name: value for name, value in query.items() if name in known}, limit, after)


def number_of(text: str, name: str) -> int:
    """A whole number of a query. Raises `RefusedError` (400)."""
    if not text.isascii() or not text.isdigit():
        raise invalid(f"{name} does not have a valid value")
    return int(text)


def flag_of(query: Mapping[str, str], name: str) -> bool:
    """A flag of a query. Raises `RefusedError` (400)."""
    return one_of(query, name, ("false", "true"), "false") == "true"


def one_of(query: Mapping[str, str], name: str, values: Sequence[str], default: str) -> str:
    """One of these values. Raises `RefusedError` (400)."""
    value = query.get(name, default)
    if value not in values and value != default:
        raise invalid(f"{name} does not have a valid value")
    return value


def several_of(query: Mapping[str, str], name: str, values: Sequence[str]) -> list[str]:
    """Some of these values, with commas between them. Raises `RefusedError` (400)."""
    found = [each for each in query.get(name, "").split(",") if each]
    if any(each not in values for each in found):
        raise invalid(f"{name} does not have a valid value")
    return found
