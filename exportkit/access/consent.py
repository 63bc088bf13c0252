"""Consent: personal data leaves for a third party only after somebody has agreed to it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from exportkit.errors import PermissionDeniedError

if TYPE_CHECKING:
    from exportkit.config.connection import ConnectionFile
    from exportkit.records import Description


def require_consent(connection: ConnectionFile, description: Description) -> None:
    """Return if the connection may send. Raises PermissionDeniedError if nobody has agreed.

    A destination that keeps the data on this machine needs no consent.
    """
    if not description.third_party:
        return
    document = connection.document
    if connection.consent is None:
        raise PermissionDeniedError(
            f"nobody has agreed that personal data may leave for {description.title}",
            location=document.locate(()),
            hint="if you have the right to send these people's data there: exportkit connection "
            f"authorize {connection.name}; it writes `consent: {{agreed_by: ..., agreed_on: ...}}` "
            "into this file",
        )
    if connection.consent.agreed_on > date.today():
        raise PermissionDeniedError(
            f"the consent to send to {description.title} is dated in the future",
            location=document.locate(("consent", "agreed_on")),
            hint="write the day on which it was given",
        )
