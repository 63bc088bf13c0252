"""Several jobs at a time, each in a process of its own: one that dies takes no other with it."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from exportkit.errors import InterruptedRun
from exportkit.operations.tasks import refused
from exportkit.pipeline.record import not_begun
from exportkit.records import Counts, Failure, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from exportkit.operations.tasks import Task
    from exportkit.state.house import House

_COMMAND = (sys.executable, "-c", "from exportkit.cli import start; start()")
_LOOK = 0.2
"""Seconds between looks at whether somebody asked to stop."""


def run_in_processes(
    tasks: Sequence[Task],
    most: int,
    arguments: Callable[[Task], Sequence[str]],
    house: House,
    stopped: Callable[[], bool],
) -> Iterator[tuple[Task, Run]]:
    """Run the tasks, at most so many at a time; answers each as it ends.

    `arguments` are those of the command line that runs a task and prints JSON. Whoever asks to stop
    stops them all, each at its own next safe point.
    """
    with ThreadPoolExecutor(most) as pool:
        waiting = {pool.submit(_answer, task, arguments(task), stopped): task for task in tasks}
        for done in as_completed(waiting):
            task, answer = waiting[done], done.result()
            yield task, _run(task, house, answer)


def _answer(
    task: Task, arguments: Sequence[str], stopped: Callable[[], bool]
) -> Run | Failure | None:
    """What the process says of its run; why there was none; None if it was not even begun."""
    if stopped() or task.error is not None:
        return None
    process = subprocess.Popen(
        [*_COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        # Ctrl-C at the terminal reaches this process alone, which passes it on once.
        process_group=0,
    )
    asked = False
    while True:
        try:
            out, _ = process.communicate(timeout=_LOOK)
            break
        except subprocess.TimeoutExpired:
            if stopped() and not asked:
                asked = True
                with suppress(OSError):
                    process.terminate()
    try:
        return _read(json.loads(out))
    except (ValueError, LookupError, TypeError):
        return _died(process.returncode)


def _run(task: Task, house: House, answer: Run | Failure | None) -> Run:
    if isinstance(answer, Run):
        return answer
    if isinstance(answer, Failure):
        return not_begun(house, task.job.name, answer)
    stop = InterruptedRun("the run was asked to stop before it began", hint="run the job again")
    return refused(task, house, task.error or stop)


def _read(document: dict[str, Any]) -> Run | Failure:
    if not document["runs"]:
        error = document["error"]
        return Failure(error["kind"], error["message"], error["hint"])
    (run,) = document["runs"]
    error = run["error"]
    return Run(
        run["run_id"],
        run["job"],
        run["status"],
        datetime.fromisoformat(run["started_at"]),
        datetime.fromisoformat(run["finished_at"]),
        Counts(**run["counts"]),
        Failure(error["kind"], error["message"], error["hint"]) if error else None,
    )


def _died(code: int) -> Failure:
    how = f"by signal {-code}" if code < 0 else f"with code {code}"
    return Failure(
        InterruptedRun.kind,
        f"the process of the run ended {how} before the run did",
        "run the job again: it goes on from what was done",
    )
