"""The first half of a run: read, map, accept, compare. Or take a plan that was looked at."""

from __future__ import annotations

from dataclasses import asdict, replace
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any

import narwhals as nw

from exportkit.engines.frames import KEY
from exportkit.errors import GuardError
from exportkit.pipeline import outcome
from exportkit.pipeline.accept import accept
from exportkit.pipeline.handover import Accepted, Before, Plan, ReasonCount, Rules
from exportkit.pipeline.mapping import (
    decide_addresses,
    identified,
    map_profiles,
)
from exportkit.pipeline.plan import make_plan
from exportkit.pipeline.review import (
    Inputs,
    inputs_of,
    is_volatile,
    read_reviewed,
)
from exportkit.pipeline.source import read_profiles
from exportkit.records import Counts
from exportkit.state import snapshots

if TYPE_CHECKING:
    from exportkit.engines.frames import Engine
    from exportkit.pipeline.work import Work
    from exportkit.records import Mode


def plan_work(work: Work, *, streams: bool = False) -> Plan:
    """Read, map, accept and compare; the plan is written to the run's folder."""
    job, engine, mapping = work.prepared.job, work.engine, work.mapping
    if (same := _same_as_last(work)) is not None:
        return same
    work.watch.stage("planning", f"{', '.join(job.segments)} of {job.source}")
    profiles = read_profiles(job, work.prepared.source, work.opened)
    # The engine works without Python's lock: what comes next is imported meanwhile, since later,
    # when small questions are asked, it would keep the engine waiting.
    checker = ["email_validator"] * (len(mapping.checks) > mapping.certain)
    _meanwhile("exportkit.state.journal", "pyarrow.parquet", "pyarrow.compute", *checker)
    mapped = engine.hold(map_profiles(profiles, job, mapping))
    work.orders.obey()
    mapped = identified(decide_addresses(mapped, mapping, engine), mapping)
    columns = tuple(column.name for column in mapping.columns)
    prefer = job.on_duplicate.order if job.on_duplicate else None
    rules = Rules(columns, mapping.checks, prefer, bool(job.suppress))
    accepted = accept(mapped, rules, engine, work.folder / "rejections.parquet")
    work.orders.obey()
    mode = "full" if work.orders.full else work.prepared.mode
    if streams and engine.here:
        before = _before(work, engine)
        if before.delivered is not None:  # compared and then sent: too dear to be computed twice
            accepted = replace(accepted, rows=engine.hold(accepted.rows))
        return make_plan(accepted, before, columns, mode, engine, work.folder, streams=True)
    if engine.keeps:
        plan = _planned_there(work, accepted, mode, columns)
    else:
        accepted = _laid_down(work, accepted, mode)
        before = _before(work, work.desk)
        plan = make_plan(accepted, before, columns, mode, work.desk, work.folder)
        plan = replace(plan, rows=None) if streams else plan  # they are sent from their file
    return replace(plan, notes=_notes(work, columns))


def _planned_there(work: Work, accepted: Accepted, mode: Mode, columns: tuple[str, ...]) -> Plan:
    """Compare where the rows are: only those come back that are going to be sent."""
    engine, path = work.engine, work.folder / "accepted.parquet"
    accepted = replace(accepted, rows=engine.hold(accepted.rows))
    before = _before(work, engine)
    stay = before.delivered is not None and mode != "full"
    if not stay and before.unsettled is None:
        engine.write(accepted.rows.sort(KEY), path)
    return make_plan(accepted, before, columns, mode, engine, work.folder, streams=stay)


def _laid_down(work: Work, accepted: Accepted, mode: Mode) -> Accepted:
    """The accepted rows as files on the desk; the engine that read the source may forget them."""
    rows = work.folder / "accepted.parquet"
    # Elsewhere rows come in any order: by their keys it is the same one every time.
    ordered = accepted.rows if work.engine.here else accepted.rows.sort(KEY)
    work.engine.write(ordered, rows)
    laid = replace(accepted, rows=work.desk.load(rows))
    if mode == "mirror":
        staying = work.folder / "staying.parquet"
        work.engine.write(accepted.staying, staying)
        laid = replace(laid, staying=work.desk.load(staying))
    work.engine.clear()
    return laid


