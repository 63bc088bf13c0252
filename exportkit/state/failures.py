"""What goes wrong with the journal's file, in words that say what to do."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from exportkit.errors import JournalError

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.exc import SQLAlchemyError

UNWRITABLE = "the user who runs exportkit has to be able to write to the state folder"
_LITTLE = 100_000
"""So few free bytes that SQLite, which can say no more than that I/O failed, found none."""
_DAMAGED = ("malformed", "not a database", "no such", "no column", "NoResultFound")
AWAY = (
    "move the file away (keep it), then run again: exportkit starts a new one. The snapshots still "
    "say what was delivered; what a run that died had sent is sent again"
)


def journal_error(path: Path, error: SQLAlchemyError) -> JournalError:
    """What SQLite says of the journal, with what to do about it."""
    reason = str(getattr(error, "orig", None) or type(error).__name__)
    if any(words in reason for words in _DAMAGED):
        return JournalError(f"the journal {path} is damaged: {reason}", hint=AWAY)
    if "I/O" in reason and shutil.disk_usage(path.parent).free < _LITTLE:
        reason = "the disk is full"
    hint = "look at the disk and the rights of the state folder, then run again: nothing is lost"
    return JournalError(f"the journal {path} does not work: {reason}", hint=hint)
