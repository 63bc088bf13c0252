"""Who did what: the operating system's user, on which host, in the journal."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exportkit.state.journal import Journal


def note(journal: Journal, action: str, subject: str, **details: object) -> None:
    """Record that the current user did something. Details are names and ids, never values."""
    journal.audit(action, subject, current_user(), socket.gethostname(), **details)


def current_user() -> str:
    """The name of the user whose process this is, by the system and not by the environment."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
