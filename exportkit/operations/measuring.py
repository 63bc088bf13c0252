"""The metrics file, kept up to date: read the journal and the counts of calls, write it anew."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exportkit.durable import Draft
from exportkit.errors import ExportkitError, UsageError
from exportkit.operations.metrics import FILE_NAME, gauges_of, job_states, text_of
from exportkit.state.folder import state_folder
from exportkit.state.usage import usage_of

if TYPE_CHECKING:
    from pathlib import Path

    from exportkit.config.workspace import Workspace
    from exportkit.state.house import House
    from exportkit.state.usage import KeyUsage

PRIVATE, PUBLIC = 0o600, 0o644
"""In the state folder all is private. Elsewhere another user collects them: nothing is personal."""


def measured(workspace: Workspace, house: House) -> str:
    """The metrics as they are now. Raises JournalError where the journal cannot be read."""
    states = job_states(house.journal, workspace.job_names)
    return text_of(gauges_of(states, usage_here(workspace), datetime.now(UTC)))


def write_metrics(workspace: Workspace, house: House, to: Path | None = None) -> str:
    """Replace the file, by default the state folder's, and answer what is in it.

    Raises UsageError where it cannot be written.
    """
    text = measured(workspace, house)
    write_page(to or house.state.home / FILE_NAME, text, PUBLIC if to else PRIVATE)
    return text


def write_page(path: Path, text: str, mode: int) -> None:
    """Replace a file by this text, whole or not at all. Raises UsageError where that cannot be."""
    try:
        path = path.resolve()  # a link stays, and what it leads to is replaced
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no file", hint="name one; it may be a new one")
        with Draft(path, mode) as draft:
            draft.file.write(text.encode("utf-8", "replace"))
            draft.commit()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {(error.strerror or 'failed').lower()}",
            hint="name a file in a folder that you may write to, on a disk with space left",
        ) from None


def usage_here(workspace: Workspace) -> list[KeyUsage]:
    """The calls of the workspace's connections; none where the machine has no place to count."""
    try:
        return usage_of(workspace.root, state_folder(workspace.root, workspace.state))
    except (ExportkitError, OSError):
        return []
