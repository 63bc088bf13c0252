"""What outlives a run, opened: the state folder, its journal, its locks."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from exportkit.state.folder import StateFolder
    from exportkit.state.journal import Journal
    from exportkit.state.shelf import Shelf


class House:
    """A state folder in use. The journal opens when it is needed."""

    def __init__(self, state: StateFolder) -> None:
        self.state = state
        self._opened = ExitStack()

    def __enter__(self) -> House:
        return self

    def __exit__(self, *raised: object) -> None:
        self._opened.close()
        self.shelf.close()

    @cached_property
    def journal(self) -> Journal:
        """The open journal. Raises JournalError where it cannot be opened."""
        from exportkit.state.journal import open_journal, open_shared_journal

        if self.state.database is not None:
            return self._opened.enter_context(open_shared_journal(self.state.database))
        return self._opened.enter_context(open_journal(self.state.journal))

    def lock(self, job: str) -> AbstractContextManager[None]:
        """One run of a job at a time. Raises BusyError, at once, if another process runs it."""
        return self.shelf.held(self.state.locks / f"{job}.lock", f"job '{job}'")

    def runner(self, job: str) -> dict[str, Any] | None:
        """Who runs the job now: pid, host, since. None if nobody does."""
        return self.shelf.holder(self.state.locks / f"{job}.lock")

    @property
    def shelf(self) -> Shelf:
        """What all runners see."""
        return self.state.shelf
