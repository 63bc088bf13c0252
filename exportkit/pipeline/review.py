"""A plan is kept with what it was made from, so that a later run can tell if it still holds."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from exportkit import __version__
from exportkit.errors import GuardError, UsageError
from exportkit.pipeline.handover import Plan, ReasonCount
from exportkit.records import Counts
from exportkit.state.folder import fingerprint, read_json, write_durably

if TYPE_CHECKING:
    from pathlib import Path

    from exportkit.pipeline.prepare import Prepared

FILE = "plan.json"
# A predicate that asks for the time selects other people tomorrow, from the same file.
_VOLATILE = re.compile(r"\b(current_date|current_time\w*|now|today|random|age)\b", re.IGNORECASE)

_WORDS = {
    "source": "the source's data",
    "source_file": "the source's file",
    "job": "the job",
    "connection": "the connection",
    "plugin": "the plugin",
    "target": "the target",
    "snapshot": "what was delivered",
    "exportkit": "exportkit itself",
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """Digests of all that a plan depends on."""

    source: str
    source_file: str
    job: str
    connection: str
    plugin: str
    target: str
    snapshot: str
    exportkit: str = __version__

    def changed(self, other: Inputs) -> list[str]:
        """In words, what differs from the other."""
        mine, theirs = asdict(self), asdict(other)
        return [_WORDS[name] for name in mine if mine[name] != theirs[name]]


def inputs_of(prepared: Prepared, source: str, target: str, delivered: str) -> Inputs:
    """What a plan made now depends on; `source` is the fingerprint of the source's data.

    `delivered` names the runs that wrote the snapshots of the target.
    """
    plugin = prepared.destination.plugin
    return Inputs(
        source=source,
        source_file=fingerprint(prepared.source.document.data),
        job=fingerprint(prepared.job.document.data),
        connection=fingerprint(prepared.connection.document.data),
        plugin=f"{plugin.distribution} {plugin.version}",
        target=target,
        snapshot=delivered,
    )


def is_volatile(prepared: Prepared) -> bool:
    """Whether the same data may give another answer at another time."""
    texts = [segment.where or "" for segment in prepared.source.segments]
    texts += [rule.sql or "" for rule in prepared.job.fields]
    return any(_VOLATILE.search(text) for text in texts)


def write_reviewed(plan: Plan, inputs: Inputs) -> None:
    """Keep a plan for `run --plan-id`."""
    document = {
        "inputs": asdict(inputs),
        "mode": plan.mode,
        "columns": plan.columns,
        "counts": plan.counts.as_dict(),
        "reasons": [asdict(reason) for reason in plan.reasons],
        "changed_columns": dict(plan.changed_columns),
    }
    write_durably(plan.folder / FILE, json.dumps(document, indent=1).encode())


def require_plan(folder: Path) -> None:
    """Raise UsageError if there is no plan in the folder: one nobody made, or applied in time."""
    if not (folder / FILE).exists():
        raise UsageError(
            f"there is no plan '{folder.name}'",
            hint="`exportkit plan JOB` makes one and names it; it is kept for a day",
        )


def read_reviewed(folder: Path, now: Inputs) -> Plan:
    """The plan in the folder, if it still holds. Raises GuardError, with what changed, if not."""
    document: dict[str, Any] = read_json(folder / FILE)
    changed = now.changed(Inputs(**document["inputs"]))
    if changed:
        raise GuardError(
            f"plan {folder.name} no longer holds, because {' and '.join(changed)} changed since",
            hint="look at a new plan and run that; nothing was sent",
        )
    return Plan(
        folder,
        document["mode"],
        tuple(document["columns"]),
        Counts(**document["counts"]),
        None,
        tuple(ReasonCount(**reason) for reason in document["reasons"]),
        document["changed_columns"],
    )
