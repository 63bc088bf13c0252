"""The sentence that joins the stages: prepare, read, map, accept, plan, guard, push, remember.

Read `run_job` first; the rest of the file are its clauses.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any

import narwhals as nw

from exportkit.access.consent import require_consent
from exportkit.engines.desk import open_desk
from exportkit.engines.duckdb import DuckEngine
from exportkit.engines.frames import KEY
from exportkit.engines.parquet import read_batches, read_rows
from exportkit.engines.sources import open_source
from exportkit.errors import ConfigError, DestinationError, ExportkitError, GuardError
from exportkit.pipeline import outcome, push
from exportkit.pipeline.accept import accept
from exportkit.pipeline.guards import check_guards
from exportkit.pipeline.handover import Accepted, Before, Plan, ReasonCount, Rules
from exportkit.pipeline.mapping import (
    decide_addresses,
    identified,
    map_job,
    map_profiles,
)
from exportkit.pipeline.plan import all_added, make_plan, sample
from exportkit.pipeline.record import Record, counts_before_sending, new_run_id
from exportkit.pipeline.review import (
    Inputs,
    inputs_of,
    is_volatile,
    read_reviewed,
    write_reviewed,
)
from exportkit.pipeline.source import column_complaints, read_profiles
from exportkit.pipeline.work import Orders, Planned, Watch, Work
from exportkit.records import Counts, Run, Target
from exportkit.state import snapshots
from exportkit.state.batches import Unjournaled
from exportkit.state.folder import new_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exportkit.pipeline.prepare import Prepared
    from exportkit.records import Mode, Operation
    from exportkit.state.batches import JournaledBatch
    from exportkit.state.house import House


def run_job(prepared: Prepared, house: House, orders: Orders, watch: Watch) -> Run:
    """Run a job once and record it; whatever goes wrong is in the answer, never raised."""
    record = Record(house, prepared.job.name, orders.plan_id)
    with record.outcome():
        require_consent(prepared.connection, prepared.description)
        with (
            house.lock(prepared.job.name),
            working(prepared, house, record.run_id, orders, watch) as work,
        ):
            _recover(work)
            plan = _reviewed(work) if orders.plan_id else _planned(work, streams=work.whole)
            record.learn(plan.counts, plan.reasons)
            before = snapshots.read_snapshot(work.place)
            limits = prepared.description.limits
            check_guards(
                plan.counts, before.rows if before else 0, prepared.job, limits, orders.allowed
            )
            _deliver(work, plan, record)
    return record.close()


def plan_job(prepared: Prepared, house: House, orders: Orders, watch: Watch) -> Planned:
    """Plan a job and send nothing. Raises ExportkitError where it cannot be planned."""
    job = prepared.job.name
    with working(prepared, house, new_run_id(job), orders, watch) as work:
        plan = _planned(work)
        write_reviewed(plan, _inputs(work))
        return Planned(job, work.target.catalogue.name, plan, sample(plan))


@contextmanager
def working(
    prepared: Prepared, house: House, run_id: str, orders: Orders, watch: Watch
) -> Iterator[Work]:
    """Everything open that planning and carrying out takes."""
    job = prepared.job
    if orders.plan_id is None:
        (new_folder(house.state.run(run_id)) / "refused").mkdir(mode=0o700)
    connection = prepared.resolved_connection()
    watch.stage("reading", f"source {job.source}")
    folder = house.state.run(run_id)
    with (
        open_source(prepared.source, prepared.workspace.root, spill=folder) as opened,
        open_desk(folder) as desk,
    ):
        if complaints := [*opened.complaints(), *column_complaints(job, opened)]:
            raise ConfigError(complaints=complaints)
        engine = DuckEngine(lambda: opened.connection, opened.explain)
        with prepared.destination.connect(connection) as session:
            catalogue = prepared.destination.describe_target(session, prepared.options)
            target = Target(prepared.options, catalogue, prepared.workspace.root)
            declared = (*prepared.description.fields, *catalogue.fields)
            mapping = map_job(job, target, declared, prepared.destination.map_fields)
            yield Work(
                prepared=prepared,
                house=house,
                orders=orders,
                watch=watch,
                run_id=run_id,
                opened=opened,
                engine=engine,
                desk=desk,
                session=session,
                target=replace(target, columns=mapping.columns),
                mapping=mapping,
                place=house.state.snapshot(job.name, prepared.target_identity(catalogue.identity)),
            )


def _planned(work: Work, *, streams: bool = False) -> Plan:
    """Read, map, accept and compare; the plan is written to the run's folder."""
    job, engine, mapping = work.prepared.job, work.engine, work.mapping
    if (same := _same_as_last(work)) is not None:
        return same
    work.watch.stage("planning", f"{', '.join(job.segments)} of {job.source}")
    profiles = read_profiles(job, work.prepared.source, work.opened)
    # The engine works without Python's lock: what comes next is imported meanwhile.
    _meanwhile("pyarrow.parquet", "pyarrow.compute", "email_validator")
    mapped = engine.hold(map_profiles(profiles, job, mapping))
    _meanwhile("exportkit.state.journal")
    mapped = identified(decide_addresses(mapped, mapping, engine), mapping)
    columns = tuple(column.name for column in mapping.columns)
    prefer = job.on_duplicate.order if job.on_duplicate else None
    rules = Rules(columns, mapping.checks, prefer, bool(job.suppress))
    accepted = accept(mapped, rules, engine, work.folder / "rejections.parquet")
    mode = "full" if work.orders.full else work.prepared.mode
    if streams:
        before = _before(work, engine)
        return make_plan(accepted, before, columns, mode, engine, work.folder, streams=True)
    accepted = _laid_down(work, accepted, mode)
    before = _before(work, work.desk)
    return make_plan(accepted, before, columns, mode, work.desk, work.folder)


