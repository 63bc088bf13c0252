"""`exportkit run`."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from exportkit.cli import report
from exportkit.cli.opening import open_house, prepare_jobs, scheduled_jobs, workspace_of
from exportkit.errors import EXIT_ORDER, UsageError, exit_code_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from exportkit.pipeline.prepare import Prepared
    from exportkit.pipeline.work import Orders
    from exportkit.records import Run
    from exportkit.state.house import House


@click.command()
@click.argument("jobs", nargs=-1, metavar="[JOB]...")
@click.option("--all", "all_jobs", is_flag=True, help="Every job that has a schedule.")
@click.option("--full", is_flag=True, help="Send every accepted row, whether it changed or not.")
@click.option("--plan-id", help="Apply this plan, as `plan` made it, if it still holds.")
@click.option("--retry-refused", is_flag=True, help="Send what the destination has refused again.")
@click.option("--allow-empty", is_flag=True, help="Let an empty source empty the destination.")
@click.option("--allow-removals", is_flag=True, help="Exceed `limits.removals` this once.")
@click.option("--allow-rejections", is_flag=True, help="Exceed `limits.rejections` this once.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def run(
    ctx: click.Context,
    jobs: tuple[str, ...],
    all_jobs: bool,
    full: bool,
    plan_id: str | None,
    retry_refused: bool,
    allow_empty: bool,
    allow_removals: bool,
    allow_rejections: bool,
    as_json: bool,
) -> int:
    """Run jobs, by name or by file.

    \b
    Exit codes: 0 delivered, 1 failed, 2 bad usage or bad files, 3 a guard stopped it,
    4 consent, permission or credentials are missing, 75 try again later.

    \b
    Examples:
      exportkit run vip-newsletter
      exportkit run --all --json
    """
    from exportkit.host.loader import load_plugins
    from exportkit.operations.concluding import conclude
    from exportkit.pipeline.handover import Allowed
    from exportkit.pipeline.work import Orders

    if bool(jobs) == all_jobs:
        raise UsageError("which jobs?", hint="name them, or say --all: exportkit run JOB...")
    if plan_id and (all_jobs or len(jobs) > 1 or full):
        raise UsageError("--plan-id goes with one job, as it was planned", hint="name that job")
    workspace = workspace_of(ctx)
    host = load_plugins()
    prepared = prepare_jobs(workspace, host, scheduled_jobs(workspace) if all_jobs else jobs)
    if not as_json:
        report.show_warnings(workspace.warnings)
    allowed = Allowed(allow_empty, allow_removals, allow_rejections)
    with open_house(workspace) as house, _stop_signals() as stop:
        orders = Orders(full, retry_refused, plan_id, allowed=allowed, stopped=stop.is_set)
        runs = [_run_one(job, house, orders, as_json=as_json) for job in prepared]
        for ready, done in zip(prepared, runs, strict=True):
            report.show_notes(conclude(ready, host, house, done))
    if as_json:
        report.show_json({"runs": [done.as_dict() for done in runs]})
    codes = {exit_code_of(done.error.kind if done.error else None) for done in runs}
    return next(code for code in EXIT_ORDER if code in codes)


def _run_one(prepared: Prepared, house: House, orders: Orders, *, as_json: bool) -> Run:
    from exportkit.cli.watch import watching
    from exportkit.pipeline.run import run_job

    with watching(prepared.job.name) as watch:
        done = run_job(prepared, house, orders, watch)
    if not as_json:
        journaled = house.journal.run(done.run_id)
        report.show_run(done, journaled.reasons if journaled else (), _next_steps(done))
    return done


def _next_steps(done: Run) -> list[str]:
    if done.counts.rejected or done.counts.refused:
        return [f"see them: exportkit rejections {done.job}"]
    return []


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
