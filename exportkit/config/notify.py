"""Whom to tell how runs ended: in a job, or in `exportkit.yaml` for the jobs that say nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from exportkit.config.documents import Document, Steps

Occasion = Literal["failure", "guard", "recovery", "always"]

OCCASIONS: tuple[Occasion, ...] = get_args(Occasion)
DEFAULT_ON: tuple[Occasion, ...] = ("failure", "guard", "recovery")


@dataclass(frozen=True, slots=True)
class Notify:
    """One entry: `to` is a reference to an Apprise address, which may hold a token; it stands at
    `at` in `document`, where it is resolved only when somebody has to be told.
    """

    to: str
    on: tuple[Occasion, ...] = DEFAULT_ON
    at: Steps = field(default=(), repr=False, compare=False)
    document: Document | None = field(default=None, repr=False, compare=False)


def read_notify(document: Document) -> tuple[Notify, ...] | None:
    """The `notify:` of a checked document, one entry or a list; None if it does not have any."""
    entry = document.data.get("notify")
    if entry is None:
        return None
    if not isinstance(entry, list):
        return (_read_entry(document, ("notify",)),)
    return tuple(_read_entry(document, ("notify", number)) for number in range(len(entry)))


def _read_entry(document: Document, at: Steps) -> Notify:
    to = document.text((*at, "to")) or ""
    on = document.part((*at, "on"))
    return Notify(to, tuple(on or DEFAULT_ON), (*at, "to"), document)
