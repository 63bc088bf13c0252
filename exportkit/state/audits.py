"""An entry of the audit as it was written down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = 'at, "user", host, action, subject, CAST(details AS TEXT) AS details'
"""What `entry_of` reads of the journal's table."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what, when and on which host. `details` are names and ids, never values."""

    at: datetime
    user: str
    host: str
    action: str
    subject: str
    details: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The entry as one of `audit --json`."""
        return {
            "at": self.at.isoformat(),
            "user": self.user,
            "host": self.host,
            "action": self.action,
            "subject": self.subject,
            "details": dict(self.details),
        }


def entry_of(row: Mapping[str, Any]) -> AuditEntry:
    """The entry of a row of the journal's table."""
    return AuditEntry(
        datetime.fromisoformat(row["at"]),
        row["user"],
        row["host"],
        row["action"],
        row["subject"],
        json.loads(row["details"]),
    )