def _laid_down(work: Work, accepted: Accepted, mode: Mode) -> Accepted:
    """The accepted rows as files on the desk; the engine that read the source may forget them."""
    rows = work.folder / "accepted.parquet"
    work.engine.write(accepted.rows, rows)
    laid = replace(accepted, rows=work.desk.load(rows))
    if mode == "mirror":
        staying = work.folder / "staying.parquet"
        work.engine.write(accepted.staying, staying)
        laid = replace(laid, staying=work.desk.load(staying))
    work.engine.clear()
    return laid


def _same_as_last(work: Work) -> Plan | None:
    """The plan of a run that has nothing to do: nothing changed since the last one.

    The source is not even read then; its fingerprint says that there is nothing new in it.
    """
    orders, mode = work.orders, work.prepared.mode
    if mode == "full" or orders.full or orders.retry_refused or is_volatile(work.prepared):
        return None
    last = next(iter(work.house.journal.runs(work.prepared.job.name, limit=1)), None)
    if last is None or last.facts.get("after") != asdict(_inputs(work)) or last.counts.unsettled:
        return None
    done = last.counts
    unchanged = done.unchanged + done.added + done.updated
    counts = replace(done, unchanged=unchanged, added=0, updated=0, removed=0, sent=0)
    reasons = tuple(ReasonCount(**reason) for reason in last.reasons)
    columns = tuple(column.name for column in work.mapping.columns)
    return Plan(work.folder, mode, columns, counts, None, reasons)


def _before(work: Work, engine: DuckEngine) -> Before:
    """What earlier runs, and other jobs with the same target, have delivered."""
    snapshot = snapshots.read_snapshot(work.place)
    others = snapshots.others(work.place) if work.prepared.mode == "mirror" else []
    elsewhere = [engine.load(other.delivered).select(KEY) for other in others]
    return Before(
        delivered=engine.load(snapshot.delivered) if snapshot else None,
        refused=None
        if snapshot is None or snapshot.refused is None or work.orders.retry_refused
        else engine.load(snapshot.refused),
        elsewhere=engine.hold(nw.concat(elsewhere)) if elsewhere else None,
        unsettled=_unsettled(work, engine),
    )


def _reviewed(work: Work) -> Plan:
    """The plan that was looked at, if nothing that it was made from has changed since."""
    plan = read_reviewed(work.folder, _inputs(work))
    if work.house.journal.run(work.run_id) is not None:
        raise GuardError(
            f"plan {work.run_id} has been applied already", hint="look at a new plan and run that"
        )
    return plan


def _inputs(work: Work) -> Inputs:
    snapshot = snapshots.read_snapshot(work.place)
    source, target = work.opened.fingerprint(), work.place.name
    return inputs_of(work.prepared, source, target, snapshot.run_id if snapshot else None)


def _deliver(work: Work, plan: Plan, record: Record) -> None:
    """Send the plan, wait for the answers, and remember what was confirmed, however it ends."""
    line = _line(work, work.run_id, plan.columns)
    facts = {"mode": plan.mode, "columns": plan.columns, "counts": plan.counts.as_dict()}
    try:
        if work.whole:
            _send_whole(work, plan, line)
            # Nothing of it shows before `finish`, so that is what has to be known of before.
            record.begin(work.place.name, facts)
            work.prepared.destination.finish(work.session, work.target)
        else:
            record.begin(work.place.name, facts, folded=False)
            _send_changes(work, plan, line)
    except ExportkitError:
        if not work.whole:
            record.counts = _remember(work, plan, line.ledger.batches(work.run_id))
        raise
    record.counts = _remember(work, plan, line.ledger.batches(work.run_id))
    record.note(facts={**facts, "after": asdict(_inputs(work))})


def _line(work: Work, run_id: str, columns: Sequence[str]) -> push.Line:
    return push.Line(
        sender=work.prepared.destination,
        session=work.session,
        target=work.target,
        ledger=Unjournaled() if work.whole else work.house.journal,
        run_id=run_id,
        refusals=work.house.state.run(run_id) / "refused",
        limits=work.prepared.description.limits,
        columns=tuple(columns),
        settle_for=work.prepared.job.limits.settle,
        stopped=work.orders.stopped,
        sent=work.watch.sent,
    )


