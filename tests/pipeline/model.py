"""Accepting and planning in plain Python: slow, obvious, one row at a time.

The tests hold the real stages against it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exportkit.records import Check, Mode

Values = tuple[str | None, ...]


@dataclass(frozen=True)
class Row:
    """A mapped profile. `fault` is the number of the check that it fails."""

    key: str | None
    source_key: str | None
    values: Values
    prefer: int | None = None
    suppressed: bool = False
    fault: int | None = None


@dataclass(frozen=True)
class Known:
    """What earlier runs came to: by key what was delivered and what was refused; other keys."""

    delivered: Mapping[str, Values] | None = None
    refused: Mapping[str, Values] | None = None
    elsewhere: frozenset[str] = frozenset()
    unsettled: frozenset[str] = frozenset()


@dataclass
class Sorted:
    """The rows after acceptance: one a key, and how many are not among them, and why."""

    accepted: dict[str, Values] = field(default_factory=dict)
    staying: set[str] = field(default_factory=set)
    rejected: list[tuple[Row, Check]] = field(default_factory=list)
    suppressed: int = 0
    duplicates: int = 0


@dataclass
class Changes:
    """What a plan says."""

    counts: Counter[str] = field(default_factory=Counter)
    accepted: dict[str, Values] = field(default_factory=dict)
    add: dict[str, Values] = field(default_factory=dict)
    update: dict[str, tuple[Values, Values]] = field(default_factory=dict)
    remove: dict[str, Values] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)


def accept(
    rows: Sequence[Row],
    checks: Sequence[Check],
    prefer: Literal["ascending", "descending"] | None,
    suppresses: bool,
) -> Sorted:
    """Reject, suppress, dedupe, in this order."""
    result = Sorted()
    by_key: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.key is not None and not (suppresses and row.suppressed):
            result.staying.add(row.key)
        if row.fault is not None:
            result.rejected.append((row, checks[row.fault]))
        elif suppresses and row.suppressed:
            result.suppressed += 1
        else:
            assert row.key is not None
            by_key[row.key].append(row)
    for key, tied in by_key.items():
        best = list(tied)
        values = [row.prefer for row in tied if row.prefer is not None]
        if prefer is not None and values:
            top = max(values) if prefer == "descending" else min(values)
            best = [row for row in tied if row.prefer == top]
        best.sort(key=lambda row: [nulls_last(v) for v in (row.source_key, *row.values)])
        result.accepted[key] = best[0].values
        result.duplicates += len(tied) - 1
    return result


def nulls_last(value: str | None) -> tuple[bool, bytes]:
    return value is None, (value or "").encode()


def plan(found: Sorted, known: Known, mode: Mode) -> Changes:
    """Compare with what was delivered, by the job's mode."""
    delivered, refused = known.delivered or {}, known.refused or {}
    changes = Changes()
    counts = changes.counts
    for key, values in found.accepted.items():
        if key in known.unsettled:
            counts["unsettled"] += 1
            continue
        changes.accepted[key] = values
        is_new, was = key not in delivered, delivered.get(key, ())
        if not is_new and (was == values or mode == "insert"):
            counts["unchanged"] += 1
        elif refused.get(key) == values and mode != "full":
            counts["refused"] += 1
        elif is_new:
            changes.add[key] = values
        else:
            changes.update[key] = (was, values)
    if mode == "mirror":
        gone = delivered.keys() - found.staying - known.unsettled
        changes.left = gone & known.elsewhere
        changes.remove = {key: delivered[key] for key in gone - known.elsewhere}
    counts["rejected"] = len(found.rejected)
    counts["suppressed"] = found.suppressed
    counts["duplicates"] = found.duplicates
    counts["added"] = len(changes.add)
    counts["updated"] = len(changes.update)
    counts["removed"] = len(changes.remove)
    everyone = len(changes.accepted)
    counts["sent"] = everyone if mode == "full" else len(changes.add) + len(changes.update)
    return changes
