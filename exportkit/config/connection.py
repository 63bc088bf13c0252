"""A connection: an account at a destination, who may use it, and the consent to send there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exportkit.config.documents import Document

DEFAULT_USE = ("admin",)


@dataclass(frozen=True, slots=True)
class Consent:
    """Somebody's yes to sending personal data to this third party, as reviewed in git."""

    agreed_by: str
    agreed_on: date


@dataclass(frozen=True, slots=True)
class ConnectionFile:
    """One file of `connections/`, as written: `options` may hold unresolved references."""

    name: str
    display_name: str
    type: str
    use: tuple[str, ...]
    consent: Consent | None
    options: Mapping[str, Any] = field(repr=False)
    document: Document = field(repr=False, compare=False)


def read_connection(document: Document) -> ConnectionFile:
    """The record of a document that `schemas.check` found nothing wrong with."""
    data, text = document.data, document.text
    name = text(("name",)) or ""
    use = data.get("use")
    return ConnectionFile(
        name=name,
        display_name=text(("display_name",)) or name,
        type=text(("type",)) or "",
        use=DEFAULT_USE if use is None else tuple(use),
        consent=_consent(document) if data.get("consent") else None,
        options=data.get("options") or {},
        document=document,
    )


def _consent(document: Document) -> Consent:
    agreed_on = document.text(("consent", "agreed_on")) or ""
    return Consent(document.text(("consent", "agreed_by")) or "", date.fromisoformat(agreed_on))
