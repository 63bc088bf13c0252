"""The sentence that joins the stages: prepare, read, map, accept, plan, guard, push, remember.

Read `run_job` first; the rest of the file are its clauses.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exportkit.access.consent import require_consent
from exportkit.access.roles import require_use
from exportkit.engines.desk import open_desk
from exportkit.engines.sources import open_source
from exportkit.errors import ConfigError
from exportkit.pipeline.delivery import calls_needed, deliver, recover
from exportkit.pipeline.guards import check_freshness, check_guards
from exportkit.pipeline.mapping import map_job
from exportkit.pipeline.plan import sample
from exportkit.pipeline.planning import inputs, plan_work, reviewed
from exportkit.pipeline.record import Record, new_run_id
from exportkit.pipeline.review import require_plan, write_reviewed
from exportkit.pipeline.source import column_complaints
from exportkit.pipeline.work import Calls, Orders, Planned, Watch, Work
from exportkit.records import Catalogue, Run, Target
from exportkit.state import catalogues, snapshots
from exportkit.state.folder import new_folder
from exportkit.state.retention import in_use, tidy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exportkit.pipeline.prepare import Prepared
    from exportkit.state.house import House


def run_job(prepared: Prepared, house: House, orders: Orders, watch: Watch) -> Run:
    """Run a job once and record it; whatever goes wrong is in the answer, never raised."""
    record = Record(house, prepared.job.name, orders.plan_id)
    with record.outcome():
        orders.obey()
        require_use(prepared.workspace, prepared.connection)
        check_consent(prepared, house)
        with (
            house.lock(prepared.job.name),
            working(prepared, house, record.run_id, orders, watch) as work,
        ):
            check_freshness(prepared.source, work.opened.modified_at)
            recover(work)
            plan = reviewed(work) if orders.plan_id else plan_work(work, streams=work.whole)
            record.learn(plan.counts, plan.reasons)
            house.shelf.share(plan.rejections)
            before = snapshots.read_snapshot(work.place)
            limits = prepared.description.limits
            check_guards(
                plan.counts, before.rows if before else 0, prepared.job, limits, orders.allowed
            )
            orders.obey()
            deliver(work, plan, record)
    done = record.close()
    tidy(house, done.job, done.run_id, prepared.job.retention, prepared.workspace.retention)
    return done


def check_consent(prepared: Prepared, house: House) -> None:
    """Return if the job's connection may send. Raises PermissionDeniedError if it may not."""
    if prepared.description.third_party:  # else nobody asks, and the journal opens later
        connection, ready = prepared.connection, prepared.resolved_connection()
        require_consent(connection, ready, prepared.description, house.journal)


def plan_job(prepared: Prepared, house: House, orders: Orders, watch: Watch) -> Planned:
    """Plan a job and send nothing. Raises ExportkitError where it cannot be planned."""
    job = prepared.job.name
    require_use(prepared.workspace, prepared.connection)
    with working(prepared, house, new_run_id(job), orders, watch) as work:
        plan = plan_work(work)
        write_reviewed(plan, inputs(work))
        house.shelf.share(plan.folder)
        catalogue = work.target.catalogue
        calls = Calls(calls_needed(work, plan), catalogue.details.get("calls_left"))
        return Planned(job, catalogue.name, plan, sample(plan), calls)


@contextmanager
def working(
    prepared: Prepared, house: House, run_id: str, orders: Orders, watch: Watch
) -> Iterator[Work]:
    """Everything open that planning and carrying out takes."""
    job = prepared.job
    folder = house.state.run(run_id)
    if orders.plan_id is None:
        new_folder(new_folder(folder) / "refused")
    else:
        house.shelf.bring(folder)
        require_plan(folder)
    house.shelf.bring(house.state.snapshots, named=snapshots.FACTS)
    connection = prepared.resolved_connection()
    watch.stage("reading", f"source {job.source}")
    with (
        in_use(folder),
        open_source(prepared.source, prepared.workspace.root, spill=folder) as opened,
        open_desk(folder) as desk,
    ):
        if complaints := [*opened.complaints(), *column_complaints(job, opened)]:
            raise ConfigError(complaints=complaints)
        engine = opened.engine
        offline = orders.offline
        with nullcontext() if offline else prepared.destination.connect(connection) as session:
            catalogue = _catalogue(prepared, house, session, orders)
            target = Target(prepared.options, catalogue, prepared.workspace.root)
            declared = (*prepared.description.fields, *catalogue.fields)
            hook, source_key = prepared.destination.map_fields, prepared.source.key
            mapping = map_job(job, target, declared, hook, source_key)
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
                place=house.state.snapshot(
                    job.name, prepared.target_identity(catalogue.identity, mapping.key)
                ),
            )


def _catalogue(prepared: Prepared, house: House, session: Any, orders: Orders) -> Catalogue:
    """What is at the target now, kept for offline plans; or what was there the last time."""
    known = house.state.catalogue(prepared.connection.name, dict(prepared.job.destination))
    if orders.offline and prepared.destination.can("describe_target"):
        house.shelf.bring(known)
        return catalogues.recall(known)
    catalogue = prepared.destination.describe_target(
        session, prepared.options, planning=orders.planning
    )
    if prepared.destination.can("describe_target"):
        catalogues.remember(known, catalogue)
        house.shelf.share(known)
    return catalogue
