"""How long the state keeps what it must not keep for ever: in the workspace, and per job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exportkit.config.scalars import parse_duration

if TYPE_CHECKING:
    from datetime import timedelta

    from exportkit.config.documents import Document


@dataclass(frozen=True, slots=True)
class Retention:
    """How long runs and their rejected rows are kept. None: the file does not say.

    `retention: 90d` sets both; `retention: {runs: 90d, rejections: 30d}` each.
    """

    runs: timedelta | None = None
    rejections: timedelta | None = None


def read_retention(document: Document) -> Retention | None:
    """The `retention:` of a checked document, if it has one."""
    entry = document.data.get("retention")
    if entry is None:
        return None
    if not isinstance(entry, dict):
        both = parse_duration(entry)
        return Retention(both, both)
    runs, rejections = (document.text(("retention", part)) for part in ("runs", "rejections"))
    return Retention(
        parse_duration(runs) if runs else None,
        parse_duration(rejections) if rejections else None,
    )