def _notes(work: Work, columns: tuple[str, ...]) -> tuple[str, ...]:
    """What else differs from the last time, in words: the key, the target, the map."""
    snapshot = snapshots.read_snapshot(work.place)
    if snapshot is None:
        elder = snapshots.elder(work.place)
        if elder is None:
            return ()
        key, target = work.key or "the source's key", work.target.catalogue.name
        was = elder.key or "the source's key"
        what = f"the key was {was} and is {key}" if was != key else "the target was another one"
        if elder.target != target:
            what = f"the target was {elder.target} and is {target}"
        return (
            f"{what} now, so everybody counts as new; the {elder.rows:,} people that were "
            "delivered before are left where they are",
        )
    new = [name for name in columns if name not in snapshot.columns]
    gone = [name for name in snapshot.columns if name not in columns]
    return (
        *([f"new in the map: {', '.join(new)}"] if new else []),
        *([f"no longer in the map: {', '.join(gone)}"] if gone else []),
    )


def _same_as_last(work: Work) -> Plan | None:
    """The plan of a run that has nothing to do: nothing changed since the last one.

    The source is not even read then; its fingerprint says that there is nothing new in it.
    """
    orders, mode = work.orders, work.prepared.mode
    if mode == "full" or orders.full or orders.retry_refused or is_volatile(work.prepared):
        return None
    last = next(iter(work.house.journal.runs(work.prepared.job.name, limit=1)), None)
    if last is None or last.facts.get("after") != asdict(inputs(work)) or last.counts.unsettled:
        return None
    done = last.counts
    unchanged = done.unchanged + done.added + done.updated
    counts = replace(done, unchanged=unchanged, added=0, updated=0, removed=0, sent=0)
    reasons = tuple(ReasonCount(**reason) for reason in last.reasons)
    columns = tuple(column.name for column in work.mapping.columns)
    return Plan(work.folder, mode, columns, counts, None, reasons)


def _before(work: Work, engine: Engine) -> Before:
    """What earlier runs, and other jobs with the same target, have delivered."""
    snapshot = snapshots.read_snapshot(work.place)
    others = snapshots.others(work.place) if work.prepared.mode == "mirror" else []
    known = [snapshot, *others] if snapshot else others
    work.house.shelf.bring(*(path for each in known for path in each.rows_files))
    elsewhere = [snapshots.rows_of(other, engine).select(KEY) for other in others]
    return Before(
        delivered=snapshots.rows_of(snapshot, engine) if snapshot else None,
        refused=None
        if snapshot is None or snapshot.refused is None or work.orders.retry_refused
        else engine.load(snapshot.refused),
        elsewhere=engine.hold(nw.concat(elsewhere)) if elsewhere else None,
        unsettled=_unsettled(work, engine),
    )


def reviewed(work: Work) -> Plan:
    """The plan that was looked at, if nothing that it was made from has changed since."""
    if work.house.journal.run(work.run_id) is not None:
        raise GuardError(
            f"plan {work.run_id} has been applied already", hint="look at a new plan and run that"
        )
    return read_reviewed(work.folder, inputs(work))


def inputs(work: Work) -> Inputs:
    """What a plan made now depends on; whom a mirror takes out, on other jobs' snapshots too."""
    mirrors = work.prepared.mode == "mirror"
    others = snapshots.others(work.place) if mirrors else []
    known = [each for each in (snapshots.read_snapshot(work.place), *others) if each is not None]
    delivered = " ".join(snapshot.run_id for snapshot in known)
    return inputs_of(work.prepared, work.opened.fingerprint(), work.place.name, delivered)


def _unsettled(work: Work, engine: Engine) -> Any:
    """The keys of which nobody can say yet whether an earlier run delivered them."""
    if work.whole:
        return None
    journal, frames = work.house.journal, []
    for earlier in journal.open_runs(work.prepared.job.name, work.place.name):
        folder, facts = work.house.state.run(earlier.run_id), earlier.facts
        work.house.shelf.bring(folder)
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
        nw.from_native(import_module("pyarrow").table({}))  # what narwhals answers with

    Thread(target=load, daemon=True).start()
