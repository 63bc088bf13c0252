"""`exportkit run`."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from exportkit.cli import completing, log, report, results
from exportkit.cli.opening import open_house, workspace_of
from exportkit.errors import EXIT_BAD_FILES, EXIT_OK, EXIT_ORDER, UsageError, exit_code_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from types import FrameType

    from exportkit.config.workspace import Workspace
    from exportkit.host.loader import Host
    from exportkit.operations.tasks import Task, Tasks
    from exportkit.pipeline.work import Orders
    from exportkit.records import Run
    from exportkit.state.house import House


@click.command()
@click.argument("jobs", nargs=-1, metavar="[JOB]...", shell_complete=completing.jobs)
@click.option("--all", "all_jobs", is_flag=True, help="Every job that has a schedule.")
@click.option("--due", is_flag=True, help="What fell due since its last scheduled run; for cron.")
@click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="How many jobs at a time, each in a process of its own.",
)
@click.option("--full", is_flag=True, help="Send every accepted row, whether it changed or not.")
@click.option("--plan-id", help="Apply this plan, as `plan` made it, if it still holds.")
@click.option("--retry-refused", is_flag=True, help="Send what the destination has refused again.")
@click.option("--allow-empty", is_flag=True, help="Let an empty source empty the destination.")
@click.option("--allow-removals", is_flag=True, help="Exceed `limits.removals` this once.")
@click.option("--allow-rejections", is_flag=True, help="Exceed `limits.rejections` this once.")
@click.option("--quiet", is_flag=True, help="Say only what went wrong, so that cron mails only it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def run(ctx: click.Context, /, **options: Any) -> int:
    """Run jobs: by name or by file, all that have a schedule, or those that are due.

    \b
    Exit codes: 0 delivered, 1 failed, 2 bad usage or bad files, 3 a guard stopped it,
    4 consent, permission or credentials are missing, 75 try again later.

    \b
    Examples:
      exportkit run vip-newsletter
      exportkit run --all --parallel 4 --json
      exportkit run --due --quiet        in crontab: exportkit schedule show
    """
    from exportkit.host.loader import load_plugins

    asked = _Asked(**options)
    asked.check()
    workspace = workspace_of(ctx)
    plugins = cache(load_plugins)
    with (
        open_house(workspace) as house,
        _stop_signals() as stop,
        _tasks(workspace, plugins, house, asked) as found,
    ):
        if found.news or not asked.quiet:
            report.show_complaints(found.unreadable)
        if asked.tells and not found.unreadable:
            report.show_warnings(workspace.warnings)
        runs = _runs(_Floor(workspace, plugins, house, asked, stop), found.tasks)
    return _answer(asked, found, runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the command line asks for."""

    jobs: tuple[str, ...]
    all_jobs: bool
    due: bool
    parallel: int
    full: bool
    plan_id: str | None
    retry_refused: bool
    allow_empty: bool
    allow_removals: bool
    allow_rejections: bool
    quiet: bool
    as_json: bool

    @property
    def tells(self) -> bool:
        """Whether a report of every run is wanted."""
        return not self.as_json and not self.quiet

    def check(self) -> None:
        """Return if it goes together. Raises UsageError if not."""
        if sum((bool(self.jobs), self.all_jobs, self.due)) != 1:
            hint = "name them, or say --all or --due: exportkit run JOB..."
            raise UsageError("which jobs?", hint=hint)
        if self.plan_id and (len(self.jobs) != 1 or self.full):
            hint = "name that job"
            raise UsageError("--plan-id goes with one job, as it was planned", hint=hint)

    def orders(self, stop: threading.Event) -> Orders:
        """The same, for one run."""
        from exportkit.pipeline.handover import Allowed
        from exportkit.pipeline.work import Orders

        allowed = Allowed(self.allow_empty, self.allow_removals, self.allow_rejections)
        return Orders(
            self.full, self.retry_refused, self.plan_id, allowed=allowed, stopped=stop.is_set
        )

    def flags(self) -> list[str]:
        """The same, for the command line of a process that runs one job."""
        names = ("full", "retry_refused", "allow_empty", "allow_removals", "allow_rejections")
        given = [name for name in (*names, "quiet") if getattr(self, name)]
        return ["--json", *(f"--{name.replace('_', '-')}" for name in given)]


