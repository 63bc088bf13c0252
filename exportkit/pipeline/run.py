"""The sentence that joins the stages: prepare, read, map, plan, guard, push, remember.

Read `run_job` first; the rest of the file are its clauses.
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from exportkit.access.consent import require_consent
from exportkit.engines.duckdb import DuckEngine
from exportkit.engines.frames import KEY
from exportkit.engines.parquet import read_batches
from exportkit.engines.sources import OpenSource, open_source
from exportkit.errors import ConfigError, DestinationError, ExportkitError
from exportkit.pipeline import outcome, push
from exportkit.pipeline.guards import Allowed, check_guards
from exportkit.pipeline.mapping import Mapping, decide_addresses, identified, map_job, map_profiles
from exportkit.pipeline.plan import WAS, Before, Plan, Rules, all_added, make_plan
from exportkit.pipeline.source import column_complaints, read_profiles
from exportkit.records import Counts, Failure, Run, RunStatus, Target
from exportkit.state import snapshots
from exportkit.state.folder import StateFolder, new_folder
from exportkit.state.locks import held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from exportkit.pipeline.prepare import Prepared
    from exportkit.state.batches import JournaledBatch
    from exportkit.state.journal import Journal

STATUSES: dict[str, RunStatus] = {
    "guard": "blocked",
    "permission": "blocked",
    "access_denied": "blocked",
    "busy": "deferred",
    "quota_spent": "deferred",
    "interrupted": "interrupted",
}
"""The status of a run that ended with an error of this kind; of any other it is `failed`."""


class Watch(Protocol):
    """Who looks on: told of each stage, and of rows on their way."""

    def stage(self, name: str, detail: str = "") -> None: ...
    def sending(self, rows: int) -> None: ...
    def sent(self, rows: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Orders:
    """How this run differs from what the job says, and how it hears that it shall stop."""

    full: bool = False
    allowed: Allowed = field(default_factory=Allowed)
    stopped: Callable[[], bool] = lambda: False


class House:
    """What outlives a run: the state folder, and the journal, which is opened when it is needed."""

    def __init__(self, state: StateFolder) -> None:
        self.state = state
        self._opened = ExitStack()

    def __enter__(self) -> House:
        return self

    def __exit__(self, *raised: object) -> None:
        self._opened.close()

    @cached_property
    def journal(self) -> Journal:
        """The open journal. Raises JournalError where it cannot be opened."""
        from exportkit.state.journal import open_journal

        return self._opened.enter_context(open_journal(self.state.journal))


@dataclass(frozen=True, slots=True)
class Work:
    """A run in the middle: planned, the session open, nothing sent."""

    prepared: Prepared
    folder: Path
    engine: DuckEngine
    session: Any
    target: Target
    snapshot: snapshots.Snapshot | None
    snapshot_folder: Path
    plan: Plan


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan to look at. `sample` holds personal data: the first changes, column by column."""

    plan_id: str
    job: str
    target: str
    plan: Plan
    reasons: list[dict[str, Any]]
    sample: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """The plan as `plan --json` shows it, without the sample."""
        return {
            "plan_id": self.plan_id,
            "job": self.job,
            "mode": self.plan.mode,
            "target": self.target,
            "counts": self.plan.counts.as_dict(),
            "changed_columns": self.plan.changed_columns,
            "reasons": self.reasons,
        }


@dataclass(slots=True)
class _Progress:
    """What is known of a run so far, for the record if it ends early."""

    record: Callable[[], None]
    counts: Counts = field(default_factory=Counts)
    reasons: list[dict[str, Any]] = field(default_factory=list)
    begun: bool = False

    def begin(self) -> None:
        """Record that the run has begun, once: before anything of it can show."""
        if not self.begun:
            self.record()
            self.begun = True


def run_job(prepared: Prepared, house: House, orders: Orders, watch: Watch) -> Run:
    """Run a job once and record it; whatever goes wrong is in the answer, never raised."""
    run_id, started_at = new_run_id(prepared.job.name), _now()
    so_far = _Progress(lambda: house.journal.begin_run(run_id, prepared.job.name, started_at, {}))
    status: RunStatus
    failure = None
    try:
        require_consent(prepared.connection, prepared.description)
        with held(house.state.locks / f"{prepared.job.name}.lock", f"job '{prepared.job.name}'"):
            streams = prepared.description.whole
            with planned(prepared, house, run_id, orders, watch, streams=streams) as work:
                so_far.counts, so_far.reasons = replace(work.plan.counts, sent=0), _reasons(work)
                _guard(work, orders)
                _deliver(work, house, orders, watch, so_far)
        status = "partial" if so_far.counts.rejected or so_far.counts.refused else "succeeded"
    except ExportkitError as error:
        status = STATUSES.get(error.kind, "failed")
        failure = Failure(error.kind, str(error), error.hint)
    run = Run(run_id, prepared.job.name, status, started_at, _now(), so_far.counts, failure)
    so_far.begin()
    house.journal.note_run(run_id, reasons=so_far.reasons)
    house.journal.end_run(run)
    return run