def _send_whole(work: Work, plan: Plan, line: push.Line) -> None:
    """All accepted rows at once; unless they are there already, they are written on their way."""
    work.watch.sending(plan.counts.sent)
    if plan.rows is None:
        push.send(line, read_batches(plan.accepted), "add")
    else:
        push.send(line, work.engine.passing(plan.rows, plan.accepted), "add")
        if plan.counts.added == plan.counts.sent:
            all_added(plan.folder, plan.counts.sent)
    push.settle(line)


def _send_changes(work: Work, plan: Plan, line: push.Line) -> None:
    work.watch.sending(plan.counts.sent + plan.counts.removed)
    lost = 0
    # Removals wait until every addition has its answer: a person must not fall between two lists.
    first: tuple[Operation, ...] = ("add",) if plan.mode == "full" else ("add", "update")
    last: tuple[Operation, ...] = ("remove",)
    for operations in (first, last):
        for operation in operations:
            path = plan.sent_file(operation) if operation != "remove" else plan.changes("remove")
            if path.exists():
                push.send(line, read_batches(path), operation)
        lost += push.settle(line)
    if lost:
        raise DestinationError(
            f"{work.prepared.description.title} took {lost:,} rows and then failed to import them",
            hint="run the job again: they are planned again",
        )
    if plan.counts.sent or plan.counts.removed:
        work.prepared.destination.finish(work.session, work.target)


def _remember(work: Work, plan: Plan, batches: Sequence[JournaledBatch]) -> Counts:
    """Fold what the destination confirmed into the snapshot; answers what the run comes to."""
    before, desk = snapshots.read_snapshot(work.place), work.desk
    run_id, columns, counts = plan.folder.name, plan.columns, plan.counts
    done = [batch for batch in batches if batch.state == "done"]
    planned = counts.sent + counts.removed
    complete = sum(batch.rows for batch in done if not batch.refused) == planned
    if complete and (work.whole or (done and _is_all(plan, before))):
        kept = counts.added + counts.updated + counts.unchanged
        snapshots.adopt(plan.accepted, kept, columns, work.place, run_id)
    elif batches:
        confirmed = outcome.confirm(plan, done, desk)
        counts = outcome.count(plan, confirmed, batches, desk)
        if done:
            old = None if work.whole else before
            snapshots.fold(old, confirmed, columns, desk, work.place, run_id)
    elif planned:
        counts = counts_before_sending(counts)
    if not work.whole:
        work.house.journal.mark_folded(run_id)
    return counts


def _is_all(plan: Plan, before: snapshots.Snapshot | None) -> bool:
    """Whether the accepted rows are all that the target holds once the plan is carried out."""
    if before is None:
        return True
    counts = plan.counts
    met_again = counts.unchanged + counts.updated + counts.removed
    return plan.mode != "insert" and before.refused is None and before.rows == met_again


def _recover(work: Work) -> None:
    """Take up what earlier runs left open: ask for their answers, and remember what was confirmed.

    After a crash there is no other way in than this one.
    """
    if work.whole:
        return
    journal, state = work.house.journal, work.house.state
    for earlier in journal.open_runs(work.prepared.job.name, work.place.name):
        work.watch.stage("settling", earlier.run_id)
        facts = earlier.facts
        columns, counts = tuple(facts["columns"]), Counts(**facts["counts"])
        plan = Plan(state.run(earlier.run_id), facts["mode"], columns, counts)
        push.resume(
            _line(work, earlier.run_id, columns),
            journal.batches(earlier.run_id),
            lambda batch, plan=plan: read_rows(  # type: ignore[misc]
                plan.sent_file(batch.operation), batch.first_row, batch.rows
            ),
        )
        counts = _remember(work, plan, journal.batches(earlier.run_id))
        journal.note_run(earlier.run_id, counts=counts.as_dict())
    for run_id in journal.dead_runs(work.prepared.job.name):
        journal.interrupt(run_id)


def _unsettled(work: Work, engine: DuckEngine) -> Any:
    """The keys of which nobody can say yet whether an earlier run delivered them."""
    if work.whole:
        return None
    journal, frames = work.house.journal, []
    for earlier in journal.open_runs(work.prepared.job.name, work.place.name):
        folder, facts = work.house.state.run(earlier.run_id), earlier.facts
        plan = Plan(folder, facts["mode"], tuple(facts["columns"]), Counts())
        for batch in journal.batches(earlier.run_id):
            if batch.state in ("intended", "pending", "unknown"):
                rows = outcome.rows_of(plan, batch.operation, [batch], engine)
                frames.append(rows.select(KEY))
    return engine.hold(nw.concat(frames)) if frames else None


def _meanwhile(*modules: str) -> None:
    def load() -> None:
        for module in modules:
            import_module(module)

    Thread(target=load, daemon=True).start()
