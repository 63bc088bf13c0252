"""Progress on stderr: a live bar on a terminal, one plain line a stage otherwise."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from exportkit.cli import log
from exportkit.cli.report import is_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, TaskID

    from exportkit.pipeline.work import Watch


class Lines:
    """One line a stage, for logs."""

    def __init__(self, job: str) -> None:
        self._job = job

    def stage(self, name: str, detail: str = "") -> None:
        """Say which stage begins, of which run."""
        from exportkit.pipeline.record import current_run

        said = f"{name} {detail}".rstrip()
        whose = "" if log.chosen() == "json" else f"{current_run.get() or self._job}: "
        log.say(f"{whose}{said}", job=self._job, stage=name)

    def sending(self, rows: int) -> None:
        """Say how many rows are about to go out."""
        self.stage("sending", f"{rows:,} rows")

    def sent(self, rows: int) -> None:
        """Rows have gone out; a log does not need to hear of each batch."""


class Bar:
    """A live line: the stage, and the share of rows that have gone out."""

    def __init__(self, job: str, progress: Progress) -> None:
        self._job = job
        self._progress = progress
        self._task: TaskID = progress.add_task(job, total=None)

    def stage(self, name: str, detail: str = "") -> None:
        """Show which stage is on."""
        description = f"{self._job}: {name} {detail}".rstrip()
        self._progress.update(self._task, description=description, total=None, completed=0)

    def sending(self, rows: int) -> None:
        """Show rows going out from here on."""
        self._progress.update(self._task, description=f"{self._job}: sending", total=rows)

    def sent(self, rows: int) -> None:
        """Rows have gone out."""
        self._progress.advance(self._task, rows)


class Silent:
    """Nobody watches."""

    def stage(self, name: str, detail: str = "") -> None:
        """Say nothing."""

    def sending(self, rows: int) -> None:
        """Say nothing."""

    def sent(self, rows: int) -> None:
        """Say nothing."""


@contextmanager
def watching(job: str, *, quiet: bool = False) -> Iterator[Watch]:
    """What shows a run's progress, for as long as it lasts."""
    if quiet:
        yield Silent()
        return
    if log.chosen() or not is_terminal():
        yield Lines(job)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(job, progress)