def plan_job(prepared: Prepared, house: House, watch: Watch) -> Planned:
    """Plan a job and send nothing. Raises ExportkitError where it cannot be planned."""
    plan_id = new_run_id(prepared.job.name)
    with planned(prepared, house, plan_id, Orders(), watch) as work:
        target = work.target.catalogue.name
        return Planned(plan_id, prepared.job.name, target, work.plan, _reasons(work), sample(work))


@contextmanager
def planned(
    prepared: Prepared,
    house: House,
    run_id: str,
    orders: Orders,
    watch: Watch,
    *,
    streams: bool = False,
) -> Iterator[Work]:
    """A plan, written to the run's folder, and everything open that carrying it out takes."""
    job = prepared.job
    folder = new_folder(house.state.run(run_id))
    (folder / "refused").mkdir(mode=0o700)
    connection = prepared.resolved_connection()
    watch.stage("reading", f"source {job.source}")
    with open_source(prepared.source, prepared.workspace.root, spill=folder) as opened:
        engine = DuckEngine(opened.connection, opened.explain)
        _check_source(prepared, opened)
        with prepared.destination.connect(connection) as session:
            target = _target(prepared, session)
            mapping = _mapping(prepared, target)
            target = replace(target, columns=mapping.columns)
            place = _snapshot_folder(house.state, prepared, target)
            snapshot = snapshots.read_snapshot(place)
            watch.stage("planning", f"{', '.join(job.segments)} of {job.source}")
            plan = _plan(prepared, opened, engine, mapping, snapshot, folder, orders, streams)
            yield Work(prepared, folder, engine, session, target, snapshot, place, plan)


def _check_source(prepared: Prepared, opened: OpenSource) -> None:
    """Raise what is wrong with predicates and columns, all at once, before a row is read."""
    complaints = [*opened.complaints(), *column_complaints(prepared.job, opened)]
    if complaints:
        raise ConfigError(complaints=complaints)


def _target(prepared: Prepared, session: Any) -> Target:
    catalogue = prepared.destination.describe_target(session, prepared.options)
    return Target(prepared.options, catalogue, prepared.workspace.root)


def _mapping(prepared: Prepared, target: Target) -> Mapping:
    declared = (*prepared.description.fields, *target.catalogue.fields)
    return map_job(prepared.job, target, declared, prepared.destination.map_fields)


def _plan(
    prepared: Prepared,
    opened: OpenSource,
    engine: DuckEngine,
    mapping: Mapping,
    snapshot: snapshots.Snapshot | None,
    folder: Path,
    orders: Orders,
    streams: bool,
) -> Plan:
    job = prepared.job
    profiles = read_profiles(job, prepared.source, opened)
    # The engine works without Python's lock: what comes next is imported meanwhile.
    _meanwhile("pyarrow.parquet", "pyarrow.compute")
    mapped = engine.hold(map_profiles(profiles, job, mapping))
    _meanwhile("exportkit.state.journal")
    mapped = identified(decide_addresses(mapped, mapping, engine), mapping)
    rules = Rules(
        columns=tuple(column.name for column in mapping.columns),
        checks=mapping.checks,
        mode="full" if orders.full else prepared.mode,
        prefer=job.on_duplicate.order if job.on_duplicate else None,
        suppresses=bool(job.suppress),
        streams=streams,
    )
    before = Before()
    if snapshot is not None:
        before = Before(
            engine.load(snapshot.delivered),
            engine.load(snapshot.refused) if snapshot.refused else None,
        )
    return make_plan(mapped, before, rules, engine, folder)


def _meanwhile(*modules: str) -> None:
    def load() -> None:
        for module in modules:
            import_module(module)

    Thread(target=load, daemon=True).start()


def _guard(work: Work, orders: Orders) -> None:
    delivered_before = work.snapshot.rows if work.snapshot else 0
    limits = work.prepared.description.limits
    check_guards(work.plan.counts, delivered_before, work.prepared.job, limits, orders.allowed)


