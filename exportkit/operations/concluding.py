"""After a run: plugins hear of it, people are told, metrics and spans are written.

The run is over and in the journal by then, so whatever fails here is a warning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exportkit.errors import ExportkitError
from exportkit.redaction import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exportkit.config.job import Job
    from exportkit.config.workspace import Workspace
    from exportkit.host.loader import Host
    from exportkit.records import Run
    from exportkit.state.house import House


def conclude(
    workspace: Workspace, job: Job, host: Host, house: House, done: Run
) -> tuple[str, ...]:
    """Tell everybody who wants to know that a run has ended; answers a line for each failure."""
    steps: tuple[Callable[[], Sequence[str]], ...] = (
        lambda: host.run_finished(done),
        lambda: _metrics(workspace, house),
        lambda: _notices(workspace, job, house, done),
        lambda: _span(job, done),
    )
    return tuple(line for step in steps for line in _harmless(step))


def _harmless(step: Callable[[], Sequence[str]]) -> Sequence[str]:
    try:
        return step()
    except ExportkitError as error:
        return [f"warning: {complaint}" for complaint in error.complaints]
    except Exception as error:  # noqa: BLE001 - the run is over, and nothing here undoes that
        return [f"warning: exportkit has a defect: {describe(error)}"]


def _metrics(workspace: Workspace, house: House) -> Sequence[str]:
    from exportkit.operations.measuring import write_metrics

    write_metrics(workspace, house)
    return ()


def _notices(workspace: Workspace, job: Job, house: House, done: Run) -> Sequence[str]:
    own, everybodys = job.notify, workspace.notify
    entries = everybodys if own is None else own
    if not entries:
        return ()
    from exportkit.operations.notifying import notify

    told = notify(house.journal, entries, done, workspace.root)
    return [f"warning: {line}" for line in told]


def _span(job: Job, done: Run) -> Sequence[str]:
    from exportkit.operations.tracing import trace

    return [f"warning: {line}" for line in trace(done, job.connection or "")]
