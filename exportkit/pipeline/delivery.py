"""The second half of a run: send, settle, remember; and take up what an earlier run left open."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from exportkit.engines.frames import KEY
from exportkit.engines.parquet import read_batches, read_rows
from exportkit.errors import DestinationError, ExportkitError
from exportkit.pipeline import outcome, push
from exportkit.pipeline.handover import Plan
from exportkit.pipeline.line import Line
from exportkit.pipeline.plan import all_added
from exportkit.pipeline.planning import inputs
from exportkit.pipeline.record import Record, counts_before_sending
from exportkit.pipeline.settle import Lost, resume, settle
from exportkit.records import Counts
from exportkit.state import snapshots
from exportkit.state.batches import Unjournaled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from exportkit.engines.frames import Engine
    from exportkit.pipeline.work import Work
    from exportkit.records import Operation
    from exportkit.state.batches import JournaledBatch


def deliver(work: Work, plan: Plan, record: Record) -> None:
    """Send the plan, wait for the answers, and remember what was confirmed, however it ends."""
    line = _line(work, plan)
    facts = {
        "mode": plan.mode,
        "columns": plan.columns,
        "counts": plan.counts.as_dict(),
        "before": _run_of(snapshots.read_snapshot(work.place)),
    }
    try:
        if work.whole:
            _send_whole(work, plan, line)
            # Nothing of it shows before `finish`, so that is what has to be known of before.
            record.begin(work.place.name, facts)
            work.house.shelf.still_held()
            work.prepared.destination.finish(work.session, work.target)
        else:
            record.begin(work.place.name, facts, folded=False)
            _share_outgoing(work, plan)
            _send_changes(work, plan, line)
    except ExportkitError:
        if not work.whole:
            record.counts = _remember(work, plan, line.ledger.batches(work.run_id), facts)
        raise
    record.counts = _remember(work, plan, line.ledger.batches(work.run_id), facts)
    record.note(facts={**facts, "after": asdict(inputs(work))})


def _line(work: Work, plan: Plan) -> Line:
    run_id = plan.folder.name
    return Line(
        sender=work.prepared.destination,
        session=work.session,
        target=work.target,
        ledger=Unjournaled() if work.whole else work.house.journal,
        run_id=run_id,
        refusals=work.house.state.run(run_id) / "refused",
        limits=work.prepared.description.limits,
        columns=plan.columns,
        rows_of=lambda operation, first, rows: read_rows(plan.sent_file(operation), first, rows),
        settle_for=work.prepared.job.limits.settle,
        stopped=work.orders.stopped,
        sent=work.watch.sent,
        share=work.house.shelf.share,
        may_call=work.house.shelf.still_held,
    )


def _share_outgoing(work: Work, plan: Plan) -> None:
    """Put what the batches are ranges of where another runner finds it if this one dies."""
    sent = [plan.accepted] if plan.mode == "full" else []
    work.house.shelf.share(plan.folder / "changes", *sent)


def _send_whole(work: Work, plan: Plan, line: Line) -> None:
    """All accepted rows at once; unless they are there already, they are written on their way."""
    work.watch.sending(plan.counts.sent)
    if plan.rows is None or plan.accepted.exists():
        push.send(line, read_batches(plan.accepted), "add", glue=False)
    else:
        # Closed here, whatever happens: else it goes on writing while the run is tidied away.
        with closing(work.engine.passing(plan.rows, plan.accepted)) as rows:
            push.send(line, rows, "add", glue=False)
        if plan.counts.added == plan.counts.sent:
            all_added(plan.folder, plan.counts.sent)
    settle(line)


def _send_changes(work: Work, plan: Plan, line: Line) -> None:
    work.watch.sending(plan.counts.sent + plan.counts.removed)
    lost = Lost()
    # Removals wait until every addition has its answer: a person must not fall between two lists.
    for operations in ("add", "update"), ("remove",):
        for operation, path in _outgoing(plan, operations):
            push.send(line, read_batches(path), operation)
        lost += settle(line)
    if lost.rows:
        raise DestinationError(
            f"{work.prepared.description.title} took {lost.rows:,} rows and then failed to import "
            f"them{f': {lost.reason}' if lost.reason else ''}",
            hint="run the job again: they are planned again",
        )
    if plan.counts.sent or plan.counts.removed:
        work.prepared.destination.finish(work.session, work.target)


def _outgoing(
    plan: Plan, operations: Sequence[Operation] = ("add", "update", "remove")
) -> Iterator[tuple[Operation, Path]]:
    """The files whose rows go out; in mode `full` all go as additions."""
    for operation in operations:
        if plan.mode == "full" and operation == "update":
            continue
        path = plan.changes("remove") if operation == "remove" else plan.sent_file(operation)
        if path.exists():
            yield operation, path


def calls_needed(work: Work, plan: Plan) -> int | None:
    """The calls that it takes to send a plan, about; None where nobody counts them."""
    limits = work.prepared.description.limits
    if limits.calls_per_day is None:
        return None
    line = _line(work, plan)
    batches = sum(
        1
        for operation, path in _outgoing(plan)
        for _ in push.cut(line, read_batches(path), operation)
    )
    return batches * limits.calls_per_batch


def _remember(
    work: Work, plan: Plan, batches: Sequence[JournaledBatch], facts: Mapping[str, Any]
) -> Counts:
    """Fold what the destination confirmed into the snapshot; answers what the run comes to."""
    before, desk = snapshots.read_snapshot(work.place), work.desk
    run_id, counts = plan.folder.name, plan.counts
    kept = counts.added + counts.updated + counts.unchanged
    new = snapshots.Snapshot(
        folder=work.place,
        run_id=run_id,
        columns=plan.columns,
        rows=kept,
        delivered=plan.accepted,
        target=work.target.catalogue.name,
        key=work.key,
    )
    shelf = work.house.shelf
    shared = partial(shelf.share, fenced=True)
    if before is not None:
        shelf.bring(*before.rows_files)
    done = [batch for batch in batches if batch.state == "done"]
    planned, left = counts.sent + counts.removed, plan.changes("left")
    complete = sum(batch.rows for batch in done if not batch.refused) == planned
    keeper = work.keeper
    # Of a run on another host only what it sent is known.
    here = plan.accepted.exists() or (keeper.keeps and plan.rows is not None)
    # A later run may have folded since; then what this one found unchanged may not be so now.
    is_next = facts.get("before", run_id) == _run_of(before)
    if complete and here and (work.whole or (done and is_next and _holds_all(plan, before))):
        others = None if work.whole else _kept(plan, before, keeper)
        snapshots.adopt(plan.accepted, new, keeper, others, plan.rows, shared)
        left.unlink(missing_ok=True)  # once: whoever comes back is this job's again
        shelf.share(left)
    elif batches or left.exists():
        answered = [batch for batch in batches if batch.state in ("done", "folded")]
        everything = outcome.confirm(plan, answered, desk)
        counts = outcome.count(plan, everything, batches, desk)
        if done or left.exists():
            known = done == answered and keeper is desk
            confirmed = everything if known else outcome.confirm(plan, done, keeper)
            old = None if work.whole else before
            snapshots.fold(old, confirmed, keeper, new, shared)
            left.unlink(missing_ok=True)
            shelf.share(left)
    elif planned:
        counts = counts_before_sending(counts)
    if not work.whole:
        work.house.journal.mark_folded(run_id)
    return counts


def _run_of(snapshot: snapshots.Snapshot | None) -> str | None:
    return snapshot.run_id if snapshot else None


def _holds_all(plan: Plan, before: snapshots.Snapshot | None) -> bool:
    """Whether the target holds every accepted row, as it is, once the plan is carried out."""
    return before is None or (plan.mode != "insert" and before.refused is None)


def _kept(plan: Plan, before: snapshots.Snapshot | None, keeper: Engine) -> Any:
    """The rows that were delivered before and are still there, but were not accepted again."""
    counts = plan.counts
    if before is None or before.rows == counts.unchanged + counts.updated + counts.removed:
        return None
    kept, gone = plan.stayed, [plan.changes("remove"), plan.changes("left")]
    if kept is None:  # the plan was read from its folder
        kept, gone = snapshots.rows_of(before, keeper), [plan.accepted, *gone]
    for path in gone:
        if path.exists():
            kept = kept.join(keeper.load(path).select(KEY), on=KEY, how="anti")
    return kept


def recover(work: Work) -> None:
    """Take up what earlier runs left open: ask for their answers, and remember what was confirmed.

    After a crash there is no other way in than this one.
    """
    if work.whole:
        return
    journal, state = work.house.journal, work.house.state
    for earlier in journal.open_runs(work.prepared.job.name, work.place.name):
        work.watch.stage("settling", earlier.run_id)
        work.house.shelf.bring(state.run(earlier.run_id))
        facts = earlier.facts
        columns, counts = tuple(facts["columns"]), Counts(**facts["counts"])
        plan = Plan(state.run(earlier.run_id), facts["mode"], columns, counts)
        resume(_line(work, plan), journal.batches(earlier.run_id), push.again)
        counts = _remember(work, plan, journal.batches(earlier.run_id), facts)
        journal.note_run(earlier.run_id, counts=counts.as_dict())
    for run_id in journal.dead_runs(work.prepared.job.name):
        journal.interrupt(run_id)
