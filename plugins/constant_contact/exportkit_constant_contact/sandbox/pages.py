"""The few pages that somebody sees who signs in."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from .exchange import Answer

if TYPE_CHECKING:
    from .exchange import Request

_STYLE = (
    "body{font:17px/1.5 sans-serif;max-width:32em;margin:4em auto;padding:0 1em}a{margin-right:2em}"
)


def page_asking(request: Request, scope: str) -> Answer:
    """Asks whether the application may in; the answers are links to the same page."""
    links = "".join(
        f'<a href="?{escape(urlencode({**request.query, "decision": decision}))}">{text}</a>'
        for decision, text in (("allow", "Allow"), ("refuse", "Refuse"))
    )
    rights = "".join(f"<li>{escape(each)}</li>" for each in scope.split())
    return _page(
        200,
        "<h1>Sign in to the sandbox</h1><p>An application asks for:</p>"
        f"<ul>{rights}</ul><p>{links}</p>",
    )


def page_refusing(why: str) -> Answer:
    """Says why nothing can be asked here."""
    return _page(400, f"<h1>This cannot be</h1><p>{escape(why)}.</p>")


def page_saying(text: str) -> Answer:
    """Says something good."""
    return _page(200, f"<h1>Done</h1><p>{escape(text)}</p>")


def _page(status: int, inside: str) -> Answer:
    text = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Sandbox</title>"
        f"<style>{_STYLE}</style>{inside}</html>"
    )
    return Answer(status, text.encode(), "text/html; charset=utf-8")