@dataclass(frozen=True, slots=True)
class _Floor:
    """What runs of several jobs share."""

    workspace: Workspace
    plugins: Callable[[], Host]
    house: House
    asked: _Asked
    stop: threading.Event

    def arguments(self, task: Task) -> list[str]:
        """The command line that runs one job in another process."""
        file, form = str(task.job.document.path.resolve()), log.chosen() or "text"
        where = ["--workspace", str(self.workspace.root), "--log-format", form]
        return [*where, "run", file, *self.asked.flags()]


def _tasks(
    workspace: Workspace, plugins: Callable[[], Host], house: House, asked: _Asked
) -> AbstractContextManager[Tasks]:
    from exportkit.operations import tasks

    if asked.due:
        return tasks.due_tasks(workspace, plugins, house)
    if asked.all_jobs:
        return nullcontext(tasks.all_tasks(workspace, plugins()))
    return nullcontext(tasks.named_tasks(workspace, plugins(), asked.jobs))


def _runs(floor: _Floor, tasks: Sequence[Task]) -> list[Run]:
    """Run them, and tell how each went as it ends."""
    asked, done = floor.asked, []
    for task, run in _each(floor, tasks):
        task.ended(run)
        done.append(run)
        if asked.tells or (asked.quiet and not asked.as_json and run.error is not None):
            journaled = floor.house.journal.run(run.run_id)
            reasons = journaled.reasons if journaled else ()
            folder = floor.house.state.run(run.run_id)
            if run.counts.refused:
                floor.house.shelf.bring(folder / "refused")
            refusals = results.refusals_of(run, folder)
            results.show_run(run, reasons, refusals, results.next_steps(run, task.job))
    if asked.tells and len(done) > 1:
        results.show_together(done)
    return done


def _each(floor: _Floor, tasks: Sequence[Task]) -> Iterator[tuple[Task, Run]]:
    from exportkit.operations.concluding import conclude

    apart = floor.asked.parallel > 1 and len(tasks) > 1
    for task, done in _apart(floor, tasks) if apart else _one_by_one(floor, tasks):
        yield task, done
        # A process tells of its run itself. Of one that could not begin somebody wants to know too.
        if not apart or task.prepared is None:
            notes = conclude(floor.workspace, task.job, floor.plugins(), floor.house, done)
            report.show_notes(notes, done.run_id)


def _apart(floor: _Floor, tasks: Sequence[Task]) -> Iterator[tuple[Task, Run]]:
    from exportkit.operations.processes import run_in_processes

    most, stopped = floor.asked.parallel, floor.stop.is_set
    return run_in_processes(tasks, most, floor.arguments, floor.house, stopped)


def _one_by_one(floor: _Floor, tasks: Sequence[Task]) -> Iterator[tuple[Task, Run]]:
    return ((task, _run_here(floor, task)) for task in tasks)


def _run_here(floor: _Floor, task: Task) -> Run:
    from exportkit.cli.watch import watching
    from exportkit.operations.tasks import refused
    from exportkit.pipeline.run import run_job

    if task.prepared is None:
        assert task.error is not None
        return refused(task, floor.house, task.error)
    with watching(task.job.name, quiet=floor.asked.quiet) as watch:
        return run_job(task.prepared, floor.house, floor.asked.orders(floor.stop), watch)


def _answer(asked: _Asked, found: Tasks, runs: Sequence[Run]) -> int:
    """Print the JSON if it is wanted; answers the exit code that speaks for all."""
    if asked.as_json:
        from exportkit.errors import ConfigError

        document: dict[str, Any] = {"runs": [done.as_dict() for done in runs]}
        if found.unreadable:
            document["error"] = report.error_document(ConfigError(complaints=found.unreadable))
        report.show_json(document)
    elif not runs and not found.unreadable and asked.tells and report.is_terminal():
        report.show_notes(["nothing is due: `exportkit status` says when"])
    codes = {exit_code_of(done.error.kind if done.error else None) for done in runs}
    if found.unreadable:
        codes.add(EXIT_BAD_FILES)
    return next((code for code in EXIT_ORDER if code in codes), EXIT_OK)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that the first SIGTERM or Ctrl-C sets; the second stops the process at once."""
    stop = threading.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    before: dict[signal.Signals, Any] = {}

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        for each in signals:
            signal.signal(each, signal.SIG_DFL)

    for each in signals:
        before[each] = signal.signal(each, ask)
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