def _deliver(work: Work, house: House, orders: Orders, watch: Watch, so_far: _Progress) -> None:
    """Send the plan, wait for the answers, remember what was confirmed, however it ends."""
    whole = work.prepared.description.whole
    ledger: push.Ledger = push.Unjournaled() if whole else house.journal
    try:
        if whole:
            # Nothing of it shows before `finish`, so that is what has to be known of before.
            _send_whole(work, _line(work, ledger, orders, watch))
            so_far.begin()
        else:
            so_far.begin()
            _send(work, _line(work, ledger, orders, watch))
        work.prepared.destination.finish(work.session, work.target)
    except ExportkitError:
        # A whole destination shows nothing before `finish`: nothing was delivered.
        batches = [] if whole else ledger.batches(work.folder.name)
        so_far.counts = _remember(work, batches)
        raise
    so_far.counts = _remember(work, ledger.batches(work.folder.name))


def _line(work: Work, ledger: push.Ledger, orders: Orders, watch: Watch) -> push.Line:
    plan, prepared = work.plan, work.prepared
    watch.sending(plan.counts.sent + plan.counts.removed)
    return push.Line(
        sender=prepared.destination,
        session=work.session,
        target=work.target,
        ledger=ledger,
        run_id=work.folder.name,
        refusals=work.folder / "refused",
        limits=prepared.description.limits,
        columns=plan.columns,
        settle_for=prepared.job.limits.settle,
        stopped=orders.stopped,
        sent=watch.sent,
    )


def _send_whole(work: Work, line: push.Line) -> None:
    """All accepted rows at once; they are written down on their way."""
    push.send(line, work.engine.passing(work.plan.rows, work.plan.accepted), "add")
    if work.snapshot is None:
        all_added(work.folder, work.plan.counts.sent)
    push.settle(line)


def _send(work: Work, line: push.Line) -> None:
    plan, lost = work.plan, 0
    # Removals wait until every addition has its answer: a person must not fall between two lists.
    for operations in (("add", "update"), ("remove",)):
        for operation in operations:
            path = outcome.sent_file(work.folder, plan.mode, operation)
            if path.exists() and not (plan.mode == "full" and operation != "add"):
                push.send(line, read_batches(path), operation)
        lost += push.settle(line)
    if lost:
        raise DestinationError(
            f"{work.prepared.description.title} took {lost:,} rows and then failed to import them",
            hint="run the job again: they are planned again",
        )


def _remember(work: Work, batches: Sequence[JournaledBatch]) -> Counts:
    """Fold what the destination confirmed into the snapshot; answers the final counts."""
    plan, run_id, folder = work.plan, work.folder.name, work.snapshot_folder
    whole = work.prepared.description.whole
    taken = sum(b.rows for b in batches if b.state == "done" and not b.refused)
    if taken == plan.counts.sent + plan.counts.removed and (work.snapshot is None or whole):
        snapshots.adopt(plan.accepted, plan.counts.sent, plan.columns, folder, run_id)
        return plan.counts
    confirmed = outcome.confirm(work.folder, plan.mode, plan.columns, batches, work.engine)
    if batches:
        before = None if whole else work.snapshot
        snapshots.fold(before, confirmed, plan.columns, work.engine, folder, run_id)
    return outcome.count(plan.counts, confirmed, work.folder, plan.mode, batches, work.engine)


def sample(work: Work, rows: int = 10) -> list[dict[str, Any]]:
    """The first few changes of a plan, column by column: operation, key, column, before, after."""
    changes: list[dict[str, Any]] = []
    for operation in ("add", "update", "remove"):
        path = work.plan.changes(operation)
        if path.exists():
            found = next(read_batches(path, rows)).to_pylist()
            changes += [_change(operation, row, work.plan.columns) for row in found]
    return changes[: 3 * rows]


def _change(operation: str, row: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    before = {name: row.get(WAS + name) for name in columns} if operation == "update" else {}
    after = {name: row[name] for name in columns}
    changed = [name for name in columns if before.get(name) != after[name]]
    return {
        "operation": operation,
        "key": row[KEY],
        "changes": {name: {"before": before.get(name), "after": after[name]} for name in changed},
    }


def _reasons(work: Work) -> list[dict[str, Any]]:
    return [
        {"column": reason.column, "reason": reason.reason, "rows": reason.rows}
        for reason in work.plan.reasons
    ]


def _snapshot_folder(state: StateFolder, prepared: Prepared, target: Target) -> Path:
    identity = target.catalogue.identity or dict(prepared.job.destination)
    return state.snapshot(prepared.job.name, [prepared.connection.type, identity])


def new_run_id(job: str) -> str:
    """A name for a run: sorts by time, says the job, and is not taken."""
    return f"{_now():%Y%m%dT%H%M%S}-{job}-{secrets.token_hex(3)}"


def _now() -> datetime:
    return datetime.now(UTC)
